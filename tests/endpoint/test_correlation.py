"""Ids that are drawn many at a time, and given once."""

import os

import pytest

from mcpgov.endpoint.correlation import DRAWN, CorrelationIds


def test_no_id_is_given_twice_and_each_is_32_hex_digits() -> None:
    ids = CorrelationIds()
    given = [ids.next() for _ in range(3 * DRAWN)]
    assert len(set(given)) == len(given)
    assert all(len(one) == 32 and int(one, 16) > 0 for one in given)


def test_the_system_is_asked_once_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(size: int) -> bytes:
        asked.append(size)
        return bytes(range(256)) * (size // 256)

    monkeypatch.setattr(os, "urandom", noted)
    ids = CorrelationIds()
    for _ in range(DRAWN + 1):
        ids.next()
    assert asked == [12 * DRAWN] * 2


def test_ids_follow_one_another_in_time_so_that_an_index_of_them_grows_at_its_end() -> None:
    seconds = iter((0x6000_0000, 0x6000_0001, 0x1_0000_0002))  # the last is in the year 2106
    ids = CorrelationIds(lambda: next(seconds))
    first, second, later = ([ids.next() for _ in range(DRAWN)] for _ in range(3))
    assert max(first) < min(second)
    assert {one[:8] for one in later} == {"00000002"}


def test_halves_are_spans_of_their_own_and_never_the_same() -> None:
    ids = CorrelationIds(lambda: 0.0)
    given = [ids.next() for _ in range(DRAWN)]
    for half in (slice(16), slice(16, 32)):
        assert len({one[half] for one in given}) == len(given)


def test_what_was_drawn_before_a_fork_is_not_given_on_both_sides_of_it() -> None:
    ids = CorrelationIds()
    ids.next()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, ids.next().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 32).decode()
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 32
    assert theirs not in {ids.next() for _ in range(DRAWN)}
