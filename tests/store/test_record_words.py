"""The words of a record are what somebody would type to find it."""

import subprocess
import sys

from mcpgov.models import Json
from mcpgov.store.record_words import searchable, words_of


def test_every_text_counts_but_what_every_record_has() -> None:
    fields: dict[str, Json] = {"v": 1, "event": "intent", "ts": "2026", "a": "one", "b": ["two"], "c": 4}
    fields["mcpgov.snapshot"] = "s"
    assert words_of(fields) == "one two"


def test_of_a_digest_counts_what_tells_it_from_others() -> None:
    assert searchable("x hmac-sha256:0a1b2c3d:ff y") == "x ff y"


def test_a_plain_start_does_not_load_the_library_of_the_statements() -> None:
    code = "import sys, mcpgov.app; print(*sys.modules, sep=',')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {"sqlalchemy", "alembic", "jinja2", "mcp", "azure"}.isdisjoint(done.stdout.strip().split(","))
