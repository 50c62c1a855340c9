"""The scenarios that are known to differ through the aggregate, by revision, and why. docs/peers.md has them."""

from collections.abc import Mapping
from typing import Final

from tests.conformance.compare import Known

WHOLE: Final = (
    "a merged list is one JSON message, not a stream; the scenario looks at streams only where there are some"
)

THROUGH_AGGREGATE: Final[Mapping[str, Mapping[str, Known]]] = {
    "2025-11-25": {
        "server-sse-multiple-streams": Known(frozenset({"server-sse-streams-functional"}), WHOLE),
    },
}
