"""One budget of bytes for all that is held: what is beyond it is refused, and what was held is given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.buffers import Buffers
from mcpgov.decision import Reason
from mcpgov.errors import Refusal


def refused(buffers: Buffers, caller: str, size: int) -> Reason:
    """Why so many bytes more cannot be held."""
    with buffers.holding(caller) as held, pytest.raises(Refusal) as no:
        held.now(size)
    assert no.value.headers == (("Retry-After", "1"),)
    return no.value.reason


def test_the_budget_is_one_for_all_and_a_caller_has_half_of_it() -> None:
    buffers = Buffers(100)
    with buffers.holding("a") as one, buffers.holding("b") as two:
        one.now(30)
        one.now(50)
        assert refused(buffers, "a", 1) is Reason.CONCURRENCY_LIMITED
        two.now(49)
        assert refused(buffers, "c", 2) is Reason.OVERLOADED
        with buffers.holding("c") as three:
            three.now(1)
            assert (buffers.held, buffers.holders) == (100, 3)
        one.now(10)
        assert buffers.held == 59
    assert (buffers.held, buffers.holders) == (0, 0)


def test_what_is_refused_takes_nothing() -> None:
    buffers = Buffers(100)
    held = buffers.hold("a")
    held.now(20)
    with pytest.raises(Refusal):
        held.now(60)
    assert buffers.held == 20
    held.give_back()
    held.give_back()
    assert buffers.held == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc"), st.integers(0, 80))))
def test_after_any_sequence_the_budget_is_whole(steps: list[tuple[int, str, int]]) -> None:
    buffers = Buffers(100)
    held = {(number, caller): buffers.hold(caller) for number in range(5) for caller in "abc"}
    for number, caller, size in steps:
        try:
            held[number, caller].now(size)
        except Refusal:
            held[number, caller].give_back()
        assert 0 <= buffers.held <= 100
    for one in held.values():
        one.give_back()
    assert (buffers.held, buffers.holders) == (0, 0)
