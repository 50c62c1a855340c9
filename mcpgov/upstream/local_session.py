"""A HANDSHAKE session with a local server: one process that belongs to one client, its lines carried to and from HTTP.

Rules: the bytes pass unchanged, ids too, for the link is not shared. A response goes to the request with its id,
progress to the request that gave its token, everything else to the newest open request, because over stdio nothing
says what it belongs to; with no request open it waits for the GET stream. A client that reads slowly slows its own
server.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import error_code, exact, is_response, outline, parse_message, progress_of, token_of
from mcpgov.upstream.answers import not_mcp
from mcpgov.upstream.mailbox import Mailbox, first_messages, json_answer, stream_answer
from mcpgov.upstream.stdio_process import ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcpgov.messages import Exact, Message
    from mcpgov.models import Answer, MCPRequest
    from mcpgov.upstream.stdio_process import StdioProcess

MAILBOX_BYTES = 1 << 20
SESSION_HEADER = "mcp-session-id"


class LocalSession:
    """One process and the requests that are open on it. `on_death` is called if it ends without being asked to."""

    def __init__(self, session_id: str, process: StdioProcess, on_death: Callable[[LocalSession], None]) -> None:
        self.id = session_id
        self.opened = False  # whether initialize succeeded
        self._process = process
        self._on_death = on_death
        self._calls: dict[Exact, Mailbox] = {}  # in the order of their arrival
        self._tokens: dict[Exact, Mailbox] = {}
        self._unsolicited = Mailbox(MAILBOX_BYTES)
        self._listeners = 0
        self._dead = False
        self._reading = asyncio.create_task(self._read())

    @property
    def in_use(self) -> bool:
        """Whether a request or a stream is open."""
        return bool(self._calls or self._listeners)

    async def send(self, message: bytes) -> None:
        """Write a notification or a response through. Raises Refusal (upstream-reset)."""
        await self._process.send(message)

    @asynccontextmanager
    async def exchange(self, request: MCPRequest, deadline: float) -> AsyncGenerator[Answer, None]:
        """Write a request and give its answer. Raises Refusal: upstream-timeout, upstream-reset, invalid-message."""
        call, token = exact(request.id), token_of(request.params)
        if call is None or call in self._calls:
            raise Refusal(Reason.INVALID_MESSAGE, "A request with this id is open in this session.")
        self._newest().wake()  # what waits for room there belongs here from now on
        mailbox = self._calls[call] = Mailbox(MAILBOX_BYTES)
        if token is not None:
            self._tokens[token] = mailbox
        try:
            first = await first_messages(mailbox, self._process.send(request.body), deadline)
            alone = len(first) == 1 and mailbox.complete
            opens = request.method == "initialize" and not (alone and is_error(first[0]))
            self.opened = self.opened or opens
            headers = ((SESSION_HEADER, self.id),) if opens else ()
            yield json_answer(first[0], 200, headers) if alone else stream_answer(first, mailbox, headers)
        finally:
            mailbox.close()
            del self._calls[call]
            if token is not None and self._tokens.get(token) is mailbox:
                del self._tokens[token]

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[Answer, None]:
        """The stream of what belongs to no request. A newer one takes over: the client of the older has come back."""
        self.stop_listening()
        self._listeners += 1
        try:
            yield stream_answer((), self._unsolicited)
        finally:
            self._listeners -= 1
            self._unsolicited.wake()

    def stop_listening(self) -> None:
        """End the stream of what belongs to no request; what was not taken from it is kept for the next."""
        older, self._unsolicited = self._unsolicited, Mailbox(MAILBOX_BYTES)
        for message in older.leftover():
            self._unsolicited.put(message)
        older.close()

    async def end(self) -> None:
        """End the process. Requests that are open get what came, then upstream-reset."""
        self._finish(ended())
        await self._process.stop()
        await asyncio.wait({self._reading})

    async def _read(self) -> None:
        failure = ended()
        try:
            async for line in self._process.lines():
                message = parse_message(line)
                if message is None:
                    self._refuse(line)
                else:
                    await self._route(line, message)
        except Refusal as refusal:
            failure = refusal
        finally:  # nobody reads it any more, whatever the cause
            if not self._dead:
                self._unsolicited.close(failure)
                self._finish(failure)
                self._on_death(self)

    def _finish(self, failure: Refusal) -> None:
        self._dead = True
        for mailbox in self._calls.values():
            mailbox.close(failure)
        self._unsolicited.close()

    def _refuse(self, line: bytes) -> None:
        """End the call that an unreadable answer is for; any other line that is no message is noise."""
        mailbox = self._calls.get(exact(outline(line).get("id")) or ("", ""))
        if mailbox is None:
            self._process.log.debug("local-server-said-no-message", bytes=len(line))
        else:
            mailbox.close(not_mcp("an answer that cannot be read"))

    async def _route(self, line: bytes, message: Message) -> None:
        """Put a message where it belongs, and wait until there is room."""
        token = progress_of(message)
        if is_response(message):
            mailbox = self._calls.get(exact(message.get("id")) or ("", ""))
        elif token is not None:
            mailbox = self._tokens.get(token)
        else:
            mailbox = await self._room_for_unsolicited()
        if mailbox is None:
            self._process.log.debug("local-server-said-it-to-nobody")
            return
        await mailbox.room()
        mailbox.put(line, last=is_response(message))

    def _newest(self) -> Mailbox:
        """Where belongs what belongs to no request: to the newest open request, else to the GET stream."""
        waiting = (mailbox for mailbox in reversed(self._calls.values()) if not mailbox.closed)
        return next(waiting, self._unsolicited)

    async def _room_for_unsolicited(self) -> Mailbox | None:
        """The newest mailbox, when there is room in it. Where nobody listens, what no longer fits is lost."""
        while (mailbox := self._newest()).full:
            if mailbox is self._unsolicited and not self._listeners:
                return None
            await mailbox.woken()
        return mailbox


def is_error(line: bytes) -> bool:
    """Whether a message is an error response."""
    return error_code(parse_message(line) or {}) is not None
