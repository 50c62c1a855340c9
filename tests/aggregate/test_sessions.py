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


def refused(sessions: Sessions, session_id: str, principal: str = "me") -> Reason:
    """Why there is no such session."""
    with pytest.raises(Refusal) as caught:
        sessions.get(session_id, principal)
    return caught.value.reason


def test_a_session_is_found_until_it_is_closed() -> None:
    sessions = Sessions(Clock())
    session = sessions.open("me", "2025-11-25", b"{}")
    assert sessions.get(session.id, "me") is session
    sessions.close(session)
    assert refused(sessions, session.id) is Reason.UNKNOWN_SESSION
    assert refused(sessions, "") is Reason.INVALID_MESSAGE
    sessions.close(session)


def test_a_session_is_there_for_the_caller_that_opened_it_and_nobody_else_keeps_it_alive() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    mine = sessions.open("me", "", b"{}")
    clock.now = IDLE
    assert refused(sessions, mine.id, "other") is Reason.UNKNOWN_SESSION
    clock.now = IDLE + 1
    assert refused(sessions, mine.id) is Reason.UNKNOWN_SESSION


def test_a_session_that_nobody_uses_is_forgotten() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    used, idle = sessions.open("me", "", b"{}"), sessions.open("me", "", b"{}")
    clock.now = IDLE
    sessions.get(used.id, "me")
    clock.now = IDLE + 1
    assert sessions.get(used.id, "me") is used
    assert refused(sessions, idle.id) is Reason.UNKNOWN_SESSION


def test_of_too_many_sessions_the_one_that_was_used_least_lately_goes() -> None:
    sessions = Sessions(Clock(), most=2)
    first, second = sessions.open("me", "", b"{}"), sessions.open("me", "", b"{}")
    sessions.get(first.id, "me")
    sessions.open("me", "", b"{}")
    assert sessions.get(first.id, "me") is first
    assert refused(sessions, second.id) is Reason.UNKNOWN_SESSION


def test_a_caller_that_opens_too_many_loses_its_own() -> None:
    sessions = Sessions(Clock(), most=4, of_one=2)
    mine = [sessions.open("me", "", b"{}") for _ in range(2)]
    other = sessions.open("other", "", b"{}")
    sessions.get(mine[0].id, "me")
    newest = [sessions.open("me", "", b"{}") for _ in range(3)][-1]
    assert sessions.get(other.id, "other") is other
    assert sessions.get(newest.id, "me") is newest
    assert refused(sessions, mine[0].id) is refused(sessions, mine[1].id) is Reason.UNKNOWN_SESSION


def test_a_member_s_session_that_is_gone_is_opened_anew() -> None:
    link = Sessions(Clock()).open("me", "", b"{}").member("a")
    link.opened, link.id = True, "1"
    link.forget()
    assert (link.opened, link.id) == (False, "")


def test_names_hold_for_one_generation_and_a_while() -> None:
    clock, key, owners = Clock(), ("me", "stateless", "tools/list"), {"x": ("a", "x")}
    names = KnownNames(clock)
    assert names.known(key, "1", KNOWN_FOR) is None
    names.learn(key, "1", owners)
    assert names.known(key, "1", SURE_FOR) == owners
    assert names.known(key, "2", SURE_FOR) is None
    clock.now = SURE_FOR + 1
    assert names.known(key, "1", SURE_FOR) is None
    assert names.known(key, "1", KNOWN_FOR) == owners
    clock.now = KNOWN_FOR + 1
    assert names.known(key, "1", KNOWN_FOR) is None


def test_of_too_many_names_those_that_were_learned_first_go() -> None:
    names = KnownNames(Clock(), most=6)
    two = {"x": ("a", "x"), "y": ("a", "y")}
    for _ in range(3):
        names.learn(("a",), "1", two)
    names.learn(("b",), "1", two)
    assert names.known(("a",), "1", 1) == names.known(("b",), "1", 1) == two
    names.learn(("c",), "1", {})
    assert names.known(("a",), "1", 1) is None
    assert names.known(("b",), "1", 1) == two
    for many in ("abcdefgh", ["a" * 64 * 8]):
        names.learn(("d",), "1", dict.fromkeys(many, ("a", "x")))
        assert names.known(("d",), "1", 1) is None
