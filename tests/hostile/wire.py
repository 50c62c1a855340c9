"""Hostile requests as they go over the wire, byte for byte, and what was said to each."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

EVIL: Final = "evil_tool"  # what no upstream must ever hear of
KEY: Final = "@@the-key-of-the-gateway@@"  # where the caller's key stands until a case is sent
SAFE: Final = "safe_tool"
STATELESS: Final = "2026-07-28"
HANDSHAKES: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
VERSIONS: Final = (STATELESS, *HANDSHAKES)
META: Final[Mapping[str, Any]] = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientCapabilities": {},
}
PATIENCE: Final = 20.0  # seconds until an answer is no longer waited for
MOST: Final = 64 << 20  # bytes of an answer that are read
ENDLESS: Final = 25.0  # seconds after which an answer that still comes has no end
QUIET: Final = 0.25  # seconds after an answer in which a second one would come
ANSWER: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3})")
CORRELATION: Final = re.compile(rb"x-correlation-id: ([0-9a-f]+)", re.IGNORECASE)
LENGTH: Final = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
SUCCESS: Final = re.compile(rb'"result":')

Fields = tuple[tuple[str, str | bytes], ...]


class Fate(Enum):
    """What must become of a case. Whatever is executed must be what was seen."""

    REFUSED = "refused"
    EXECUTED = "executed"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Case:
    """One attempt. `body` is what the upstream must get when it is executed, `arguments` the part that policy and
    record saw; `needed` must stand in what the upstream got. `source` is the address that it comes from.
    """

    name: str
    raw: bytes
    fate: Fate = Fate.REFUSED
    body: bytes | None = None
    arguments: bytes | None = None
    needed: bytes = b""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What came back for a case: the status of each answer, the first one's correlation id, everything as bytes, how
    long that took, and whether it came to an end.
    """

    case: Case
    statuses: tuple[int, ...]
    correlation: str
    raw: bytes
    seconds: float
    ended: bool = True

    @property
    def is_success(self) -> bool:
        """Whether the first answer is the result of a call."""
        body = self.raw.partition(b"\r\n\r\n")[2]
        return self.statuses[:1] == (200,) and SUCCESS.search(body) is not None and b'"isError":true' not in body


def message(tool: str = SAFE, version: str = STATELESS, request_id: object = "1", arguments: object = None) -> bytes:
    """A tools/call as this project's clients write it."""
    params: dict[str, object] = {"name": tool, "arguments": {"city": "Kyoto"} if arguments is None else arguments}
    if version == STATELESS:
        params["_meta"] = META
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}).encode()


def fields(version: str = STATELESS, tool: str = SAFE, method: str = "tools/call") -> dict[str, str | bytes]:
    """The header fields that go with a tools/call."""
    given: dict[str, str | bytes] = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Connection": "close",
        "X-API-Key": KEY,
    }
    if version:
        given["MCP-Protocol-Version"] = version
    if version == STATELESS:
        given |= {"Mcp-Method": method, "Mcp-Name": tool}
    return given


def request(body: bytes, given: Mapping[str, str | bytes], path: str = "/mcp/raw", more: Fields = ()) -> bytes:
    """A POST of these bytes with these fields, and `more` of them behind; its length is told unless one tells it."""
    names = {name.lower() for name in (*given, *(name for name, _ in more))}
    measured = {} if names & {"content-length", "transfer-encoding"} else {"Content-Length": str(len(body))}
    return post(path, (*given.items(), *measured.items(), *more)) + body


def post(target: str | bytes, lines: Fields, verb: str = "POST") -> bytes:
    """The head of a request, with every line as it is given."""
    written = [f"{verb} ".encode() + raw(target) + b" HTTP/1.1"]
    written += [raw(name) + b": " + raw(value) for name, value in lines]
    return b"\r\n".join(written) + b"\r\n\r\n"


def raw(text: str | bytes) -> bytes:
    """Text as it goes over the wire: a field may hold any byte."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def call(body: bytes, version: str = STATELESS, path: str = "/mcp/raw", tool: str = SAFE) -> bytes:
    """A POST of these bytes as a tools/call of that version."""
    return request(body, fields(version, tool), path)


async def ask(port: int, case: Case, key: str) -> Said:
    """Send one case over a connection of its own with a caller's key, and hear what comes until there is no more."""
    began, got, patience, ended = time.perf_counter(), bytearray(), PATIENCE, False
    source = (case.source, 0) if case.source else None
    answered = began
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
    sending = asyncio.create_task(send(writer, case.raw.replace(KEY.encode(), key.encode())))
    with suppress(TimeoutError, ConnectionError):
        while len(got) < MOST and time.perf_counter() - began < ENDLESS:
            part = await asyncio.wait_for(reader.read(1 << 16), patience)
            if not part:
                ended = True
                break
            got += part
            answered = time.perf_counter()
            patience = QUIET if is_whole(got) else PATIENCE
    sending.cancel()
    writer.close()
    with suppress(ConnectionError, asyncio.CancelledError):
        await sending
    whole = bytes(got)
    found = CORRELATION.search(whole)
    statuses = tuple(int(status) for status in ANSWER.findall(whole))
    return Said(case, statuses, found[1].decode() if found else "", whole, answered - began, ended or is_whole(whole))


async def send(writer: asyncio.StreamWriter, what: bytes) -> None:
    """Write it all, as far as the other side takes it."""
    with suppress(ConnectionError):
        writer.write(what)
        await writer.drain()


def is_whole(got: bytes | bytearray) -> bool:
    """Whether the first answer is there as a whole, as far as its length was told."""
    end = got.find(b"\r\n\r\n", 0, 1 << 16)
    length = LENGTH.search(got, 0, end + 2) if end >= 0 else None
    return length is not None and len(got) - end - 4 >= int(length[1])
