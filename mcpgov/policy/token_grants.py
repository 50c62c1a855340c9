"""Tokens that mcpgov has itself, for the elements that give them to a policy.

One is a secret of the call: no line of the log and no explanation shows it. Whether it came is kept in a letter where
the call may go on without it, so that the decision can be made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpgov.errors import Refusal
from mcpgov.models import Secret
from mcpgov.policy.draft import MASK

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.decision import Effect, GetAuthorization, GetToken
    from mcpgov.policy.draft import Draft


def granted(effect: GetToken | GetAuthorization, draft: Draft, *, ignore: bool) -> Generator[Effect, Any, str | None]:
    """The token; with `ignore` None where it cannot be had. Raises Refusal.

    When a recorded decision is made again there is none, and something stands for it.
    """
    try:
        found: Secret | None = yield effect
        came = True
    except Refusal:
        if not ignore:
            raise
        found, came = None, False
    if ignore and not draft.answers.outcome(came=came):
        return None
    token = found.reveal() if found is not None else MASK
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
