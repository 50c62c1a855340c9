"""A path is taken as it is written: of thousands that another server would clean up, none reaches a route or a
connection that it does not spell.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, cast

import pytest

from mcpgov.endpoint.asgi import EndpointSettings, Gateway, head_of
from mcpgov.endpoint.limits import Sites
from mcpgov.pipeline import Exchange, Stages
from mcpgov.registry.asgi import Registry, RegistrySettings
from mcpgov.strict_json import JsonLimits
from tests.flows.sockets import said, statuses
from tests.flows.upstream import listening

DOTS = (
    b"..",
    b"%2e%2e",
    b".%2e",
    b"%252e%252e",
    b"%c0%ae%c0%ae",
    b"%u002e%u002e",
    b"0x2e0x2e",
    b"..;",
    b"..%00",
    b"...",
)
SLASHES = (b"/", b"//", b"\\", b"%2f", b"%5c", b"%252f", b"%c0%af", b"%u2215", b"/./", b";/", b"%00/", b"%20/")
STARTS = (b"/mcp/", b"/mcp/city", b"/mcp/city/", b"/livez/", b"/nothing/", b"//")
TARGETS = (b"mcp/city", b"mcp", b"livez", b"admin", b"oauth/callback", b"v0.1/servers", b"etc/passwd")
ROUTES = (b"/mcp/city", b"/mcp", b"/livez", b"/readyz", b"/v0.1/servers", b"/oauth/callback", b"/consent/a")


def traversals() -> Iterator[bytes]:
    """Paths that lead to a target once somebody has decoded, folded and joined them."""
    for start, dots, slash, target in product(STARTS, DOTS, SLASHES, TARGETS):
        yield start + dots + slash + target
        yield start + slash.join([dots] * 3) + slash + target
    for start, slash in product(STARTS, SLASHES):
        yield start + slash + b"city"


def variants() -> Iterator[bytes]:
    """Other spellings of the routes that there are."""
    for route in ROUTES:
        for at in range(1, len(route)):
            letter = route[at : at + 1]
            for other in (letter.swapcase(), b"%%%02x" % letter[0], b"%%25%02x" % letter[0], letter + b"\0"):
                if other != letter:
                    yield route[:at] + other + route[at + 1 :]
        yield from (b"/" + route, b"." + route, route[1:], b"/;" + route, b"/." + route, b"\\" + route[1:])
    yield from (b"/mcp/city" + more for more in (b"/", b"%20", b";a=b", b".", b"/.", b"%00", b"\0", b"%2f", b"#a"))


class Governed(Exception):
    """A request came to govern()."""


def governing() -> Any:
    """Stands for the generation in force, at whose door the test ends."""
    raise Governed


class Gate:
    """A gateway whose every room notes that it was reached."""

    def __init__(self) -> None:
        self.reached = ""
        stages = cast("Stages", Spy())
        settings = EndpointSettings(JsonLimits(), Sites.of("127.0.0.1", ""))
        registry = Registry(stages, RegistrySettings("http://127.0.0.1", ("authorization",)))
        self.gateway = Gateway(stages, settings, lambda: True, self.pages, self.aggregate, registry)

    async def pages(self, _scope: Any, _receive: Any, _send: Any) -> None:
        self.reached = "pages"

    async def aggregate(self, _exchange: Exchange) -> None:
        self.reached = "aggregate"

    async def send(self, message: Any) -> None:
        self.reached = self.reached or ("" if message.get("status", 404) == 404 else "probe")

    async def reach(self, path: bytes) -> str:
        """What a request for this path comes to: a room, a connection by its name, or nothing."""
        self.reached = ""
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "raw_path": path,
            "path": "/mcp/city",
            "headers": [],
            "client": None,
        }
        try:
            await self.gateway(scope, self.receive, self.send)
        except Governed:
            return head_of(scope, path, ()).connection
        return self.reached

    async def receive(self) -> Any:
        return {"type": "http.disconnect"}


class Spy:
    """Stages of which none is passed."""

    snapshot = staticmethod(governing)


async def test_every_route_is_reached_by_its_own_spelling() -> None:
    gate = Gate()
    reached = [await gate.reach(path) for path in ROUTES]
    assert [bool(found) or path == b"/v0.1/servers" for path, found in zip(ROUTES, reached, strict=True)] == [True] * 7


@pytest.mark.parametrize("paths", [traversals, variants])
async def test_no_other_spelling_reaches_a_route_or_a_connection(paths: Any) -> None:
    gate, tried = Gate(), list(paths())
    reached = [(path, found) for path in tried if (found := await gate.reach(path))]
    own = (b"/consent/", b"/oauth/callback/")  # whose pages have one spelling of a link, each
    assert [pair for pair in reached if not pair[0].startswith(own)] == []
    assert len(tried) > (8000 if paths is traversals else 250)


async def test_on_a_socket_the_path_arrives_as_it_was_written() -> None:
    paths = [*list(traversals())[::50], *list(variants())[::5]]
    seen: list[bytes] = []

    async def witness(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(scope["raw_path"])
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with listening(witness) as url:
        for path in paths:
            answer = await said(url, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert statuses(answer) in ([404], [400])
    assert len(paths) > 150
    assert [path for path in seen if path not in paths] == []
