"""Real servers behind the gateway, real clients in front: each client lists the tools of each server and calls one.

What cannot be had (the npm registry, git) is left out, and one line says so.
"""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from tests.peers.clients import Speak, fastmcp_client, inspector, sdk
from tests.peers.gateway import gateway
from tests.peers.node import NODE, RegistryUnreachable, environment, install
from tests.peers.process import free_port, running, wait_until_answers
from tests.peers.servers import Peer, git_server, has_git, npm_servers, time_server

HERE: Final = Path(__file__).resolve().parent
SERVERS: Final = ("everything", "filesystem", "memory", "time", "git")
CLIENTS: Final = ("sdk-any-era", "sdk-handshake", "fastmcp", "inspector")


@dataclass(frozen=True, slots=True)
class Street:
    """The gateway's URL, the servers behind it and the clients that there are, by name."""

    gateway_url: str
    servers: Mapping[str, Peer]
    clients: Mapping[str, Speak]


def installed_programs(left_out: list[str]) -> Path | None:
    """The folder of the npm programs, None (and a line) when they cannot be installed."""
    try:
        return install(HERE)
    except RegistryUnreachable as error:
        left_out.append(f"npm servers everything, filesystem, memory and the client inspector: {error}")
        return None


def start_everything(stack: ExitStack, programs: Path, folder: Path) -> str:
    """Start server-everything over HTTP for as long as the stack lives; returns its URL."""
    port = free_port()
    log = folder / "server-everything.log"
    command = [str(NODE), str(programs / "mcp-server-everything"), "streamableHttp"]
    program = stack.enter_context(running(command, log, env={**environment(folder), "PORT": str(port)}))
    url = f"http://127.0.0.1:{port}/mcp"
    wait_until_answers(url, program, log, below=500)
    return url


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Generator[Street]:
    """One gateway in front of all servers that can be had."""
    folder = tmp_path_factory.mktemp("peers")
    left_out: list[str] = []
    peers = [time_server()]
    clients: dict[str, Speak] = {
        "sdk-any-era": sdk("auto"),
        "sdk-handshake": sdk("legacy"),
        "fastmcp": fastmcp_client("auto"),
    }
    with ExitStack() as stack:
        programs = installed_programs(left_out)
        if programs is not None:
            clients["inspector"] = inspector(programs, folder)
            peers += npm_servers(programs, folder, start_everything(stack, programs, folder))
        if has_git():
            peers.append(git_server(folder))
        else:
            left_out.append("the server git: there is no git here, and it cannot be installed")
        for line in left_out:
            pytestconfig.get_terminal_writer().line(f"left out: {line}")
        url = stack.enter_context(gateway(folder / "gateway", [peer.upstream for peer in peers]))
        yield Street(url, {peer.upstream.name: peer for peer in peers}, clients)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_real_client_lists_and_calls_a_real_server_through_the_gateway(
    street: Street, server: str, client: str
) -> None:
    peer, speak = street.servers.get(server), street.clients.get(client)
    if peer is None or speak is None:
        return
    tools, answer = await speak(f"{street.gateway_url}/mcp/{server}", peer)
    assert peer.tool in tools
    assert peer.answer in answer


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_real_client_lists_and_calls_all_real_servers_as_one(street: Street, client: str) -> None:
    speak = street.clients.get(client)
    if speak is None:
        return
    names = {f"{name}_{peer.tool}" for name, peer in street.servers.items()}
    for name, peer in street.servers.items():
        tools, answer = await speak(f"{street.gateway_url}/mcp", replace(peer, tool=f"{name}_{peer.tool}"))
        assert names <= tools
        assert peer.answer in answer
