"""The mark of the broader scopes does nothing by itself."""

from mcpgov.policy.base import Base
from mcpgov.policy.draft import Draft
from tests.policy.calls import context


def test_mark_says_nothing() -> None:
    draft = Draft(context())
    assert Base().decide(draft) is None
    assert draft == Draft(context())
