"""Asks an upstream again, where a policy says so: only for what reads, and never for longer than the call may take.

Rule: what could have run is not sent twice. A method that is not in the list below is forwarded once, whatever the
policy says; `tools/call` is not in it and never will be. An attempt is closed before the next one begins.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import ANSWERS, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Kind
from mcpgov.upstream.answers import Answered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, MCPRequest

READING: Final = frozenset({
    *("tools/list", "resources/list", "resources/templates/list", "resources/read", "prompts/list", "prompts/get"),
    *("completion/complete", "ping", "server/discover"),
})  # fmt: skip
SHORTEST: Final = 0.001  # seconds: the time-out of an attempt for which none are left
UNANSWERED: Final = frozenset({Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_RESET, Reason.UPSTREAM_TIMEOUT})


class Forwarder(Protocol):
    """What sends a request once."""

    def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AbstractAsyncContextManager[Answer]:
        """Send the request on. Raises Refusal."""
        ...


@frozen
class Retrying:
    """A forwarder that asks again. `sleep` waits so many seconds."""

    inner: Forwarder
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Send the request on, more than once if the policy wants it; entering gives the last answer's head.

        All attempts and waits together end in time: with the connection's time-out, or the policy's if that is longer.
        Raises Refusal: that of the last attempt.
        """
        retry = decision.changes.retry
        if retry is None or request.kind is not Kind.REQUEST or request.method not in READING:
            async with self.inner.forward(request, connection, decision, credential) as answer:
                yield answer
            return
        clock = asyncio.get_running_loop().time
        timeout = decision.changes.timeout or connection.timeout
        deadline = clock() + max(timeout, connection.timeout)
        async with AsyncExitStack() as attempt:
            for number in count(1):
                left = max(SHORTEST, deadline - clock())
                once = replace(decision, changes=replace(decision.changes, timeout=min(timeout, left)))
                sending = self.inner.forward(request, connection, once, credential)
                try:
                    answer = await attempt.enter_async_context(sending)
                except Refusal as refusal:
                    head = head_of(refusal)
                    wait = retry.wait(number, *head) if head else None
                    if wait is None or wait >= deadline - clock():
                        raise
                else:
                    wait = retry.wait(number, answer.status, joined(answer.headers.fields))
                    if wait is None or wait >= deadline - clock():
                        yield replace(answer, attempts=number)
                        return
                    await attempt.aclose()  # it may be pushed onto again
                await self.sleep(wait)


def head_of(refusal: Refusal) -> tuple[int, dict[str, str]] | None:
    """Status and header fields of the answer that a refusal stands for; None where it stands for none of an upstream.

    For what never answered, the status is the one that the caller would get.
    """
    if isinstance(refusal, Answered):
        return refusal.status, joined(refusal.headers)
    return (ANSWERS[refusal.reason].status, {}) if refusal.reason in UNANSWERED else None


def joined(fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Header fields by lower-case name, repeated ones joined (RFC 9110 section 5.3)."""
    together: dict[str, str] = {}
    for name, value in ((name.lower(), value) for name, value in fields):
        together[name] = f"{together[name]}, {value}" if name in together else value
    return together
