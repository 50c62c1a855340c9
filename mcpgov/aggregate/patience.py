"""How long one of many is waited for, whatever it does meanwhile: it may answer a little at a time, without end.

Rule: what is cut off says so, for a cancelled call would otherwise be recorded as one that the gateway's end cut off.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def within(seconds: float) -> AsyncGenerator[None]:
    """Cancel what is in the context after so many seconds. Raises Refusal (upstream-timeout) then."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to cancel")
    others, late = task.cancelling(), asyncio.Event()

    def cut_off() -> None:
        late.set()
        task.cancel(Reason.UPSTREAM_TIMEOUT)

    alarm = asyncio.get_running_loop().call_later(seconds, cut_off)
    try:
        yield
    except asyncio.CancelledError:
        if late.is_set() and task.uncancel() <= others:
            raise Refusal(Reason.UPSTREAM_TIMEOUT, "The upstream did not answer in time.") from None
        raise
    finally:
        alarm.cancel()
