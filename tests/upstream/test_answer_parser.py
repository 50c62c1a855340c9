"""What is an answer, and what is none, however the bytes are cut into reads."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import aiohttp
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.upstream.aiohttp_client import AiohttpResponse
from mcpgov.upstream.answer_parser import FIELDS, HEAD_BYTES, INTERIM, AnswerParser, InvalidAnswer

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LENGTH = HEAD + b"content-length: %d\r\n\r\n"
Read = tuple[int, tuple[tuple[str, str], ...], bytes, bool, bool]


def read(sent: bytes, step: int = 0, *, ends: bool = False) -> Read:
    """Status, fields, body, whether it is complete, and whether the connection may be used again."""
    parser, body = AnswerParser(), b""
    for at in range(0, len(sent), step or max(1, len(sent))):
        parser.feed(sent[at : at + (step or len(sent))])
        body += parser.take()
    if ends:
        parser.end()
    return parser.status, parser.fields, body, parser.complete, parser.reusable


VALID = {
    "a length": (LENGTH % 2 + b"{}", b"{}", True),
    "no bytes": (LENGTH % 0, b"", True),
    "chunks": (CHUNKED + b"2\r\n{}\r\n1;ext=1\r\n \r\n0\r\n\r\n", b"{} ", True),
    "an empty body of chunks": (CHUNKED + b"0\r\n\r\n", b"", True),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nx: y\r\ncontent-type: a/b\r\n\r\n", b"{}", False),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\n{}", b"{}", True),
    "an empty reason": (b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}", b"{}", True),
    "interim answers": ((b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * INTERIM) + LENGTH % 2 + b"{}", b"{}", True),
    "204": (b"HTTP/1.1 204 No\r\n\r\n", b"", True),
    "304 with a length": (b"HTTP/1.1 304 No\r\ncontent-length: 9\r\n\r\n", b"", True),
    "says close": (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}", b"{}", False),
    "says that it stays": (HEAD + b"connection: Keep-Alive\r\ncontent-length: 2\r\n\r\n{}", b"{}", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"{}", False),
    "spaces around values": (HEAD + b"content-length: \t 2 \t\r\nx:\r\n\r\n{}", b"{}", True),
    "text of latin-1": (HEAD + b"x: \xe9\r\ncontent-length: 2\r\n\r\n{}", b"{}", True),
    "more than its length": (LENGTH % 2 + b"{}" + LENGTH % 2 + b"{}", b"{}", False),
    "more than its chunks": (CHUNKED + b"0\r\n\r\n" + LENGTH % 5 + b"hello", b"", False),
    "a line end behind its chunks": (CHUNKED + b"0\r\n\r\n\r\n", b"", False),
    "rubbish behind its chunks": (CHUNKED + b"0\r\n\r\n\0", b"", False),
    "a second answer behind no body": (b"HTTP/1.1 204 No\r\n\r\n" + LENGTH % 0, b"", False),
}


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
@pytest.mark.parametrize(("sent", "body", "reusable"), VALID.values(), ids=VALID)
def test_an_answer_is_read_to_its_end_and_no_further(sent: bytes, body: bytes, step: int, *, reusable: bool) -> None:
    assert read(sent, step)[2:] == (body, True, reusable)


def test_fields_have_lower_case_names_and_values_as_they_came() -> None:
    status, fields, *_ = read(b"HTTP/1.1 418 I am\r\nX-A:  B b \r\nx-a: \xff\r\n\r\n")
    assert (status, fields) == (418, (("x-a", "B b"), ("x-a", "\xff")))


INVALID = {
    "another protocol": b"220 mail.example ESMTP\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "no version": b"HTTP/1.2 200 OK\r\n\r\n",
    "lower case": b"http/1.1 200 OK\r\n\r\n",
    "a blank line before": b"\r\n" + LENGTH % 0,
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "four figures": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status of 0": b"HTTP/1.1 000 No\r\ncontent-length: 0\r\n\r\n" + LENGTH % 0,
    "two spaces": b"HTTP/1.1  200 OK\r\n\r\n",
    "a control character in the reason": b"HTTP/1.1 200 O\x01K\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Go\r\nupgrade: x\r\n\r\n",
    "too many interim answers": b"HTTP/1.1 100 Go\r\n\r\n" * (INTERIM + 1),
    "an interim answer of HTTP/1.0": b"HTTP/1.0 103 Early\r\n\r\n" + LENGTH % 2 + b"{}",
    "an interim answer with a length": b"HTTP/1.1 103 Early\r\nContent-Length: 2\r\n\r\n" + LENGTH % 2 + b"{}",
    "an interim answer in chunks": b"HTTP/1.1 103 Early\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n"
    + LENGTH % 2
    + b"{}",
    "an interim answer that closes": b"HTTP/1.1 103 Early\r\nconnection: close\r\n\r\n" + LENGTH % 2 + b"{}",
    "both framings": HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    "the same length twice": HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"content-length: 2, 2\r\n\r\n{}",
    "a signed length": HEAD + b"content-length: +2\r\n\r\n{}",
    "a length in hexadecimal": HEAD + b"content-length: 0x2\r\n\r\n{}",
    "an empty length": HEAD + b"content-length:\r\n\r\n{}",
    "a length without end": HEAD + b"content-length: 1000000000000000\r\n\r\n{}",
    "a length of no body that is none": b"HTTP/1.1 204 No\r\ncontent-length: x\r\n\r\n",
    "another coding": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": HEAD + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "identity": HEAD + b"transfer-encoding: identity\r\n\r\n",
    "an empty coding": HEAD + b"transfer-encoding:\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded field": HEAD + b"x: a\r\n b\r\n\r\n",
    "a space before the colon": HEAD + b"content-length : 2\r\n\r\n{}",
    "no name": HEAD + b": x\r\n\r\n",
    "no colon": HEAD + b"x\r\n\r\n",
    "a bare LF": HEAD + b"x: a\nb: c\r\n\r\n",
    "LF alone": b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
    "a bare CR": HEAD + b"x: a\rb: c\r\n\r\n",
    "NUL": HEAD + b"x: a\0\r\n\r\n",
    "DEL": HEAD + b"x: a\x7f\r\n\r\n",
    "a name of other letters": HEAD + b"\xe9: a\r\n\r\n",
    "no size": CHUNKED + b"size?\r\n",
    "a signed size": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a size in C": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a size with a space": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a size that is too large": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk that is too long": CHUNKED + b"2\r\n{} \r\n0\r\n\r\n",
    "a chunk that ends with LF": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "a line end in an extension": CHUNKED + b'2;a="\n"\r\n{}\r\n0\r\n\r\n',
    "a folded trailer": CHUNKED + b"0\r\nx: a\r\n b\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("sent", INVALID.values(), ids=INVALID)
def test_what_two_readers_could_read_differently_is_refused(sent: bytes, step: int) -> None:
    with pytest.raises(InvalidAnswer):
        read(sent, step)


def padded(start: bytes, size: int) -> bytes:
    """A head of so many bytes."""
    return start + b"x: " + b"y" * (size - len(start) - 7) + b"\r\n\r\n"


EARLY = b"HTTP/1.1 103 Early\r\n\r\n"
LONG: Mapping[str, Callable[[int], bytes]] = {
    "field": lambda over: padded(b"HTTP/1.1 204 No\r\n", HEAD_BYTES + over),
    "reason": lambda over: b"HTTP/1.1 204 " + b"N" * (HEAD_BYTES + over - 17) + b"\r\n\r\n",
    "interim": lambda over: EARLY * 3 + padded(b"HTTP/1.1 204 No\r\n", HEAD_BYTES + over - 3 * len(EARLY)),
    "an interim one": lambda over: padded(b"HTTP/1.1 103 No\r\n", HEAD_BYTES + over - 16) + b"HTTP/1.1 204\r\n\r\n",
}


@pytest.mark.parametrize("step", [0, 1000, 32767, 32768])
@pytest.mark.parametrize("name", LONG)
def test_a_head_may_have_so_many_bytes_and_no_more(name: str, step: int) -> None:
    assert read(LONG[name](0), step)[0] == 204
    with pytest.raises(InvalidAnswer):
        read(LONG[name](1), step)


def test_a_head_without_end_is_refused_when_it_is_too_long_and_not_later() -> None:
    parser = AnswerParser()
    parser.feed(HEAD + b"x: " + b"y" * (HEAD_BYTES - len(HEAD) - 4))
    with pytest.raises(InvalidAnswer):
        parser.feed(b"y")


def test_a_head_may_have_so_many_fields_and_no_more() -> None:
    assert len(read(HEAD + b"x: 1\r\n" * FIELDS + b"\r\n")[1]) == FIELDS
    with pytest.raises(InvalidAnswer):
        read(HEAD + b"x: 1\r\n" * (FIELDS + 1) + b"\r\n")


@pytest.mark.parametrize("step", [0, 1000, HEAD_BYTES])
@pytest.mark.parametrize("endless", [b"2;" + b"x" * 70_000, b"0" * 70_000 + b"2", b"0\r\n" + b"x: y\r\n" * 12_000])
def test_what_frames_chunks_has_an_end(endless: bytes, step: int) -> None:
    with pytest.raises(InvalidAnswer):
        read(CHUNKED + b"1\r\n{\r\n" + endless + b"\r\n}\r\n0\r\n\r\n", step)


def test_chunks_of_one_byte_are_no_framing_without_end() -> None:
    assert read(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n", 65_536)[2:] == (b"x" * 100_000, True, True)


def test_a_body_without_length_goes_on_to_the_end_of_the_connection() -> None:
    assert read(HEAD + b"\r\n{", 1)[3] is False
    assert read(HEAD + b"\r\n{}", 1, ends=True)[2:] == (b"{}", True, False)


@pytest.mark.parametrize("cut", [b"HTT", HEAD, LENGTH % 2 + b"{", CHUNKED + b"2\r\n{}\r\n", CHUNKED + b"0\r\n\r"])
def test_an_answer_that_is_cut_is_not_complete(cut: bytes) -> None:
    assert read(cut, ends=True)[3:] == (False, False)


def test_what_came_before_a_fault_is_there() -> None:
    parser = AnswerParser()
    with pytest.raises(InvalidAnswer):
        parser.feed(CHUNKED + b"2\r\n{}\r\nsize?\r\n")
    assert (parser.take(), parser.complete) == (b"{}", False)
    parser.stop()


PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def answers(pieces: list[bytes]) -> Iterator[bytes]:
    """The same body in every framing."""
    body = b"".join(pieces)
    yield HEAD + b"Content-Type: a/b\r\nX-Y: \xe9z\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    yield CHUNKED + chunks + b"0\r\n\r\n"


@given(PIECES, st.integers(1, 30))
def test_the_compiled_parser_reads_the_same(pieces: list[bytes], step: int) -> None:
    for sent in answers(pieces):
        other = Noted()
        parser = httptools.HttpResponseParser(other)
        parser.feed_data(sent)
        assert read(sent, step) == (parser.get_status_code(), tuple(other.fields), other.body, other.complete, True)


class Noted:
    """What httptools tells."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.body = b""
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@pytest.mark.parametrize("name", [name for name in VALID if not name.startswith(("rubbish", "a line end"))])
async def test_aiohttp_reads_the_same(name: str) -> None:
    sent, body, _ = VALID[name]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = "http://{}:{}/".format(*server.sockets[0].getsockname())
    async with server, aiohttp.ClientSession(auto_decompress=False) as http, http.get(url) as response:
        said = AiohttpResponse(response, 0.0)
        assert (said.status, said.fields, await response.read()) == (*read(sent)[:2], body)


def test_what_nobody_takes_is_counted_as_it_comes_and_not_over_and_over() -> None:
    measured = 0

    class Counted(bytes):
        def __len__(self) -> int:
            nonlocal measured
            measured += 1
            return super().__len__()

    parser = AnswerParser()
    parser.feed(HEAD + b"\r\n")
    for number in range(200):
        parser.feed(Counted(b"xy"))
        assert parser.unread == 2 * (number + 1)
    assert measured <= 400
    assert (len(parser.take()), parser.unread) == (400, 0)


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
def test_what_is_counted_is_what_is_there(step: int) -> None:
    sent = CHUNKED + b"2\r\nab\r\n3\r\ncde\r\n" * 20
    for whole in (sent, LENGTH % 100 + b"x" * 99, HEAD + b"\r\n" + b"x" * 99):
        parser = AnswerParser()
        for number, at in enumerate(range(0, len(whole), step)):
            parser.feed(whole[at : at + step])
            assert parser.unread == sum(map(len, parser.pieces))
            if number % 3 == 0:
                parser.take()
                assert parser.unread == 0
