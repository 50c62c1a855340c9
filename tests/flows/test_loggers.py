"""What a policy logs arrives at the event hub, from a gateway that was put together as it is served."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mcpgov import app
from mcpgov.decision import Effect, LogEvent
from mcpgov.errors import InvalidConfiguration
from tests.peers.event_hub import EventHubPeer, Received

POLICY = "inbound: [log-to-eventhub: { logger-id: usage, body: called }]\n"
ENTRY = "name: com.contoso/city\nupstream: https://city.example/mcp\nconnections: { city: { policies: [usage] } }\n"


def written(folder: Path, settings: str) -> Path:
    """A configuration whose one connection logs each call."""
    for place, text in (("catalog/city.yaml", ENTRY), ("policies/usage.yaml", POLICY), ("mcpgov.yaml", settings)):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text)
    return folder / "mcpgov.yaml"


def logged() -> Generator[Effect, Any, None]:
    """An evaluation that logs once."""
    yield LogEvent("usage#1 log-to-eventhub", "usage", "called")


async def test_an_event_leaves_with_a_signature_also_while_the_gateway_ends(tmp_path: Path) -> None:
    async with EventHubPeer() as peer:
        hub = f"{{ to: '{peer.hub}', connection_string: '{peer.connection_string}', private: true }}"
        config = written(tmp_path, f"health: {{ every: off }}\nloggers: {{ usage: {hub} }}\n")
        async with app.running(config) as gateway, gateway.stages.effects.call() as call:
            await call.perform(logged())
        assert peer.events == [Received("called")]


async def test_a_policy_that_names_a_logger_which_is_not_there_is_not_put_in_force(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="names usage, which is none of the loggers"):
        async with app.running(written(tmp_path, "{}\n")):
            pass
