"""Who may ask for what: every route of both listeners for every kind of caller. A route that is not here fails.

The routes are read from the code: from the declarations of the admin plane and the console, and, where paths are told
apart by `if`, from the conditions themselves. What is not said to be open is closed; a key of one plane is none on the
other.
"""

import ast
import inspect
import secrets
import textwrap
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from mcpgov import app
from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.admin.asgi import AdminListener
from mcpgov.console.asgi import Console
from mcpgov.endpoint.asgi import Gateway
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import CallerScope
from tests.admin.house import CITY, SEARCH, AdminHouse, admin_house, listed, with_keys
from tests.admin.test_asgi import AT, BODIES, MATRIX
from tests.audit.calls import NOW
from tests.console.test_asgi import MATRIX as PAGES
from tests.flows.house import House, house
from tests.identity.tokens import entra_tokens

ROLES: Final = tuple(Role)
STRANGERS: Final = (
    "nobody",
    "gateway key",
    "scoped gateway key",
    "revoked gateway key",
    "Entra token",
    "made-up key",
    "expired admin key",
)
# The conditions by which the admin listener tells paths apart, and what somebody without a key gets there.
ADMIN_CONDITIONS: Final[Mapping[str, tuple[str, int]]] = {
    "scope['type'] != 'http'": ("", 0),
    "path == CONSOLE or path.startswith(f'{CONSOLE}/')": ("/console/keys", 401),
    "path == '/'": ("/", 303),
    "path == METRICS and scope['method'] == 'GET' and (self._metrics is not None)": ("/metrics", 401),
    "reply is not None": ("", 0),
}
CONSOLE_CONDITIONS: Final = (
    *("method == 'POST'", "raw is None", "path in {'/sign-in', '/open'}", "session is None", "method == 'POST'"),
    "(method, path) == ('POST', '/sign-out')",
)


@dataclass(frozen=True, slots=True)
class Open:
    """What the data plane answers at a path: to nobody, to a good key, and to any other caller."""

    path: str
    nobody: int
    good: int
    other: int


# The conditions by which the data plane tells paths apart.
DATA_CONDITIONS: Final[Mapping[str, tuple[Open, ...]]] = {
    "scope['type'] != 'http'": (),
    "path == b'/livez'": (Open("/livez", 200, 200, 200),),
    "path == b'/readyz'": (Open("/readyz", 200, 200, 200),),
    "self._registry is not None and self._registry.serves(path)": (
        *(Open(f"{at}/servers", 401, 200, 401) for at in ("", "/v0", "/v0.1")),
        Open("/v0.1/servers/dev.mcpgov%2Fcity/versions", 401, 200, 401),
        Open("/v0.1/anything", 401, 404, 401),
    ),
    "path.startswith(PREFIX) or path == PREFIX[:-1]": (
        Open("/mcp/city", 401, 405, 401),
        Open("/mcp/town", 401, 405, 401),
        Open("/mcp/unknown", 401, 405, 401),
        Open("/mcp", 401, 405, 401),
        Open("/mcp/", 401, 405, 401),
    ),
    "path.startswith(METADATA)": (Open("/.well-known/oauth-protected-resource/mcp/city", 404, 404, 404),),
    "self._pages is not None and (path == CALLBACK or path.startswith((PAGES, CALLBACK + b'/')))": (
        Open("/consent/x", 200, 200, 200),
        Open("/oauth/callback", 403, 403, 403),
    ),
}
ELSEWHERE: Final = (
    "/admin/v1/keys",
    "/admin/v1/openapi.json",
    "/admin",
    "/console",
    "/console/keys",
    "/metrics",
    "/",
    "/docs",
)


def conditions(function: Callable[..., object]) -> list[str]:
    """Every condition of a function, as it is written."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return [ast.unparse(node.test) for node in ast.walk(tree) if isinstance(node, ast.If)]


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncGenerator[AdminHouse]:
    """The admin plane, with a key for each role."""
    with admin_house(tmp_path) as made:
        yield await with_keys(made)


def test_every_route_has_an_entry(plane: AdminHouse) -> None:
    assert {f"{route.method} {route.path}": route.role for route in plane.listener.routes} == MATRIX
    assert {f"{route.method} {route.path}": route.role for route in plane.console.routes} == PAGES
    assert sorted(conditions(AdminListener.__call__)) == sorted(ADMIN_CONDITIONS)
    assert sorted(conditions(vars(Console)["_serve"])) == sorted(CONSOLE_CONDITIONS)
    assert sorted(conditions(Gateway.__call__)) == sorted(DATA_CONDITIONS)


async def strangers(plane: AdminHouse) -> Mapping[str, str]:
    """What everybody presents who is nobody to the admin plane."""
    made: dict[str, str] = {
        "nobody": "",
        "Entra token": entra_tokens().user(),
        "made-up key": "mcpgov_admin_0000000000",
    }
    for name, scope, revoked in (
        ("gateway key", None, None),
        ("scoped gateway key", CallerScope(("nowhere",), ("none",)), None),
        ("revoked gateway key", None, NOW),
    ):
        key_id, key = mint_key(secrets.choice)
        record = KeyRecord(key_id, digest(key.reveal()), name, "", NOW, revoked_at=revoked)
        await plane.parts.keys.create(replace(record, scope=scope) if scope else record)
        made[name] = key.reveal()
    key_id, key = mint_admin_key(secrets.choice)
    ended = AdminKey(key_id, digest(key.reveal()), "ended", Role.ADMIN, NOW, plane.now - timedelta(days=1))
    await plane.parts.admin_keys.create(ended)
    return made | {"expired admin key": key.reveal()}


def filled(path: str) -> str:
    """A path with something in each of its places."""
    path = path.replace("{id}", "1").replace("/catalog/{server}", AT)
    return path.replace("{name}", "company" if "policies" in path else "city")


@pytest.mark.parametrize("route", MATRIX)
async def test_the_admin_api_is_for_admin_keys_of_the_role_alone(plane: AdminHouse, route: str) -> None:
    method, path = route.split()
    await listed(plane, SEARCH)
    at = filled(path)
    body = BODIES.get(at) if method == "POST" else None
    presented = await strangers(plane)
    assert tuple(sorted(presented)) == tuple(sorted(STRANGERS))
    for name, key in presented.items():
        for header in ("authorization", "x-api-key", "cookie"):
            given = (
                {header: {"authorization": f"Bearer {key}", "cookie": f"mcpgov-console={key}"}.get(header, key)}
                if key
                else {}
            )
            assert (await plane.ask(method, f"/admin/v1{at}", given)).status == 401, (name, header)
    for role in ROLES:
        answered = await plane.change(method, at, role, body)
        ours = role.allows(MATRIX[route])
        assert answered.status in ({200, 201, 404} if ours else {403}), role
    await plane.sign_in(Role.ADMIN)  # a browser that is signed in asks the API: a cookie is no key
    assert (await plane.ask(method, f"/admin/v1{at}")).status == 401


@pytest.mark.parametrize("route", PAGES)
async def test_the_console_is_for_sessions_of_the_role_alone(plane: AdminHouse, route: str) -> None:
    method, _, path = route.partition(" ")
    at = filled(path)
    await listed(plane, SEARCH)

    async def asked(headers: Mapping[str, str] | None = None, **form: str) -> int:
        if method == "POST":
            return (await plane.send(at, headers, **form)).status
        return (await plane.ask("GET", f"/console{at}", headers)).status

    for name, key in {**await strangers(plane), **plane.keys}.items():  # a key is no session, an admin's neither
        for given in ({"authorization": f"Bearer {key}"}, {"cookie": f"mcpgov-console={key}"}):
            assert await asked(given if key else None) == (401 if at or method == "POST" else 200), name
    for role in ROLES:
        plane.cookie = ""
        await plane.sign_in(role)
        allowed = role.allows(PAGES[route])
        assert await asked(form=await plane.token(), connection="city") in (
            {200, 303, 400, 404, 409} if allowed else {403}
        ), role
        if method == "POST":
            assert await asked(form="") == 403, "a form of somebody else"


async def test_the_other_paths_of_the_admin_listener_are_as_the_table_says(plane: AdminHouse) -> None:
    for path, status in ADMIN_CONDITIONS.values():
        if path:
            assert (await plane.ask("GET", path)).status == status
    for name, key in (await strangers(plane)).items():
        given = {"authorization": f"Bearer {key}"} if key else {}
        assert (await plane.ask("GET", "/metrics", given)).status == 401, name
        for data in ("/mcp/city", "/mcp", "/v0.1/servers", "/livez"):  # the wrong listener
            assert (await plane.ask("POST", data, given)).status == 401, (name, data)
    for role in ROLES:
        given = {"authorization": f"Bearer {plane.keys[role]}"}
        assert (await plane.ask("GET", "/metrics", given)).status == 200
        for data in ("/mcp/city", "/mcp", "/v0.1/servers", "/livez"):
            assert (await plane.ask("GET", data, given)).status == 404, (role, data)


async def callers(gateway: House) -> Mapping[str, str]:
    """What everybody presents to the data plane."""
    _, unknown = mint_key(secrets.choice)
    made = {"nobody": "", "gateway key": await gateway.key(), "unknown key": unknown.reveal()}
    async with app.openers().admin_keys(gateway.folder / "mcpgov.yaml") as keys:
        for role in ROLES:
            key_id, key = mint_admin_key(secrets.choice)
            await keys.create(AdminKey(key_id, digest(key.reveal()), role, role, NOW))
            made[f"admin key, {role}"] = key.reveal()
    return made | {"Entra token": entra_tokens().user(), "cookie of the console": ""}


async def test_the_data_plane_is_for_gateway_keys_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as gateway:
        gateway.catalog("http://127.0.0.1:9/mcp")
        gateway.reload()
        assert gateway.http is not None
        for name, key in (await callers(gateway)).items():
            given = {"Authorization": f"Bearer {key}"} if key else {}
            given |= {"Cookie": "mcpgov-console=x"} if name.startswith("cookie") else {}
            for one in (one for some in DATA_CONDITIONS.values() for one in some):
                expected = one.good if name == "gateway key" else one.other if key else one.nobody
                given["MCP-Protocol-Version"] = "2026-07-28"
                async with gateway.http.get(f"{gateway.url}{one.path}", headers=given) as answer:
                    assert answer.status == expected, (name, one.path)
            for path in ELSEWHERE:  # what the admin plane has is not here, whoever asks
                async with gateway.http.get(f"{gateway.url}{path}", headers=given) as answer:
                    assert answer.status == 404, (name, path)
            async with gateway.http.post(f"{gateway.url}/admin/v1/keys", headers=given, json={"name": CITY}) as answer:
                assert answer.status == 404
