"""What goes wrong between a gateway and a server: each a function of one request, in toxiproxy's words where there are.

One that returns True leaves the connection open for the next request; any other ends it.
"""

import asyncio
import gzip
from typing import Final

from tests.faults.proxy import END, Line, chunk

FLOOD: Final = 5000  # answers of 100, or header fields
BOMB: Final = 64  # megabytes, decoded
EARLY_ID: Final = 5  # the id that an answer has before the question was read


async def timeout(line: Line) -> None:
    """Takes the request, and nothing more is heard."""
    await line.silence()


async def half_open_in_head(line: Line) -> None:
    """The server ran the call; its answer ends in the head, and the connection stays."""
    await line.send((await line.heard()).head()[:25])
    await line.silence()


async def half_open(line: Line) -> None:
    """The head and the beginning of a body, and the connection stays."""
    heard = await line.heard()
    if heard.streaming:
        await line.send(heard.head(b"transfer-encoding: chunked") + chunk(heard.greeting))
    else:
        await line.send(heard.head(b"content-length: %d" % len(heard.body)) + heard.pieces[0])
    await line.silence()


async def reset_in_head(line: Line) -> None:
    """reset_peer, in the middle of the head."""
    await line.send((await line.heard()).head()[:25])
    line.reset()


async def reset_in_body(line: Line) -> None:
    """reset_peer, in the middle of the body; in a stream, after an event and before the answer."""
    heard = await line.heard()
    if heard.streaming:
        await line.send(heard.head(b"transfer-encoding: chunked") + chunk(heard.pieces[0]))
    else:
        await line.send(heard.head(b"content-length: %d" % len(heard.body)) + heard.pieces[0])
    line.reset()


async def limit_data(line: Line) -> None:
    """Closes, properly, in the middle of the body, whose length was told."""
    heard = await line.heard()
    await line.send(heard.head(b"content-length: %d" % len(heard.body)) + heard.pieces[0])


async def ends_early(line: Line) -> bool:
    """A whole and proper answer, in which the answer is missing: half of the JSON, a stream without its last event."""
    heard = await line.heard()
    await line.send(heard.whole(heard.pieces[0]))
    return True


async def close_unanswered(line: Line) -> None:
    """Closes when the server has run the call, and says nothing."""
    await line.heard()


async def close_at_once(_line: Line) -> None:
    """Closes at the first byte of a request: what a kept connection meets that its server has given up."""


async def slicer(line: Line) -> None:
    """One byte at a time."""
    for byte in (await line.heard()).whole():
        await line.send(bytes((byte,)))
        await line.proxy.pace()


async def storm(line: Line) -> bool:
    """500 and a page, for everybody."""
    await line.asked()
    page = b"<html>Traceback (most recent call last): 10.0.0.7"
    await line.send(b"HTTP/1.1 500 Oops\r\ncontent-type: text/html\r\ncontent-length: %d" % len(page) + END + page)
    return True


async def rate_limited(line: Line) -> bool:
    """429, and when to come back."""
    await line.asked()
    await line.send(b"HTTP/1.1 429 Slow Down\r\nretry-after: 7\r\ncontent-length: 0" + END)
    return True


async def bad_json(line: Line) -> bool:
    """An answer that is almost JSON."""
    heard = await line.heard()
    bad = b'data: {"jsonrpc":"2.0","id":5,"result":{\n\n' if heard.streaming else heard.body[:-1] + b",}"
    await line.send(heard.whole(bad))
    return True


async def wrong_id(line: Line) -> bool:
    """The answer to another question."""
    heard = await line.heard()
    await line.send(heard.whole(heard.body.replace(b'"id": 5', b'"id": 6')))
    return True


async def two_answers(line: Line) -> bool:
    """The answer, and once more with another result."""
    heard = await line.heard()
    second = heard.pieces[1] if heard.streaming else heard.body
    await line.send(heard.whole(heard.body + second.replace(b"Kyoto", b"Osaka")))
    return True


async def two_responses(line: Line) -> bool:
    """The answer, and behind it on the connection a whole response that nobody asked for."""
    heard = await line.heard()
    await line.send(heard.whole() + heard.whole(heard.body.replace(b"Kyoto", b"Osaka")))
    return True


async def endless_comments(line: Line) -> None:
    """A stream that says that it lives, and never anything else."""
    await endless(line, b": still there\n\n")


async def endless_event(line: Line) -> None:
    """A stream whose first event has no end."""
    await endless(line, b"data: " + bytes(1 << 20).replace(b"\0", b"x") + b"\n")


async def endless(line: Line, piece: bytes) -> None:
    """A stream of the same, for as long as it is taken."""
    await line.asked()
    await line.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked" + END)
    while True:
        await line.send(chunk(piece))
        await asyncio.sleep(0)


async def early(line: Line) -> bool:
    """An answer at the first byte of the question, which is read afterwards."""
    body = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[]}}' % EARLY_ID
    framing = b"content-type: application/json\r\ncontent-length: %d" % len(body)
    await line.send(b"HTTP/1.1 200 OK\r\n" + framing + END + body)
    await line.asked()
    return True


async def continues(line: Line) -> bool:
    """A flood of 100 Continue, and the answer."""
    heard = await line.heard()
    await line.send((b"HTTP/1.1 100 Continue" + END) * FLOOD + heard.whole())
    return True


async def continues_endless(line: Line) -> None:
    """A flood of 100 Continue without end."""
    await line.asked()
    while True:
        await line.send(b"HTTP/1.1 100 Continue" + END)
        await asyncio.sleep(0)


async def many_headers(line: Line) -> None:
    """A head of very many fields."""
    heard = await line.heard()
    await line.send(heard.head(*(b"x-%d: 1" % number for number in range(FLOOD)), b"content-length: 0"))


async def huge_header(line: Line) -> None:
    """A head with a field of a megabyte."""
    heard = await line.heard()
    await line.send(heard.head(b"x-huge: " + b"a" * (1 << 20), b"content-length: 0"))


async def chunk_garbage(line: Line) -> None:
    """A body whose chunks have no size."""
    heard = await line.heard()
    await line.send(heard.head(b"transfer-encoding: chunked") + b"size?\r\n" + heard.body)


async def length_short(line: Line) -> bool:
    """A length that is half of the body: the rest stands where the next answer would."""
    heard = await line.heard()
    await line.send(heard.head(b"content-length: %d" % len(heard.pieces[0])) + heard.body)
    return True


async def length_long(line: Line) -> None:
    """A length that is more than what comes before the connection is closed."""
    heard = await line.heard()
    await line.send(heard.head(b"content-length: %d" % (len(heard.body) + 9)) + heard.body)


async def gzip_bomb(line: Line) -> bool:
    """A small answer that would be very large, and was asked for as it is."""
    heard = await line.heard()
    packed = gzip.compress(bytes(1 << 20)) * BOMB
    await line.send(heard.head(b"content-encoding: gzip", b"content-length: %d" % len(packed)) + packed)
    return True


async def cut_handshake(line: Line) -> None:
    """Half of the record that TLS would answer with, and no more (on a port without TLS)."""
    await line.send(b"\x16\x03\x03\x00\x7a\x02\x00\x00")
