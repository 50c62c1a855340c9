"""What a rule has written down of a call's values: a digest of its arguments, they themselves, its answer.

Pure. The digest is of the very bytes that the arguments have in the body that goes upstream, so that it can be had from
a capture of what was sent; no policy changes them. A request without arguments has none: `{}` is digested, nothing is
not. Which requests have arguments is not asked of their method: a prompt's are as much a value as a tool's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mcpgov.audit.values import redacted
from mcpgov.json_spans import span_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.audit.levels import LevelRule
    from mcpgov.audit.redact import Digester, Fingerprint
    from mcpgov.audit.values import Redacted
    from mcpgov.models import Json, MCPRequest


def recorded_arguments(
    request: MCPRequest | None, rule: LevelRule, digester: Digester
) -> tuple[Fingerprint | None, Redacted | None]:
    """The fingerprint of a request's arguments, and the arguments where the rule wants them."""
    if request is None or "arguments" not in request.params:
        return None, None
    span = span_of(request.body, ("params", "arguments"))
    given = digester.fingerprint(request.body[span]) if span else None
    wanted = rule.level.holds_arguments
    return given, redacted(request.params["arguments"], rule.fields, digester) if wanted else None


def answer_keeper(rule: LevelRule, digester: Digester) -> Callable[[Json], Redacted] | None:
    """What makes of a result or an error what is recorded of it; None where the rule wants nothing of it."""
    return partial(redacted, modes=rule.fields, digester=digester) if rule.level.holds_answer else None
