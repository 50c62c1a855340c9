"""A payload is taken when the place has it, and whatever else happens is told as what it is, without a secret."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.responses import Response

from mcpgov.audit.export_targets import FolderFiles, HttpPost, SyslogStream, left, rejected
from mcpgov.audit.exported import Payload
from mcpgov.audit.exporting import TargetRefused, TargetUnavailable
from mcpgov.models import Secret
from mcpgov.store.database import place_bytes
from mcpgov.web import GuardedWeb
from tests.peers.tls import throw_away_tls
from tests.peers.web_peer import Asked, WebPeer

PAYLOAD = Payload(b"{}\n" * 100_000, 2, "application/x-ndjson", "2026-11-20/1-2-abc.jsonl")
LINGER = struct.pack("ii", 1, 0)  # a close that resets


class Collector(WebPeer):
    """Takes everything."""

    async def answer(self, asked: Asked) -> Response:
        assert asked.method == "POST"
        return Response(status_code=204)


@asynccontextmanager
async def collector() -> AsyncGenerator[tuple[Collector, HttpPost]]:
    async with Collector() as peer:
        headers = (("authorization", Secret("Bearer hunter2")),)
        yield peer, HttpPost(peer.url, Secret(f"{peer.url}/v1/logs?key=hunter2"), GuardedWeb(), headers, private=True)


async def test_a_folder_gets_one_file_for_a_payload_however_often_it_is_sent(tmp_path: Path) -> None:
    target = FolderFiles(tmp_path / "out", place_bytes)
    await target.put(PAYLOAD)
    await target.put(PAYLOAD)
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["1-2-abc.jsonl"]
    assert (tmp_path / "out" / PAYLOAD.name).read_bytes() == PAYLOAD.body
    assert target.name == (tmp_path / "out").as_uri()


async def test_a_folder_that_cannot_be_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TargetUnavailable, match="out"):
        await FolderFiles(tmp_path / "out", place_bytes).put(PAYLOAD)


async def test_a_url_gets_the_payload_with_its_headers() -> None:
    async with collector() as (peer, target):
        await target.put(PAYLOAD)
    (asked,) = peer.ledger
    assert (asked.path, asked.query, asked.body) == ("/v1/logs", {"key": "hunter2"}, PAYLOAD.body)
    assert asked.headers["content-type"] == "application/x-ndjson"
    assert asked.headers["authorization"] == "Bearer hunter2"
    assert "hunter2" not in repr(target)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_payload_that_is_at_fault_is_refused(status: int) -> None:
    async with collector() as (peer, target):
        peer.fail("/v1/logs", Response(status_code=status))
        with pytest.raises(TargetRefused, match=f"answered {status}") as refused:
            await target.put(PAYLOAD)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "asked", "seconds"),
    [
        (429, "30", 30.0),
        (503, None, None),
        (503, "Fri, 20 Nov 2026 12:00:00 GMT", None),
        (401, "", None),
        (302, "5", 5.0),
    ],
)
async def test_any_other_answer_is_a_matter_of_when(status: int, asked: str | None, seconds: float | None) -> None:
    async with collector() as (peer, target):
        peer.fail("/v1/logs", Response(status_code=status, headers={} if asked is None else {"retry-after": asked}))
        with pytest.raises(TargetUnavailable, match=f"answered {status}") as unavailable:
            await target.put(PAYLOAD)
    assert unavailable.value.retry_after == seconds


async def test_a_url_that_cannot_be_reached_is_waited_for() -> None:
    target = HttpPost("https://127.0.0.1", Secret("https://127.0.0.1/hunter2"), GuardedWeb())
    with pytest.raises(TargetUnavailable, match="not public") as unavailable:
        await target.put(PAYLOAD)
    assert "hunter2" not in str(unavailable.value)


async def test_what_an_opentelemetry_collector_threw_away_was_not_taken() -> None:
    async with collector() as (peer, target):
        peer.fail("/v1/logs", Response('{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}'))
        with pytest.raises(TargetRefused, match="rejected 2"):
            await target.put(PAYLOAD)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"ok", b"[]", b"{}", b'{"partialSuccess":{}}', b'{"partialSuccess":null}', b"[" * 100_000),
        *(b'{"partialSuccess":{"rejectedLogRecords":%b}}' % number for number in (b"1e999", b"NaN", b"9" * 5_000)),
    ],
)
def test_any_other_success_is_one(body: bytes) -> None:
    assert rejected(body) == 0


@dataclass
class Receiver:
    """A syslog receiver on loopback: reads one connection in its own way."""

    port: int
    got: bytearray = field(default_factory=bytearray)

    def read(self, stream: socket.socket) -> None:
        """All of it, until the other side ends."""
        while piece := stream.recv(65_536):
            self.got += piece


@contextmanager
def receiver(serve: Callable[[Receiver, socket.socket], None]) -> Generator[Receiver]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Receiver(listening.getsockname()[1])

        def run() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as stream:
                serve(made, stream)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield made
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_a_syslog_receiver_has_read_all_when_it_is_taken() -> None:
    def serve(there: Receiver, stream: socket.socket) -> None:
        there.read(stream)
        stream.sendall(b"goodbye")  # what a receiver says is nobody's business

    with receiver(serve) as there:
        target = SyslogStream("127.0.0.1", there.port, None, private=True)
        await target.put(PAYLOAD)
        assert bytes(there.got) == PAYLOAD.body
        assert target.name == f"syslog+tcp://127.0.0.1:{there.port}"


async def over_tls(folder: Path, target: Callable[[int, ssl.SSLContext], SyslogStream], *, orderly: bool) -> bytes:
    """What a receiver read over TLS that ended with close_notify, or without."""
    files = throw_away_tls(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate_file, files.key_file)

    def serve(there: Receiver, stream: socket.socket) -> None:
        with context.wrap_socket(stream, server_side=True) as secured:
            there.read(secured)
            if orderly:
                secured.unwrap().close()

    with receiver(serve) as there:
        await target(there.port, files.client_context()).put(PAYLOAD)
        return bytes(there.got)


def syslog(port: int, tls: ssl.SSLContext) -> SyslogStream:
    return SyslogStream("localhost", port, tls, private=True)


async def test_a_syslog_receiver_over_tls_has_read_all_when_it_says_close_notify(tmp_path: Path) -> None:
    assert await over_tls(tmp_path, syslog, orderly=True) == PAYLOAD.body
    assert syslog(6514, ssl.create_default_context()).name == "syslog+tls://localhost:6514"


async def test_an_end_that_anybody_on_the_way_could_have_made_is_none(tmp_path: Path) -> None:
    with pytest.raises(TargetUnavailable, match="EOF"):
        await over_tls(tmp_path, syslog, orderly=False)


async def test_an_end_without_close_notify_is_one_where_the_settings_say_so(tmp_path: Path) -> None:
    def told(port: int, tls: ssl.SSLContext) -> SyslogStream:
        return SyslogStream("localhost", port, tls, private=True, close_notify=False)

    assert await over_tls(tmp_path, told, orderly=False) == PAYLOAD.body


async def test_a_receiver_that_broke_off_has_not_taken_it() -> None:
    def serve(_: Receiver, stream: socket.socket) -> None:
        stream.recv(100)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)

    with receiver(serve) as there, pytest.raises(TargetUnavailable, match="syslog"):
        await SyslogStream("127.0.0.1", there.port, None, private=True).put(PAYLOAD)


async def test_a_receiver_that_hangs_is_given_up() -> None:
    done = threading.Event()

    def serve(there: Receiver, stream: socket.socket) -> None:
        there.read(stream)
        done.wait(10)

    with receiver(serve) as there:
        with pytest.raises(TargetUnavailable, match="timed out"):
            await SyslogStream("127.0.0.1", there.port, None, private=True, patience=0.1).put(PAYLOAD)
        done.set()


def test_where_no_time_is_left_nothing_is_waited_for() -> None:
    with pytest.raises(TimeoutError):
        left(0.0)


async def test_a_receiver_that_goes_on_and_on_is_given_up() -> None:
    def serve(there: Receiver, stream: socket.socket) -> None:
        there.read(stream)
        while True:  # until the other side resets
            stream.sendall(b"x")

    with receiver(serve) as there, pytest.raises(TargetUnavailable, match="timed out"):
        await SyslogStream("127.0.0.1", there.port, None, private=True, patience=0.2).put(PAYLOAD)


async def test_a_receiver_with_the_wrong_certificate_gets_nothing(tmp_path: Path) -> None:
    files = throw_away_tls(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate_file, files.key_file)

    def serve(there: Receiver, stream: socket.socket) -> None:
        with context.wrap_socket(stream, server_side=True) as secured:
            there.read(secured)

    with receiver(serve) as there:
        with pytest.raises(TargetUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await SyslogStream("localhost", there.port, ssl.create_default_context(), private=True).put(PAYLOAD)
        assert there.got == b""


async def test_an_address_of_ones_own_network_has_to_be_allowed() -> None:
    with pytest.raises(TargetUnavailable, match="not public; private: true allows it"):
        await SyslogStream("127.0.0.1", 9, None).put(PAYLOAD)


async def test_a_name_without_an_address_is_waited_for() -> None:
    async def nowhere(host: str, port: int) -> tuple[str, ...]:
        await asyncio.sleep(0)
        return ()

    with pytest.raises(TargetUnavailable, match="syslog"):
        await SyslogStream("gone.example", 9, None, resolve=nowhere).put(PAYLOAD)
