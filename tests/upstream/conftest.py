"""What holds sockets is tested over both event loops: Python's, and the one that serves, whose TLS is another."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

BOTH = frozenset({"test_http_connection.py", "test_pooled_client.py", "test_racing.py"})
Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Factories:
    """Which loops a test is run over."""
    every: Factories = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return every if item.path.name in BOTH else {"asyncio": every["asyncio"]}
