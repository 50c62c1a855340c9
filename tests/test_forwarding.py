"""Which HTTP client speaks to remote servers is a setting, and aiohttp is loaded only where it is chosen."""

import importlib
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from mcpgov.buffers import Buffers
from mcpgov.forwarding import build_upstreams, replica
from mcpgov.settings import parse_settings
from tests.upstream.calls import ALLOWED, NOBODY, body_of, call, to
from tests.upstream.loopback import OK, loopback


@pytest.mark.parametrize(
    ("text", "loaded"),
    [("experimental: {}", []), ("experimental: { upstream_client: aiohttp }", ["mcpgov.upstream.aiohttp_client"])],
)
async def test_the_client_that_is_chosen_makes_the_call(text: str, loaded: list[str]) -> None:
    modules: list[str] = []

    def load(module: str) -> Any:
        modules.append(module)
        return importlib.import_module(module)

    upstreams = build_upstreams(parse_settings(text, "mcpgov.yaml"), Buffers(), load)
    async with loopback() as server, upstreams.forward(call(), to(server.url), ALLOWED, NOBODY) as answer:
        assert await body_of(answer) == OK
    await upstreams.close()
    assert modules == loaded


def test_a_replica_is_named_by_its_host_and_process_in_visible_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pöd 1" + "x" * 300)
    monkeypatch.setattr(os, "getpid", lambda: 17)
    assert replica() == f"pd1{'x' * 252}-17"


def test_a_plain_start_does_not_load_aiohttp() -> None:
    asked = "import sys, mcpgov.app; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
