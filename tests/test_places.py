"""How many requests may be under way: of all, of one caller, of one caller at one place."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Connection, Kind, MCPRequest, Principal
from mcpgov.places import Most, Places, share
from tests.audit.calls import ALICE, CITY
from tests.upstream.calls import bodiless, call

GET = bodiless(Kind.STREAM)
LISTEN = call("subscriptions/listen")
CANCEL = call("notifications/cancelled", request_id=None)
BOB = replace(ALICE, id="bob")
TOWN = replace(CITY, name="town")
AGGREGATE = replace(CITY, name="")
MANY = 1000


def taken(places: Places, *, request: MCPRequest, count: int = MANY, **who: object) -> tuple[int, Refusal | None]:
    """How many of `count` requests get a place, and what the next one is told; all are given back."""
    connection, principal = who.get("connection", CITY), who.get("principal", ALICE)
    assert isinstance(connection, Connection)
    assert isinstance(principal, Principal)
    with ExitStack() as stack:
        for number in range(count):
            try:
                stack.enter_context(places.place(request, connection, principal))
            except Refusal as refusal:
                return number, refusal
    return count, None


@pytest.mark.parametrize(
    ("most", "request_", "room"),
    [
        (Most(calls_per_caller=7), call(), 7),
        (Most(calls=20), call(), 10),
        (Most(calls_per_upstream=30), call(), 15),
        (Most(calls_per_upstream=1), call(), 1),
        (Most(calls=1), call(), 1),
        (Most(streams_per_caller=7), GET, 7),
        (Most(streams_per_caller=7), LISTEN, 7),
        (Most(streams=20), GET, 10),
        (Most(calls_per_upstream=40), GET, 10),
        (Most(calls_per_caller=1, streams_per_caller=1, calls_per_upstream=40), bodiless(Kind.END), 10),
        (Most(calls_per_caller=1, streams_per_caller=1, calls_per_upstream=40), CANCEL, 10),
        (Most(calls_per_upstream=1), CANCEL, 1),
        (Most(calls=20), CANCEL, 10),
    ],
)
def test_a_caller_has_so_many_places_at_one_connection_and_is_told_when_to_come_back(
    most: Most, request_: MCPRequest, room: int
) -> None:
    places = Places(most)
    count, refusal = taken(places, request=request_)
    assert count == room
    assert places.taken == 0
    if refusal is not None:
        assert refusal.reason is Reason.CONCURRENCY_LIMITED
        assert [name for name, _ in refusal.headers] == ["Retry-After"]


@pytest.mark.parametrize("request_", [call(), GET, CANCEL])
def test_above_what_all_may_have_together_it_is_the_gateway_that_is_full(request_: MCPRequest) -> None:
    places = Places(Most(calls=4, streams=4))
    with ExitStack() as stack:
        for name in ("a", "a", "b", "b"):
            stack.enter_context(places.place(request_, CITY, replace(ALICE, id=name)))
        count, refusal = taken(places, request=request_, principal=BOB)
        assert count == 0
        assert refusal is not None
        assert (refusal.reason, refusal.headers[0][0]) == (Reason.OVERLOADED, "Retry-After")
    assert places.taken == 0


@pytest.mark.parametrize("request_", [call(), GET, LISTEN, CANCEL])
def test_one_that_holds_all_it_can_leaves_the_others_as_many_and_its_own_elsewhere(request_: MCPRequest) -> None:
    places = Places(Most(calls_per_upstream=40))
    with ExitStack() as stack:
        alone = taken(places, request=request_)[0]
        for _ in range(alone):
            stack.enter_context(places.place(request_, CITY, ALICE))
        assert taken(places, request=request_, principal=BOB)[0] == alone
        assert taken(places, request=request_, connection=TOWN)[0] == alone
        other = GET if request_.method == "tools/call" else call()
        assert taken(places, request=other)[0] > 0


def test_one_with_every_place_of_every_sort_leaves_the_pool_of_an_upstream_room_for_others() -> None:
    most = Most(calls_per_upstream=40, streams_per_caller=4)
    assert sum(taken(Places(most), request=request)[0] for request in (call(), GET, CANCEL)) < 40


def test_at_the_aggregate_there_is_no_upstream_to_share() -> None:
    places = Places(Most(calls_per_upstream=4, calls_per_caller=9, streams_per_caller=8))
    assert taken(places, request=call(), connection=AGGREGATE)[0] == 9
    assert taken(places, request=GET, connection=AGGREGATE)[0] == 8
    assert taken(places, request=CANCEL, connection=AGGREGATE)[0] == MANY


def test_a_request_that_ends_however_it_ends_leaves_its_place() -> None:
    places = Places(Most(streams_per_caller=2, calls_per_caller=2))
    for request in (GET, call()):
        with places.place(request, CITY, ALICE):
            for _ in range(3):
                with pytest.raises(LookupError), places.place(request, CITY, ALICE):
                    raise LookupError
        with places.place(request, CITY, ALICE), places.place(request, CITY, ALICE):
            pass
    assert places.taken == 0


STEPS = st.lists(
    st.tuples(st.sampled_from([GET, call(), LISTEN]), st.sampled_from([CITY, TOWN, AGGREGATE]), st.sampled_from("abc"))
)


@given(STEPS, st.integers(1, 6), st.integers(1, 6))
def test_after_any_sequence_nothing_is_taken_and_no_caller_ever_had_all(
    steps: list[tuple[MCPRequest, Connection, str]], most: int, own: int
) -> None:
    places = Places(Most(most, own, most, most, own))
    open_: list[tuple[bool, str]] = []
    with ExitStack() as stack:
        for request, connection, name in steps:
            try:
                stack.enter_context(places.place(request, connection, replace(ALICE, id=name)))
            except Refusal:
                continue
            open_.append((request.method == "tools/call", name))
            assert open_.count(open_[-1]) <= share(most)
            assert sum(call is open_[-1][0] for call, _ in open_) <= most
    assert places.taken == 0
