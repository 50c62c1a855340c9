"""`log:` in mcpgov.yaml: how much mcpgov says of itself.

Refuses to know: where it says so, and in which form (telemetry.py).
"""

from __future__ import annotations

from typing import Literal

from mcpgov.shapes import Shape

LogLevel = Literal["debug", "info", "warning", "error"]


class Log(Shape):
    """`level` is the least that is logged."""

    level: LogLevel = "info"
