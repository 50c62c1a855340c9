"""Each upstream of each connection has a client, for as long as it is wanted or in use."""

import pytest

from mcpgov.errors import Refusal
from mcpgov.models import RemoteUpstream
from mcpgov.upstream.http_client import HttpRequest, HttpResponse
from mcpgov.upstream.pools import Pool, Pools
from tests.upstream.calls import starting, to

FIRST, SECOND = to("http://a.example/"), to("http://b.example/", name="other")


class Client:
    """A client that only closes."""

    def __init__(self) -> None:
        self.closed = 0

    async def request(self, request: HttpRequest) -> HttpResponse:
        raise AssertionError(request.url)

    async def close(self) -> None:
        self.closed += 1


class House:
    def __init__(self, most: int = 4) -> None:
        self.clients: list[Client] = []
        self.pools = Pools(self.opens, most)

    def opens(self, _: RemoteUpstream) -> Client:
        self.clients.append(Client())
        return self.clients[-1]

    def acquire(self, *, listens: bool = False) -> Pool:
        assert isinstance(FIRST.upstream, RemoteUpstream)
        return self.pools.acquire(FIRST, FIRST.upstream, listens=listens)

    @property
    def closed(self) -> list[int]:
        return [client.closed for client in self.clients]


async def test_calls_of_one_connection_share_a_client() -> None:
    house = House()
    assert house.acquire() is house.acquire()
    assert house.closed == [0]


async def test_a_place_that_is_given_back_can_be_taken() -> None:
    house = House(most=2)
    call, stream = house.acquire(), house.acquire(listens=True)
    with pytest.raises(Refusal, match="overloaded"):
        house.acquire()
    await house.pools.release(stream, listens=True)
    await house.pools.release(call, listens=False)
    assert (call.open_calls, call.open_streams) == (0, 0)
    house.acquire(listens=True)


async def test_what_is_retired_closes_with_its_last_call_and_what_is_unused_at_once() -> None:
    house = House()
    await house.pools.update([FIRST])
    pool = house.acquire()
    await house.pools.update([SECOND, starting("a-local-server")])
    assert (house.closed, house.acquire() is pool) == ([0], True)
    await house.pools.release(pool, listens=False)
    assert house.closed == [0]
    await house.pools.release(pool, listens=False)
    assert house.closed == [1]
    again = house.acquire()  # of a call that began before the reload
    await house.pools.release(again, listens=False)
    assert house.closed == [1, 1]


async def test_what_is_wanted_stays_when_nobody_uses_it() -> None:
    house = House()
    await house.pools.release(house.acquire(), listens=False)
    await house.pools.update([FIRST])
    assert house.closed == [0]
    await house.pools.update([])
    assert house.closed == [1]


async def test_closing_closes_all_and_a_call_that_ends_later_closes_nothing_twice() -> None:
    house = House()
    pool = house.acquire()
    await house.pools.update([])
    await house.pools.close()
    await house.pools.release(pool, listens=False)
    assert house.closed == [1]
