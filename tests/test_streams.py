"""How many streams one caller may have open on one connection: each of its own, and calls need no place."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Connection, Kind, MCPRequest, Principal
from mcpgov.streams import Streams
from tests.audit.calls import ALICE, CITY
from tests.upstream.calls import bodiless, call

GET = bodiless(Kind.STREAM)
BOB = replace(ALICE, id="bob")
TOWN = replace(CITY, name="town")


@pytest.mark.parametrize("stream", [GET, call("subscriptions/listen")])
@pytest.mark.parametrize(
    ("request_", "connection", "principal", "refused"),
    [
        (GET, CITY, ALICE, True),
        (call("subscriptions/listen"), CITY, ALICE, True),
        (call(), CITY, ALICE, False),
        (bodiless(Kind.END), CITY, ALICE, False),
        (GET, TOWN, ALICE, False),
        (GET, CITY, BOB, False),
    ],
)
def test_one_stream_too_many_is_refused_and_nothing_else(
    stream: MCPRequest, request_: MCPRequest, connection: Connection, principal: Principal, *, refused: bool
) -> None:
    streams = Streams(of_one=1)
    with streams.place(stream, CITY, ALICE), ExitStack() as second:
        if not refused:
            second.enter_context(streams.place(request_, connection, principal))
            return
        with pytest.raises(Refusal) as no:
            second.enter_context(streams.place(request_, connection, principal))
        assert (no.value.reason, no.value.headers) == (Reason.CONCURRENCY_LIMITED, (("Retry-After", "5"),))


def test_a_stream_that_ends_however_it_ends_leaves_its_place() -> None:
    streams = Streams(of_one=2)
    with streams.place(GET, CITY, ALICE):
        for _ in range(3):
            with pytest.raises(LookupError), streams.place(GET, CITY, ALICE):
                raise LookupError
    with streams.place(GET, CITY, ALICE), streams.place(GET, CITY, ALICE):
        pass
