"""Asks the system for the addresses of names, on behalf of one upstream.

Rules: no question of one upstream keeps another's waiting: a question that is not answered holds a thread, and an
upstream has THREADS at most. Threads are our own: those that the loop shares with all would be held too, and the end of
the process would wait for them. Who asks for a name that is being asked for shares the answer; who leaves does not end
the question for others. An answer is remembered for REMEMBERED seconds, a failure is not. Every address is judged by
addresses.py each time, remembered or not.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Final

from mcpgov.upstream.addresses import Found

if TYPE_CHECKING:
    from mcpgov.upstream.addresses import Resolver

THREADS: Final = 2
REMEMBERED: Final = 5.0  # seconds
Question = tuple[str, int]  # a name, and the port that it is wanted for
NAMES: Final = 64  # that are remembered; an upstream has its own, and those of its backends


class SystemNames:
    """A Resolver that asks the system."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(THREADS)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        """The addresses of `host` in families that this machine has. Raises OSError, UnicodeError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Found]] = loop.create_future()

        def ask() -> None:
            found, failure = list[Found](), None
            try:
                found = addresses(host, port, family)
            except (OSError, UnicodeError) as error:
                failure = error
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(tell, found, failure)

        def tell(found: list[Found], failure: Exception | None) -> None:
            if answer.done():
                return
            if failure is None:
                answer.set_result(found)
            else:
                answer.set_exception(failure)

        async with self._places:
            try:
                Thread(target=ask, daemon=True, name="mcpgov-names").start()
            except RuntimeError:
                raise OSError("the system has no more threads") from None
            return await answer

    async def close(self) -> None:
        """A question cannot be taken back; nobody waits for its answer."""


def addresses(host: str, port: int, family: socket.AddressFamily) -> list[Found]:
    """What getaddrinfo says, which takes as long as it likes."""
    flags = socket.AI_ADDRCONFIG
    found = list[Found]()
    for of, _, proto, _, where in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags):
        scope = where[3] if len(where) == 4 else 0  # which link a link-local address is on
        address = f"{where[0]}%{scope}" if scope else str(where[0])
        found.append(Found(hostname=host, host=address, port=port, family=of, proto=proto, flags=socket.AI_NUMERICHOST))
    return found


class Remembering:
    """A Resolver that asks `inner`, once for all who ask at the same time."""

    def __init__(self, inner: Resolver) -> None:
        self._inner = inner
        self._asking: dict[Question, asyncio.Task[list[Found]]] = {}
        self._known: dict[Question, tuple[float, list[Found]]] = {}  # until when, the oldest first

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        """The addresses of `host`. Raises OSError, UnicodeError."""
        question = (host, port)
        until, found = self._known.get(question, (0.0, []))
        if asyncio.get_running_loop().time() < until:
            return found
        asking = self._asking.get(question)
        if asking is None:
            asking = self._asking[question] = asyncio.create_task(self._inner.resolve(host, port, family))
            asking.add_done_callback(partial(self._told, question))
        return await asyncio.shield(asking)

    def _told(self, question: Question, asking: asyncio.Task[list[Found]]) -> None:
        del self._asking[question]
        self._known.pop(question, None)
        if not asking.cancelled() and asking.exception() is None:
            self._known[question] = (asking.get_loop().time() + REMEMBERED, asking.result())
            while len(self._known) > NAMES:
                del self._known[next(iter(self._known))]

    async def close(self) -> None:
        """Close the resolver underneath. Questions under way end by themselves."""
        await self._inner.close()
