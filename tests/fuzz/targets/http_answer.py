"""HTTP answers of upstreams: how the bytes are cut into reads changes nothing, and the compiled parser reads the same.

A case is the size of a read, and what an upstream sends before it closes the connection.
"""

from __future__ import annotations

import httptools

from mcpgov.upstream.answer_parser import FIELDS, AnswerParser, InvalidAnswer
from tests.fuzz.target import Target

WORDS = (
    *(
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 No\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.0 ",
        "HTTP/1.1 101 ",
        "304",
    ),
    *("content-length: 2\r\n", "Content-Length: 0\r\n", "transfer-encoding: chunked\r\n", "Transfer-Encoding: gzip, "),
    *("connection: close\r\n", "connection: keep-alive\r\n", "x: y\r\n", " folded\r\n", "\r\n\r\n", "\n\n", "\r\r\n"),
    *("2\r\n{}\r\n", "2;ext=1\r\n{}\r\n", "0\r\n\r\n", "0\r\nx: y\r\n\r\n", "ffffffffffffffff\r\n", "{}", "\0", ": "),
)
Verdict = tuple[str, int, tuple[tuple[str, str], ...], bytes, bool]


def judge(data: bytes) -> None:
    """One connection."""
    size, sent = 1 + (data[0] if data else 0), data[1:]
    whole = read(sent, len(sent))
    for step in (1, size):
        assert read(sent, step) == whole, "another cut gives another answer"
    verdict, status, fields, body, reusable = whole
    assert len(fields) <= FIELDS
    assert b"" not in (name.encode("latin-1") for name, _ in fields)
    if verdict == "complete":
        assert 200 <= status <= 999
    if reusable:
        assert others(sent) == (status, fields, body), "another reader reads another answer"


def read(sent: bytes, step: int) -> Verdict:
    """What comes of it, read in steps."""
    parser, body = AnswerParser(), b""
    verdict = "refused"
    try:
        for at in range(0, len(sent), max(1, step)):
            parser.feed(sent[at : at + step])
            body += parser.take()
        reusable = parser.reusable
        verdict = "complete" if parser.end() else "cut"
    except InvalidAnswer:
        body, reusable = body + parser.take(), False
        assert not parser.complete
    return verdict, parser.status, parser.fields, body, reusable


class Noted:
    """What httptools tells of the last answer."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.body = b""
        self.headed = False

    def on_message_begin(self) -> None:
        """Called for interim answers, too."""
        self.fields, self.headed = [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called for each field of a head."""
        if not self.headed:
            self.fields.append((name.decode("latin-1").lower(), value.decode("latin-1").strip("\t ")))

    def on_headers_complete(self) -> None:
        """Called before trailers."""
        self.headed = True

    def on_body(self, body: bytes) -> None:
        """Called for each piece."""
        self.body += body


def others(sent: bytes) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """The same, read by httptools."""
    noted = Noted()
    parser = httptools.HttpResponseParser(noted)
    parser.feed_data(sent)
    return parser.get_status_code(), tuple(noted.fields), noted.body


TARGET = Target(judge, WORDS)
