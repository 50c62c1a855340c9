"""The scenarios that are known to differ through the aggregate, by revision, and why. docs/peers.md has them."""

from collections.abc import Mapping
from typing import Final

from tests.conformance.compare import Known

WHOLE: Final = (
    "a merged list is one JSON message, not a stream; the scenario looks at streams only where there are some"
)

OWN: Final = "a task that is not the caller's is refused by the gateway, with the code that the extension asks for"

THROUGH: Final[Mapping[str, Mapping[str, Known]]] = {
    "2026-07-28": {
        "tasks-dispatch-and-envelope": Known(frozenset({"sep-2663-tasks-get-invalid-task-id-32602"}), OWN),
    },
}
THROUGH_AGGREGATE: Final[Mapping[str, Mapping[str, Known]]] = {
    "2025-11-25": {
        "server-sse-multiple-streams": Known(frozenset({"server-sse-streams-functional"}), WHOLE),
    },
}
