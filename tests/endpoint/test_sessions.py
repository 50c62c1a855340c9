"""The seal on session ids: good for one principal on one connection, and for nobody else."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.endpoint.sessions import SessionSeal
from mcpgov.errors import Refusal

SEAL = SessionSeal(bytes(range(32)))
UPSTREAM_IDS = st.text(string.digits + string.ascii_letters + string.punctuation, min_size=1, max_size=64)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def refused(seal: SessionSeal, sealed: str, principal: str, connection: str) -> Reason:
    """Why this id is not opened."""
    with pytest.raises(Refusal) as caught:
        seal.open(sealed, principal, connection)
    return caught.value.reason


@given(UPSTREAM_IDS, NAMES, NAMES)
def test_what_was_sealed_is_opened_for_the_same_two(session: str, principal: str, connection: str) -> None:
    sealed = SEAL.seal(session, principal, connection)
    assert SEAL.open(sealed, principal, connection) == session
    assert set(sealed) <= set(string.ascii_letters + string.digits + "-_")


def test_a_session_has_one_sealed_id() -> None:
    assert SEAL.seal("s-1", "key:1", "github") == SEAL.seal("s-1", "key:1", "github")
    assert SEAL.seal("s-1", "key:1", "github") != SEAL.seal("s-2", "key:1", "github")


def test_presented_by_anyone_else_or_anywhere_else_there_is_no_such_session() -> None:
    callers = [(principal, connection) for principal in ("a", "b", "ab", "") for connection in ("a", "b", "ab", "")]
    for owner in callers:
        sealed = SEAL.seal("session", *owner)
        for caller in callers:
            if caller == owner:
                assert SEAL.open(sealed, *caller) == "session"
            else:
                assert refused(SEAL, sealed, *caller) is Reason.UNKNOWN_SESSION


def test_another_key_opens_nothing() -> None:
    sealed = SEAL.seal("session", "a", "b")
    assert refused(SessionSeal(bytes(32)), sealed, "a", "b") is Reason.UNKNOWN_SESSION


def test_the_upstream_id_cannot_be_read_from_the_sealed_one() -> None:
    assert "session" not in SEAL.seal("session", "a", "b")


@given(st.text(max_size=40))
def test_a_made_up_id_is_unknown(made_up: str) -> None:
    assert refused(SEAL, made_up, "a", "b") is Reason.UNKNOWN_SESSION


def test_every_change_of_one_character_is_unknown_also_one_that_spells_the_same_bytes() -> None:
    sealed = SEAL.seal("session", "a", "b")
    changed = [
        sealed[:at] + letter + sealed[at + 1 :]
        for at in range(len(sealed))
        for letter in string.ascii_letters + string.digits + "-_+/= \n"
    ]
    for other in {*changed, sealed + "=", sealed + "\n", sealed + "A", sealed[:-1], "session", ""} - {sealed}:
        assert refused(SEAL, other, "a", "b") is Reason.UNKNOWN_SESSION


def test_an_id_of_the_upstream_is_visible_ascii_of_a_reasonable_length() -> None:
    assert SEAL.open(SEAL.seal("x" * 1024, "a", "b"), "a", "b") == "x" * 1024
    for session in ("", "x" * 1025, "a b", "a\n", "\u00e9", "a\x7f"):
        with pytest.raises(Refusal) as caught:
            SEAL.seal(session, "a", "b")
        assert caught.value.reason is Reason.UPSTREAM_INVALID


def test_an_id_longer_than_any_we_gave_is_not_looked_at() -> None:
    longest = SEAL.seal("x" * 1024, "a", "b")
    assert refused(SEAL, longest + "AAAA", "a", "b") is Reason.UNKNOWN_SESSION


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SessionSeal(bytes(31))


def test_the_seal_does_not_print_its_key() -> None:
    assert "key" not in repr(SessionSeal(b"key" * 20))
