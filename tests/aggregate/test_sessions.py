"""Sessions and names that are remembered: bounded in number and in time."""

import pytest

from mcpgov.aggregate.sessions import IDLE, KNOWN_FOR, SURE_FOR, KnownNames, Sessions
from mcpgov.decision import Reason
from mcpgov.errors import Refusal


class Clock:
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(sessions: Sessions, session_id: str) -> Reason:
    """Why there is no such session."""
    with pytest.raises(Refusal) as caught:
        sessions.get(session_id)
    return caught.value.reason


def test_a_session_is_found_until_it_is_closed() -> None:
    sessions = Sessions(Clock())
    session = sessions.open("2025-11-25", {})
    assert sessions.get(session.id) is session
    sessions.close(session)
    assert refused(sessions, session.id) is Reason.UNKNOWN_SESSION
    assert refused(sessions, "") is Reason.INVALID_MESSAGE
    sessions.close(session)


def test_a_session_that_nobody_uses_is_forgotten() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    used, idle = sessions.open("", {}), sessions.open("", {})
    clock.now = IDLE
    sessions.get(used.id)
    clock.now = IDLE + 1
    assert sessions.get(used.id) is used
    assert refused(sessions, idle.id) is Reason.UNKNOWN_SESSION


def test_of_too_many_sessions_the_one_that_was_used_least_lately_goes() -> None:
    sessions = Sessions(Clock(), most=2)
    first, second = sessions.open("", {}), sessions.open("", {})
    sessions.get(first.id)
    sessions.open("", {})
    assert sessions.get(first.id) is first
    assert refused(sessions, second.id) is Reason.UNKNOWN_SESSION


def test_a_member_s_session_that_is_gone_is_opened_anew() -> None:
    link = Sessions(Clock()).open("", {}).member("a")
    link.opened, link.id = True, "1"
    link.forget()
    assert (link.opened, link.id) == (False, "")


def test_names_hold_for_one_generation_and_a_while() -> None:
    clock = Clock()
    names, key = KnownNames(clock), ("me", "stateless", "tools/list")
    with pytest.raises(LookupError):
        names.owner(key, "1", "x")
    names.learn(key, "1", {"x": ("a", "x")})
    assert names.owner(key, "1", "x") == ("a", "x")
    assert names.owner(key, "1", "y") is None
    with pytest.raises(LookupError):
        names.owner(key, "2", "x")
    clock.now = SURE_FOR + 1
    assert names.owner(key, "1", "x") == ("a", "x")
    with pytest.raises(LookupError):
        names.owner(key, "1", "y")
    clock.now = KNOWN_FOR + 1
    with pytest.raises(LookupError):
        names.owner(key, "1", "x")


def test_the_names_of_so_many_callers_are_known() -> None:
    names = KnownNames(Clock(), most=1)
    names.learn(("a",), "1", {})
    names.learn(("b",), "1", {})
    assert names.owner(("b",), "1", "x") is None
    with pytest.raises(LookupError):
        names.owner(("a",), "1", "x")
