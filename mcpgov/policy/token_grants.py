"""Tokens that mcpgov has itself, for the elements that give them to a policy.

One is a secret of the call: no line of the log and no explanation shows it. Whose it is and what for is noted, for the
record: it may go upstream, whatever credential the connection has. Whether it came is kept in a letter where
the call may go on without it, so that the decision can be made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpgov.decision import Granted
from mcpgov.errors import Refusal
from mcpgov.policy.draft import MASK

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.decision import Effect, GetAuthorization, GetToken
    from mcpgov.models import Issued
    from mcpgov.policy.draft import Draft


def granted(effect: GetToken | GetAuthorization, draft: Draft, *, ignore: bool) -> Generator[Effect, Any, str | None]:
    """The token; with `ignore` None where it cannot be had. Raises Refusal.

    When a recorded decision is made again there is none, and something stands for it.
    """
    try:
        found: Issued | None = yield effect
        came = True
    except Refusal:
        if not ignore:
            raise
        found, came = None, False
    if ignore and not draft.answers.outcome(came=came):
        return None
    token = MASK
    if found is not None:
        draft.grants.append(Granted(draft.at, found.identity, found.audience))
        token = found.secret.reveal()
    draft.keep_secret(token)
    return token


def recall(draft: Draft, variable: str) -> None:
    """Set `variable` to what came on this request, where it is asked what is hidden."""
    if not variable:
        return
    if draft.at in draft.tokens:
        draft.variables[variable] = draft.tokens[draft.at]
    else:
        draft.ended = True
