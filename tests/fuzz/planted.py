"""A target with a fault planted in it, in the path of a message: what the engine has to find, or it finds nothing."""

from __future__ import annotations

from mcpgov.messages import parse_message
from tests.fuzz.target import Target


def judge(data: bytes) -> None:
    """Fall over the one kind of message that is planted."""
    message = parse_message(data)
    assert message is None or "error" not in message, "planted"


TARGET = Target(judge, ('{"jsonrpc":"2.0"', ',"error":', "{}", "}"))
