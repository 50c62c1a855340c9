"""A target with a fault planted in it, behind the splitter of streams, which the engine has to find."""

from __future__ import annotations

from mcpgov.upstream.sse import Splitter
from tests.fuzz.target import Target


def judge(data: bytes) -> None:
    """Fall over the first event that holds data."""
    assert all(event.data is None for event in Splitter(1024).split(data)), "planted"


TARGET = Target(judge, ("data: ", "\n\n"))
