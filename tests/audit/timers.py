"""A loop whose clock moves when a test says so."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any


class Timers(asyncio.SelectorEventLoop):
    """A loop whose clock moves when it is told to, and that counts its timers."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.timers: list[float] = []

    def time(self) -> float:
        return self.at

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self.timers.append(when)
        return super().call_at(when, callback, *args, context=context)

    def pass_until(self, at: float) -> None:
        """Let time pass, and what is due happen."""
        self.at = at
        self.call_soon(self.stop)
        self.run_forever()
