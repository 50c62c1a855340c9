"""A catalog for the tests of the registry: what is upstream in it must never be seen."""

from datetime import UTC, datetime
from typing import Any, cast

from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.server_json import listed
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.policy.glob import compile_wildcards
from mcpgov.registry.asked import parse_asked
from mcpgov.registry.pages import Reach, Shelf, Told, page

WRITTEN = datetime(2026, 11, 1, 12, 30, 15, 999, tzinfo=UTC)
TOLD = Told("https://mcp.contoso.com", "stamp")
EVERYBODY = Reach()


def text(name: str, version: str = "1.0.0", *, connection: str = "", more: str = "") -> str:
    """The file of one version of a server."""
    served = connection or name.rpartition("/")[2]
    return f"""\
name: {name}
version: "{version}"
upstream: https://upstream-{served}.hosts.example/secret-path?tenant=t1
{more}connections:
  {served}:
    authType: CustomKeys
    keys: {{ X-Upstream-Key: "hidden ${{env:HIDDEN_KEY}}" }}
    backends: [https://backend-{served}.hosts.example]
"""


def shelf(*texts: str, written: datetime = WRITTEN) -> Shelf:
    """A shelf of these files."""
    lookup = EnvironmentAndFiles({"HIDDEN_KEY": "the-value"})
    return Shelf(listed(parse_entry(one, "x.yaml", lookup), written) for one in texts)


def only(*connections: str) -> Reach:
    """What a key of this scope sees."""
    return Reach(connections=compile_wildcards(connections))


def pages(servers: Shelf, query: str, reach: Reach = EVERYBODY) -> list[list[str]]:
    """The names and versions on each page, asked for as VS Code does: the cursor raw, and nothing else repeated."""
    found: list[list[str]] = []
    limit = "".join(part for part in query.split("&") if part.startswith("limit="))
    for _ in range(100):
        answer = cast("Any", page(servers, reach, parse_asked(query.encode()), TOLD))
        found.append([f"{one['server']['name']} {one['server']['version']}" for one in answer["servers"]])
        assert answer["metadata"]["count"] == len(found[-1])
        if "nextCursor" not in answer["metadata"]:
            return found
        query = f"{limit}&cursor={answer['metadata']['nextCursor']}"
    raise AssertionError("a list without end")


def walked(servers: Shelf, query: str, reach: Reach = EVERYBODY) -> list[str]:
    """The same from page to page, as one list."""
    return [one for found in pages(servers, query, reach) for one in found]
