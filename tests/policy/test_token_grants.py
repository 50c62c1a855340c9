"""A token of ours is a secret of the call, and whether it came is kept where the call may go on without it."""

from __future__ import annotations

import pytest

from mcpgov.decision import GetToken, Granted, Reason
from mcpgov.errors import Refusal
from mcpgov.policy.draft import MASK, Answers, Draft
from mcpgov.policy.token_grants import granted, recall
from tests.policy.calls import context, performed
from tests.policy.tokens import Issuers

EFFECT = GetToken("api://r")


def test_a_token_that_came_is_kept_secret() -> None:
    draft = Draft(context(), at="a#1")
    token = Issuers().run(granted(EFFECT, draft, ignore=False))
    assert token is not None
    assert draft.masked(f"Bearer {token}") == f"Bearer {MASK}"
    assert draft.answered == ""
    assert draft.grants == [Granted("a#1", "ours", "api://r")]


def test_one_that_does_not_come_refuses_the_call() -> None:
    with pytest.raises(Refusal) as raised:
        Issuers(down=True).run(granted(EFFECT, Draft(context()), ignore=False))
    assert raised.value.reason is Reason.CREDENTIAL_UNAVAILABLE


@pytest.mark.parametrize("down", [True, False])
def test_whether_it_came_is_an_answer_where_the_call_may_go_on_without(*, down: bool) -> None:
    draft = Draft(context())
    token = Issuers(down=down).run(granted(EFFECT, draft, ignore=True))
    assert (token is None, draft.answered) == (down, "f" if down else "t")
    assert bool(draft.grants) is not down


@pytest.mark.parametrize(("given", "token"), [("t", MASK), ("f", None)])
def test_when_it_is_decided_again_something_stands_for_it(given: str, token: str | None) -> None:
    draft = Draft(context(), Answers(given))
    assert performed(granted(EFFECT, draft, ignore=True)) == token
    assert draft.grants == []


def test_what_came_is_there_when_it_is_asked_what_is_hidden() -> None:
    draft = Draft(context(), at="a#1", tokens={"a#1": "t"})
    recall(draft, "own")
    assert (draft.variables, draft.ended) == ({"own": "t"}, False)


def test_what_was_not_asked_for_lets_no_tool_further() -> None:
    draft = Draft(context(), at="a#1")
    recall(draft, "")
    assert not draft.ended
    recall(draft, "own")
    assert draft.ended
