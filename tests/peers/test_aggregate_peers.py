"""Real clients of both eras in front of a connection and of `/mcp`: two servers whose tools have the same names, in
pages, and one that is down.

Without the npm registry Inspector is left out, and one line says so.
"""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import mcp
import mcp_types as types
import pytest

from tests.peers.clients import CLIENT_SECONDS, Speak, fastmcp_client, inspector, sdk
from tests.peers.gateway import Upstream, gateway
from tests.peers.node import RegistryUnreachable, install
from tests.peers.process import town_server
from tests.peers.servers import Peer
from tests.peers.town_server import CHANGE, NAMES

HERE: Final = Path(__file__).resolve().parent
MEMBERS: Final = ("kyoto", "osaka")
ERAS: Final = {"handshake": "legacy", "stateless": "2026-07-28"}
INSPECTOR_ERAS: Final = {"handshake": "legacy", "stateless": "modern"}
CLIENTS: Final = ("sdk", "fastmcp", "inspector")
CHANGING: Final = (("/mcp", f"kyoto_{CHANGE}"), ("/mcp", f"osaka_{CHANGE}"), ("/mcp/osaka", CHANGE))
EVERY: Final = [f"{client}-{era}" for client in CLIENTS for era in ERAS]


@dataclass(frozen=True, slots=True)
class District:
    """Two gateways in front of the same servers, one with `search_tools`, and the clients that there are."""

    url: str
    searching_url: str
    clients: Mapping[str, Speak]

    async def spoken(self, client: str, url: str, tool: str, **arguments: Any) -> tuple[set[str], str] | None:
        """What a client saw; None where the client is left out."""
        speak = self.clients.get(client)
        return None if speak is None else await speak(url, Peer(Upstream("town"), tool, arguments, ""))


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Generator[District]:
    """The servers, the gateways and the clients."""
    folder = tmp_path_factory.mktemp("district")
    clients = {f"sdk-{era}": sdk(mode) for era, mode in ERAS.items()}
    clients |= {f"fastmcp-{era}": fastmcp_client(mode) for era, mode in ERAS.items()}
    try:
        programs = install(HERE)
        clients |= {f"inspector-{era}": inspector(programs, folder, mode) for era, mode in INSPECTOR_ERAS.items()}
    except RegistryUnreachable as error:
        pytestconfig.get_terminal_writer().line(f"left out: the client inspector: {error}")
    with ExitStack() as stack:
        upstreams = [Upstream(name, stack.enter_context(town_server(folder, name))) for name in MEMBERS]
        upstreams.append(Upstream("nara", "http://127.0.0.1:1/mcp"))
        url = stack.enter_context(gateway(folder / "plain", upstreams))
        searching = {"connections": ["*"], "search_tools": True}
        other = stack.enter_context(gateway(folder / "searching", upstreams, aggregate=searching))
        yield District(url, other, clients)


@pytest.mark.parametrize("client", EVERY)
async def test_a_connection_is_listed_to_the_last_page_and_called(district: District, client: str) -> None:
    seen = await district.spoken(client, f"{district.url}/mcp/osaka", "street_299")
    assert seen is None or seen == ({*NAMES, "only_in_osaka"}, "osaka: street_299")


@pytest.mark.parametrize("client", EVERY)
async def test_two_servers_with_the_same_names_are_listed_to_the_last_page_and_told_apart(
    district: District, client: str
) -> None:
    every = {f"{member}_{name}" for member in MEMBERS for name in (*NAMES, f"only_in_{member}")}
    for member in MEMBERS:
        seen = await district.spoken(client, f"{district.url}/mcp", f"{member}_street_299")
        assert seen is None or seen == (every, f"{member}: street_299")


@pytest.mark.parametrize("client", EVERY)
async def test_a_client_searches_and_calls_what_it_found(district: District, client: str) -> None:
    url = f"{district.searching_url}/mcp"
    found = await district.spoken(client, url, "search_tools", query="only kyoto")
    if found is None:
        return
    assert found[0] == {"search_tools", "call_tool"}
    assert '"name": "kyoto_only_in_kyoto"' in found[1]
    called = await district.spoken(client, url, "call_tool", name="kyoto_only_in_kyoto", arguments={})
    assert called == (found[0], "kyoto: only_in_kyoto")


@dataclass
class Heard:
    """A client's ear for what a server says of its own accord."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.changed.set()


@pytest.mark.parametrize(("place", "tool"), CHANGING)
async def test_a_client_of_the_handshake_hears_that_tools_changed(district: District, place: str, tool: str) -> None:
    heard = Heard()
    async with (
        mcp.Client(district.url + place, mode=ERAS["handshake"], message_handler=heard) as client,
        asyncio.timeout(CLIENT_SECONDS),
    ):
        while not heard.changed.is_set():  # its stream opens when it likes
            await client.call_tool(tool, {})


@pytest.mark.parametrize(("place", "tool"), CHANGING)
async def test_a_client_of_2026_hears_that_tools_changed(district: District, place: str, tool: str) -> None:
    async with (
        mcp.Client(district.url + place, mode=ERAS["stateless"]) as client,
        asyncio.timeout(CLIENT_SECONDS),
        client.listen(tools_list_changed=True) as subscription,
    ):
        assert subscription.honored.tools_list_changed
        await client.call_tool(tool, {})
        await anext(aiter(subscription))
