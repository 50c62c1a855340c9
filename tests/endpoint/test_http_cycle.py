"""One request and its answer, on a connection in memory."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpgov.endpoint.http_cycle import LEAVING
from mcpgov.endpoint.http_protocol import StrictHttpProtocol
from mcpgov.endpoint.server import GatewayServer

HEAD = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
Serve = Callable[[Any, Any, Any], Awaitable[None]]


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


class Memory(asyncio.Transport):
    """What was written, piece by piece, and whether it is read on."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Connection:
    """One connection to an application, and what comes over it."""

    def __init__(self, app: Serve) -> None:
        self.wire = Memory()
        self.server = GatewayServer(app)
        config: Any = self.server.config
        config.load()
        self.protocol = StrictHttpProtocol(config, self.server.server_state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.wire)

    async def sends(self, *pieces: bytes) -> None:
        """What the client says, and what the application does until it waits."""
        for piece in pieces:
            self.protocol.data_received(piece)
            for _ in range(5):
                await asyncio.sleep(0)

    def leaves(self) -> None:
        self.protocol.connection_lost(ConnectionResetError())


async def answers(_scope: Any, _receive: Any, send: Any) -> None:
    await send(OK)
    await send(body(b"ok"))


async def test_an_answer_of_known_length_goes_out_in_one_piece() -> None:
    connection = Connection(answers)
    await connection.sends(HEAD + b"{}")
    assert connection.wire.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    await connection.sends(HEAD + b"{}")
    assert len(connection.wire.written) == 2
    connection.leaves()


async def test_the_head_of_a_stream_goes_out_before_its_first_event_and_each_event_by_itself() -> None:
    go_on = asyncio.Event()

    async def streams(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send(body(b"data: 1\n\n", more=True))
        await send(body(b""))

    connection = Connection(streams)
    await connection.sends(HEAD + b"{}")
    assert connection.wire.written == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
    go_on.set()
    await connection.sends()
    await asyncio.sleep(0)
    assert connection.wire.written[1:] == [b"9\r\ndata: 1\n\n\r\n", b"0\r\n\r\n"]
    connection.leaves()


async def test_head_is_answered_without_a_body_and_204_without_a_length() -> None:
    connection = Connection(answers)
    await connection.sends(b"HEAD /one HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.wire.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"]

    async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send(body(b""))

    connection = Connection(nothing)
    await connection.sends(HEAD + b"{}")
    assert connection.wire.written == [b"HTTP/1.1 204 No Content\r\n\r\n"]


@pytest.mark.parametrize(
    "field", [(b"x-a", b"1\r\nset-cookie: a=b"), (b"x-a\r\nset-cookie", b"1"), (b"x a", b"1"), (b"x-a", b"\x00")]
)
async def test_a_field_that_would_begin_another_is_never_sent(field: tuple[bytes, bytes]) -> None:
    async def splits(_scope: Any, _receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-b", b"2"), field]})

    connection = Connection(splits)
    await connection.sends(HEAD + b"{}")
    assert b"set-cookie" not in b"".join(connection.wire.written)
    assert connection.wire.closed


@pytest.mark.parametrize("pieces", [[body(b"o")], [body(b"oks", more=True)], [body(b"o", more=True), body(b"ks")]])
async def test_an_answer_that_is_not_as_long_as_was_said_ends_the_connection(pieces: list[dict[str, Any]]) -> None:
    async def lies(_scope: Any, _receive: Any, send: Any) -> None:
        await send(OK)
        for piece in pieces:
            await send(piece)

    connection = Connection(lies)
    await connection.sends(HEAD + b"{}")
    assert connection.wire.closed


async def test_a_large_answer_may_come_in_pieces() -> None:
    async def parts(_scope: Any, _receive: Any, send: Any) -> None:
        await send(OK)
        await send(body(b"o", more=True))
        await send(body(b"k"))

    connection = Connection(parts)
    await connection.sends(HEAD + b"{}")
    assert b"".join(connection.wire.written).endswith(b"\r\n\r\nok")
    connection.leaves()


@pytest.mark.parametrize("order", [[body(b"ok")], [OK, OK], [OK, body(b"ok"), body(b"")]])
async def test_what_is_said_out_of_turn_is_an_error(order: list[dict[str, Any]]) -> None:
    failed: list[bool] = []

    async def mistaken(_scope: Any, _receive: Any, send: Any) -> None:
        try:
            for message in order:
                await send(message)
        except RuntimeError:
            failed.append(True)

    connection = Connection(mistaken)
    await connection.sends(HEAD + b"{}")
    assert failed == [True]


@pytest.mark.parametrize("said", [b"close", b"Keep-Alive, Close"])
async def test_an_answer_that_closes_the_connection_says_so_once(said: bytes) -> None:
    async def last(_scope: Any, _receive: Any, send: Any) -> None:
        await send({**OK, "headers": [(b"content-length", b"2"), (b"connection", said)]})
        await send(body(b"ok"))

    connection = Connection(last)
    await connection.sends(HEAD + b"{}")
    assert b"".join(connection.wire.written).lower().count(b"connection: ") == 1
    assert connection.wire.closed


class Leaving:
    """An application that reads its body, is told when its client leaves, and may never answer."""

    def __init__(self, *, answer: bool = False) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.left = 0
        self.scope: Any = None
        self.told: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while (message := await receive()).get("more_body", False):
            self.bodies.append(message["body"])
        self.bodies.append(message.get("body", b"gone"))
        scope["extensions"][LEAVING](self.note)
        if self.answer:
            await answers(scope, receive, send)
        self.told = await receive()

    def note(self) -> None:
        self.left += 1


async def test_who_asked_is_told_once_that_the_client_left_and_receives_it_too() -> None:
    app = Leaving()
    connection = Connection(app)
    await connection.sends(HEAD, b"{", b"}")
    assert (app.bodies, app.left) == ([b"{", b"}"], 0)
    connection.leaves()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (app.left, app.told) == (1, {"type": "http.disconnect"})


async def test_who_asks_too_late_is_told_at_once() -> None:
    app = Leaving()
    connection = Connection(app)
    await connection.sends(HEAD, b"{")
    connection.leaves()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (app.bodies, app.left) == ([b"{", b"gone"], 1)


async def test_a_client_that_leaves_with_its_whole_answer_has_not_left() -> None:
    app = Leaving(answer=True)
    connection = Connection(app)
    await connection.sends(HEAD + b"{}")
    assert app.told == {"type": "http.disconnect"}
    connection.leaves()
    assert app.left == 0


async def test_a_body_that_nobody_receives_is_not_read_on_and_one_that_is_received_is() -> None:
    go_on = asyncio.Event()
    app = Leaving()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await app(scope, receive, send)

    connection = Connection(late)
    size = 70_000
    await connection.sends(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    assert not connection.wire.reading
    go_on.set()
    await connection.sends()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(b"".join(app.bodies)) == size
    assert connection.wire.reading  # or nobody would see the client leave
    connection.leaves()


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_once() -> None:
    app = Leaving(answer=True)
    connection = Connection(app)
    await connection.sends(HEAD.replace(b"Host", b"Expect: 100-Continue\r\nHost"))
    assert connection.wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    await connection.sends(b"{}")
    assert connection.wire.written[1:] == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    connection.leaves()


async def test_a_call_that_was_answered_leaves_nothing_to_collect() -> None:
    app = Leaving(answer=True)
    connection = Connection(app)
    await connection.sends(HEAD + b"{}")
    first = weakref.ref(connection.protocol.cycle)
    app.scope = None
    gc.disable()
    try:
        await connection.sends(HEAD + b"{}")
        assert first() is None
    finally:
        gc.enable()
    connection.leaves()
