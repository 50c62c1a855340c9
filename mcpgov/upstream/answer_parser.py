"""Reads one HTTP/1.1 answer of an upstream, strictly. Sans I/O: bytes in, status, fields and body out.

Decides what is an answer, where its body ends, and whether the connection may carry another one. Rules (RFC 9112): a
head that two readers could read differently is refused: both framings, a length twice or in a list, any transfer
coding but one `chunked`, a folded or bare line end, a control character, another protocol. A head, the interim
answers before it included, has at most HEAD_BYTES, and FIELDS; chunk sizes, their extensions and trailers have at
most HEAD_BYTES without a byte of body. Every bound lies at a fixed place of what came, so no verdict depends on how
the bytes were cut into reads. Trailers are read and dropped (RFC 9110 section 6.5.1).

The head is matched as a whole, by a pattern: what the compiled parser tolerates there it does not tell. Chunks are read
by that parser (httptools), behind a head of ours. Refuses to know: sockets, times, what was asked (no HEAD is).
"""

from __future__ import annotations

import re
from typing import Final

import httptools

HEAD_BYTES: Final = 32 * 1024
FIELDS: Final = 100
INTERIM: Final = 8  # answers such as 100 and 103 that may come before the one that counts
_FIELD: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n"
_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n((?>" + _FIELD + rb")*)\r\n"
)  # minor version, status, fields
_START: Final = b"HTTP/1."
_BROKEN: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")  # a line end that only some take for one
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_CHUNKED: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})
# What an interim answer must not say: a reader that believes it looks for a body, or for no other answer (RFC 9112, 6).
_FRAMES: Final = re.compile(rb"(?:\A|\n)(?:content-length|transfer-encoding|connection):", re.IGNORECASE)
_BODILESS: Final = frozenset({204, 304})


class InvalidAnswer(Exception):
    """What came is no HTTP/1.1 answer, or one that two readers could read differently."""


class AnswerParser:
    """The state of one answer. `status` is 0 until its head is whole; `pieces` hold what nobody took of its body."""

    __slots__ = (
        *(
            "_at",
            "_chunks",
            "_embodied",
            "_head",
            "_interim",
            "_keeps",
            "_left",
            "_scanned",
            "_spent",
            "_tail",
            "_to_end",
        ),
        *("complete", "fields", "on_body", "pieces", "reusable", "status", "unread"),
    )

    def __init__(self) -> None:
        self.status = 0
        self.fields: tuple[tuple[str, str], ...] = ()
        self.pieces: list[bytes] = []
        self.unread = 0  # bytes in them
        self.complete = False
        self.reusable = False  # whether another request may go where this answer came from, once it is complete
        self.on_body = self.pieces.append
        self._head = b""
        self._scanned = 0  # bytes of it in which no end was found
        self._spent = 0  # bytes of interim answers before it
        self._interim = 0
        self._left = 0  # bytes of the body to come
        self._to_end = False  # whether it goes on to the end of the connection
        self._keeps = False
        self._chunks: httptools.HttpResponseParser | None = None
        self._at = 0  # place in the present block of chunked bytes
        self._embodied = False  # whether the block has brought any body
        self._tail = b""  # the last bytes of what came in chunks

    def take(self) -> bytes:
        """What there is of the body, which is then no longer here."""
        pieces = self.pieces
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        return taken

    def feed(self, data: bytes) -> None:
        """Take in what came. Raises InvalidAnswer; what came before the fault is in `pieces`."""
        if not self.status:
            data = self._read_head(data)
            if not self.status:
                return
        if self.complete:
            self.reusable = self.reusable and not data
        elif not data:
            return
        elif self._chunks is not None:
            self._read_chunks(self._chunks, data)
        else:
            self._read_plain(data)

    def stop(self) -> None:
        """Nothing more will be fed; the parser of chunks, which knows this one, goes."""
        self._chunks = None

    def end(self) -> bool:
        """The connection has ended. Whether the answer has, too: for some bodies nothing else tells the end."""
        self.reusable = False
        self.complete = self.complete or self._to_end
        return self.complete

    # -- the head ------------------------------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> bytes:
        """Read the head, and those before it that do not count. What is left of `data` belongs to the body."""
        head = self._head + data if self._head else data
        while True:
            end = head.find(b"\r\n\r\n", max(0, self._scanned - 3)) + 4
            if end < 4:
                self._keep(head)
                return b""
            if self._spent + end > HEAD_BYTES:
                raise InvalidAnswer
            rest = head[end:]
            if self._begin(head if not rest else head[:end]):
                self._head = b""
                return rest
            self._spent += end
            self._scanned = 0
            head = rest

    def _keep(self, head: bytes) -> None:
        """Keep what there is of a head, unless it can no longer become one."""
        whole = self._spent + len(head) < HEAD_BYTES
        begins = head.startswith(_START) if len(head) >= len(_START) else _START.startswith(head)
        if not whole or not begins or _BROKEN.search(head, max(0, self._scanned - 1)):
            raise InvalidAnswer
        self._head, self._scanned = head, len(head)

    def _begin(self, head: bytes) -> bool:
        """Read a whole head; whether it is the one that counts, and not an interim one (RFC 9110 section 15.2)."""
        match = _HEAD.fullmatch(head)
        if match is None:
            raise InvalidAnswer
        status, lines, recent = int(match[2]), match[3].decode("latin-1").split("\r\n"), match[1] == b"1"
        if 100 <= status <= 199:
            self._interim += 1
            if status == 101 or self._interim > INTERIM or not recent or _FRAMES.search(match[3]):
                raise InvalidAnswer
            return False
        if len(lines) > FIELDS + 1:
            raise InvalidAnswer
        fields: list[tuple[str, str]] = []
        for line in lines[:-1]:
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip("\t ")))
        self.fields = tuple(fields)
        self.status = status
        self._frame(recent=recent)
        return True

    def _frame(self, *, recent: bool) -> None:
        """Where the body ends (RFC 9112 section 6.3), and what the head says of the connection.

        `recent` is HTTP/1.1; one that says 1.0 is not used again, and may not send chunks.
        """
        said = [field for field in self.fields if field[0] in _FRAMING]
        framing = [field for field in said if field[0] != "connection"]
        # `close` ends it, and so does what we do not know.
        self._keeps = recent and all(value.lower() == "keep-alive" for name, value in said if name == "connection")
        if len(framing) > 1:
            raise InvalidAnswer
        name, value = framing[0] if framing else ("", "")
        if name == "content-length":
            if not _LENGTH.fullmatch(value):
                raise InvalidAnswer
            self._left = int(value)
        elif name and not (recent and value.lower() == "chunked"):
            raise InvalidAnswer
        if self.status in _BODILESS or (name == "content-length" and not self._left):
            self._finish()
        elif not name:
            self._to_end = True
        elif name == "transfer-encoding":
            self._chunks = httptools.HttpResponseParser(self)
            self._chunks.feed_data(_CHUNKED)

    # -- the body ------------------------------------------------------------------------------------------------------

    def _read_plain(self, data: bytes) -> None:
        """A body that has a length, or goes on to the end of the connection."""
        left, size = self._left, len(data)
        if self._to_end or size < left:
            self.pieces.append(data)
            self.unread += size
            self._left = left - size
            return
        self.pieces.append(data if size == left else data[:left])
        self.unread += left
        self._finish()
        self.reusable = self.reusable and size == left

    def _read_chunks(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        """Chunks, in blocks of HEAD_BYTES: one that brings no body is a size, an extension or a trailer without end."""
        while data:
            room = HEAD_BYTES - self._at
            block, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._at += len(block)
            self._read_block(parser, block)
            if self.complete:
                self.reusable = self.reusable and not data
                return
            if self._at == HEAD_BYTES:
                if not self._embodied:
                    raise InvalidAnswer
                self._at, self._embodied = 0, False

    def _read_block(self, parser: httptools.HttpResponseParser, block: bytes) -> None:
        before, clean = len(self.pieces), True
        self._tail = block[-5:] if len(block) >= 5 else (self._tail + block)[-5:]
        try:
            parser.feed_data(block)
        except httptools.HttpParserError:
            clean = False
        if len(self.pieces) > before:
            self.unread += sum(map(len, self.pieces[before:]))
            self._embodied = True
        if self.complete:
            self.reusable = self.reusable and clean and self._tail == _LAST_CHUNK
        elif not clean:
            self._chunks = None
            raise InvalidAnswer

    def on_message_begin(self) -> None:
        """Called by the parser of chunks, for the head of ours and for whatever stands behind the answer."""
        if self.complete:
            raise InvalidAnswer  # or that would be read into this body

    def on_message_complete(self) -> None:
        """Called by the parser of chunks at the end of the last one."""
        self._finish()

    def _finish(self) -> None:
        self.complete = True
        self.reusable = self._keeps
        self._chunks = None
