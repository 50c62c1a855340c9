"""What ends first when the gateway is told to end: the streams that only listen.

Rules: a call that was begun may finish, for as long as the server lets it; a stream that only listens (a GET, or
subscriptions/listen) would never, so it is ended at once, and one that comes now is refused. Ended is cancelled: the
way it takes through govern() then closes the upstream's side and writes its outcome down, as for any other.

It refuses to know how long running calls have (server.py), and what a client is told (asgi.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import listens

if TYPE_CHECKING:
    import asyncio

    from mcpgov.models import MCPRequest


def stopping() -> Refusal:
    """What is answered to whom cannot be served to the end: another replica, or this one after its restart, can."""
    return Refusal(Reason.GATEWAY_STOPPING, "The gateway is stopping. Try again.", headers=(("Retry-After", "1"),))


class Draining:
    """The streams that listen, each by the task that serves it, and whether the gateway was told to end."""

    def __init__(self) -> None:
        self.began = False
        self._listening: set[asyncio.Task[object]] = set()

    def begin(self) -> None:
        """End every stream that listens, and let no other begin. Told again, it ends nothing a second time."""
        if self.began:
            return
        self.began = True
        for task in self._listening:
            task.cancel(Reason.GATEWAY_STOPPING)

    def enter(self, request: MCPRequest, task: asyncio.Task[object]) -> None:
        """Note who serves a request, if all it does is listen. Raises Refusal (gateway-stopping)."""
        if not listens(request):
            return
        if self.began:
            raise stopping()
        self._listening.add(task)

    def leave(self, task: asyncio.Task[object] | None) -> None:
        """Forget a task that is at its end; one that was never noted too."""
        if task is not None:
            self._listening.discard(task)
