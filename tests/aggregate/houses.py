"""A gateway whose /mcp is made of two cities, and of a server that is down."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.flows.house import Client, House, house
from tests.flows.upstream import CityUpstream, listening

BASIC = 'audit: { store: "sqlite:///audit.db" }\n'


class Town(CityUpstream):
    """A server that lists what it is told to, in pages of `size`, and says of a call what it got."""

    def __init__(self, tools: Sequence[str], size: int = 100) -> None:
        super().__init__()
        self.tools = list(tools)
        self.size = size
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.speaks: Sequence[str] = ("2026-07-28", "2025-11-25")

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        method, params = message["method"], message.get("params", {})
        if method == "tools/list":
            at = int(params.get("cursor", 0))
            page = [{"name": name, "inputSchema": {"type": "object"}} for name in self.tools[at : at + self.size]]
            more = {"nextCursor": str(at + self.size)} if at + self.size < len(self.tools) else {}
            return {"tools": page, "resultType": "complete", "ttlMs": 0, "cacheScope": "public", **more}
        if method == "server/discover":
            return {"supportedVersions": list(self.speaks), "capabilities": {}, "resultType": "complete"}
        for key in ("prompts", "resources", "resourceTemplates"):
            if method == {"resourceTemplates": "resources/templates/list"}.get(key, f"{key}/list"):
                return {key: self.lists.get(key, []), "resultType": "complete"}
        if method in {"prompts/get", "resources/read"}:
            return {"echo": params, "resultType": "complete"}
        return super()._result(message)

    @property
    def asked(self) -> list[str]:
        """The methods of the messages that came."""
        return [str(seen.message["method"]) for seen in self.ledger if seen.message]

    def seen(self, method: str) -> list[dict[str, Any]]:
        """The params of every request with this method."""
        return [seen.message["params"] for seen in self.ledger if seen.message.get("method") == method]


def entry(name: str, url: str, policies: str = "[]") -> str:
    """One server with one connection of the same name."""
    connection = f"{{ authType: CustomKeys, keys: {{ X-Key: {name}-secret }}, policies: {policies} }}"
    return (
        f"name: dev.mcpgov/{name}\nversion: 1.0.0\ndescription: {name}\nupstream: {url}\nprivate: true\n"
        f"connections: {{ {name}: {connection} }}\n"
    )


@asynccontextmanager
async def aggregate(folder: Path, more: str = "", chosen: str = "", **towns: Town) -> AsyncGenerator[House]:
    """A gateway with these towns as one server, or with those that are chosen; `more` goes on with the setting."""
    async with AsyncExitStack() as stack:
        urls = {name: await stack.enter_async_context(listening(town)) for name, town in towns.items()}
        built = await stack.enter_async_context(house(folder))
        for name, url in urls.items():
            built.write(f"catalog/{name}.yaml", entry(name, f"{url}/mcp"))
        put_together(built, chosen or ", ".join(towns), more)
        yield built


def put_together(built: House, chosen: str, more: str = "") -> None:
    """Put the setting in force."""
    built.write("mcpgov.yaml", BASIC + f"aggregate: {{ connections: [{chosen}]{more} }}\n")
    built.reload()


async def at_mcp(built: House, key: str | None = None) -> Client:
    """A client of the aggregate."""
    assert built.http is not None
    return Client(built.http, f"{built.url}/mcp", await built.key() if key is None else key)


def names(message: dict[str, Any], key: str = "tools", by: str = "name") -> list[str]:
    """What a list result names."""
    return [item[by] for item in message["result"][key]]
