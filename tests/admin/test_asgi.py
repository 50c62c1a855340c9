"""Every route, for every role and for nobody; hosts, origins, errors, the document: the whole matrix, default deny."""

import sqlite3
from pathlib import Path

import pytest

from mcpgov.admin.access import Role
from mcpgov.pinning.definitions import definition_digest
from tests.admin.house import SEARCH, AdminHouse, listed

# Every route and the least role that may use it. A route that is not here fails the test below.
MATRIX = {
    "GET /audit/calls": Role.VIEWER,
    "GET /audit/calls.jsonl": Role.VIEWER,
    "GET /audit/calls.csv": Role.VIEWER,
    "GET /audit/calls/{id}": Role.VIEWER,
    "GET /audit/stats": Role.VIEWER,
    "GET /audit/usage": Role.VIEWER,
    "GET /audit/state": Role.VIEWER,
    "GET /audit/events": Role.VIEWER,
    "GET /audit/exports": Role.VIEWER,
    "GET /keys": Role.VIEWER,
    "POST /keys": Role.OPERATOR,
    "DELETE /keys/{id}": Role.OPERATOR,
    "GET /admin-keys": Role.ADMIN,
    "POST /admin-keys": Role.ADMIN,
    "DELETE /admin-keys/{id}": Role.ADMIN,
    "GET /catalog": Role.VIEWER,
    "GET /catalog/{server}/pins": Role.VIEWER,
    "POST /catalog/{server}/approve": Role.OPERATOR,
    "POST /catalog/{server}/reject": Role.OPERATOR,
    "GET /connections": Role.VIEWER,
    "GET /connections/{name}": Role.VIEWER,
    "GET /policies": Role.VIEWER,
    "POST /policies/explain": Role.VIEWER,
    "GET /policies/{name}": Role.VIEWER,
    "GET /openapi.json": Role.VIEWER,
}
AT = "/catalog/dev.mcpgov%2Fcity"
DECISION = {"tool": "search", "digest": definition_digest(SEARCH)}
BODIES = {
    f"{AT}/approve": DECISION,
    f"{AT}/reject": DECISION,
    "/keys": {"name": "ci"},
    "/admin-keys": {"name": "dana", "role": "viewer"},
    "/policies/explain": {"connection": "city"},
}


def test_the_matrix_names_every_route(house: AdminHouse) -> None:
    assert {f"{route.method} {route.path}": route.role for route in house.listener.routes} == MATRIX


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize("route", MATRIX)
async def test_a_route_is_for_its_role_and_those_above(house: AdminHouse, route: str, role: Role | None) -> None:
    method, path = route.split()
    await listed(house, SEARCH)
    path = (
        path.replace("{id}", "1")
        .replace("/catalog/{server}", AT)
        .replace("{name}", "company" if "policies" in path else "city")
    )
    if role is None:
        answered = await house.ask(method, f"/admin/v1{path}")
        assert (answered.status, answered.json["error"]["reason"]) == (401, "credential-missing")
        assert answered.headers["www-authenticate"] == "Bearer"
        return
    answered = await house.change(method, path, role, BODIES.get(path) if method == "POST" else None)
    if role.allows(MATRIX[route]):
        assert answered.status in ({404} if method == "DELETE" else {200, 201})
    else:
        assert (answered.status, answered.json["error"]["reason"]) == (403, "role-missing")


@pytest.mark.parametrize("value", ["Basic x", "Bearer x", "mcpgov_admin_x", "Bearer mcpgov_x"])
async def test_what_is_no_admin_key_is_refused(house: AdminHouse, value: str) -> None:
    answered = await house.ask("GET", "/admin/v1/keys", {"authorization": value})
    assert (answered.status, answered.json["error"]["reason"]) == (401, "credential-invalid")


async def test_a_cookie_opens_no_route_of_the_api(house: AdminHouse) -> None:
    await house.sign_in(Role.ADMIN)
    assert (await house.ask("GET", "/admin/v1/keys")).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/admin/v1/none", 404, "not-found"),
        ("GET", "/admin/v2/keys", 404, "not-found"),
        ("GET", "/keys", 404, "not-found"),
        ("PUT", "/admin/v1/keys", 405, "method-not-allowed"),
        ("GET", "/admin/v1/connections/none", 404, "not-found"),
        ("GET", "/admin/v1/policies/none", 404, "not-found"),
    ],
)
async def test_what_is_not_declared_is_not_there(
    house: AdminHouse, method: str, path: str, status: int, reason: str
) -> None:
    answered = await house.ask(method, path, {"authorization": f"Bearer {house.keys[Role.ADMIN]}"})
    assert (answered.status, answered.json["error"]["reason"]) == (status, reason)
    assert answered.headers.get("allow") == ("GET, POST" if status == 405 else None)


async def test_only_our_own_host_and_origin_are_served(house: AdminHouse) -> None:
    key = {"authorization": f"Bearer {house.keys[Role.VIEWER]}"}
    assert (await house.ask("GET", "/admin/v1/keys", {**key, "host": "evil.example"})).status == 421
    answered = await house.ask("GET", "/admin/v1/keys", {**key, "origin": "https://evil.example"})
    assert (answered.status, answered.json["error"]["reason"]) == (403, "origin-denied")


async def test_the_root_leads_to_the_console(house: AdminHouse) -> None:
    answered = await house.ask("GET", "/")
    assert (answered.status, answered.headers["location"]) == (303, "/console")


async def test_every_answer_forbids_what_it_does_not_need(house: AdminHouse) -> None:
    for answered in (await house.api("/keys"), await house.open(), await house.ask("GET", "/none")):
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answered.headers["content-security-policy"]


async def test_a_body_has_a_bound(house: AdminHouse) -> None:
    raw = b'{"name": "' + b"x" * 70_000 + b'"}'
    key = {"authorization": f"Bearer {house.keys[Role.ADMIN]}"}
    answered = await house.ask("POST", "/admin/v1/keys", key, raw)
    assert (answered.status, answered.json["error"]["reason"]) == (413, "too-large")


@pytest.mark.parametrize("query", ["limit=1&limit=2", "principal=%ff", "a=b" * 3 + "&x=1" * 80])
async def test_a_query_that_two_could_read_differently_is_refused(house: AdminHouse, query: str) -> None:
    key = {"authorization": f"Bearer {house.keys[Role.ADMIN]}"}
    answered = await house.ask("GET", "/admin/v1/audit/calls", key, query=query)
    assert (answered.status, answered.json["error"]["reason"]) == (400, "invalid-request")


async def test_a_store_that_is_down_is_said_without_its_words(house: AdminHouse, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mcpgov.db") as database:
        database.execute("DROP TABLE admin_keys")
    database.close()
    answered = await house.api("/keys")
    assert (answered.status, answered.json["error"]["reason"]) == (503, "store-unavailable")
    assert "admin_keys" not in answered.text


async def test_the_document_describes_every_route(house: AdminHouse) -> None:
    document = (await house.api("/openapi.json")).json
    described = {
        f"{method.upper()} {path.removeprefix('/admin/v1')}" for path, at in document["paths"].items() for method in at
    }
    assert described == set(MATRIX)


async def test_what_is_changed_is_written_down_with_who_changes_it_and_looking_is_not(house: AdminHouse) -> None:
    await house.api("/keys")
    assert house.noted == []
    await house.change("POST", "/keys", Role.OPERATOR, {"name": "ci"})
    await house.change("POST", "/keys", Role.VIEWER, {"name": "ci"})
    ((event, details),) = house.noted
    assert (event, details["name"], details["what"]) == ("admin-acted", "the operator", "POST /admin/v1/keys")


async def test_whoever_comes_in_and_whoever_is_refused_is_written_down(house: AdminHouse) -> None:
    await house.ask("GET", "/admin/v1/keys", {"authorization": "Bearer x"})
    await house.send("/sign-in", key="x")
    await house.sign_in(Role.ADMIN)
    await house.send("/keys", form=await house.token(), name="ci")
    assert [event for event, _ in house.noted] == ["admin-refused", "admin-refused", "admin-signed-in", "admin-acted"]
    assert house.keys[Role.ADMIN] not in str(house.noted)


async def test_metrics_are_for_whoever_may_look_and_for_nobody_else(house: AdminHouse) -> None:
    for role in Role:
        told = await house.ask("GET", "/metrics", {"authorization": f"Bearer {house.keys[role]}"})
        assert (told.status, told.text) == (200, "mcpgov_calls_total 6.0\n")
        assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert told.headers["cache-control"] == "no-store"
    for nobody in ({}, {"authorization": "Bearer nonsense"}):
        assert (await house.ask("GET", "/metrics", nobody)).status == 401
    assert (await house.ask("GET", "/metrics", {"host": "elsewhere.example"})).status == 421
    assert (await house.ask("POST", "/metrics", {"authorization": f"Bearer {house.keys[Role.ADMIN]}"})).status == 404
