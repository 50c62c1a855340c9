"""How many examples a property is tried on: as many as MCPGOV_EXAMPLES says (10000 for a long run), or 500."""

import os

from hypothesis import settings

ASKED = int(os.environ.get("MCPGOV_EXAMPLES", "0"))
MANY = max(ASKED, 500)

many = settings(max_examples=MANY)
