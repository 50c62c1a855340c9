"""The console over HTTP: nobody is let in without something, no form counts that came from elsewhere."""

import json
from pathlib import Path

import pytest

from mcpgov.admin.access import Role
from mcpgov.pinning.definitions import definition_digest
from tests.admin.house import HOST, SEARCH, AdminHouse, admin_house, listed, with_keys

# Every page and form, and the least role that may use it. One that is not here fails the test below.
MATRIX = {
    "GET ": Role.VIEWER,
    "GET /calls.jsonl": Role.VIEWER,
    "GET /calls.csv": Role.VIEWER,
    "GET /calls/{id}": Role.VIEWER,
    "GET /usage": Role.VIEWER,
    "GET /events": Role.VIEWER,
    "GET /catalog": Role.VIEWER,
    "GET /catalog/{server}": Role.VIEWER,
    "POST /catalog/{server}/approve": Role.OPERATOR,
    "POST /catalog/{server}/reject": Role.OPERATOR,
    "GET /policies": Role.VIEWER,
    "GET /policies/explain": Role.VIEWER,
    "POST /policies/explain": Role.VIEWER,
    "GET /policies/{name}": Role.VIEWER,
    "GET /keys": Role.VIEWER,
    "POST /keys": Role.OPERATOR,
    "POST /keys/{id}/revoke": Role.OPERATOR,
    "POST /admin-keys": Role.ADMIN,
    "POST /admin-keys/{id}/revoke": Role.ADMIN,
}
AT = "/catalog/dev.mcpgov%2Fcity"
SHOWN = json.dumps({"": {"search": definition_digest(SEARCH)}})
FORMS = {
    f"{AT}/approve": {"tools": SHOWN},
    f"{AT}/reject": {"tools": SHOWN},
    "/keys": {"name": "ci"},
    "/admin-keys": {"name": "x", "role": "viewer"},
    "/policies/explain": {"connection": "city"},
}


def test_the_matrix_names_every_page(house: AdminHouse) -> None:
    assert {f"{route.method} {route.path}": route.role for route in house.console.routes} == MATRIX


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize("route", MATRIX)
async def test_a_page_is_for_its_role_and_those_above(house: AdminHouse, route: str, role: Role | None) -> None:
    method, _, path = route.partition(" ")
    path = path.replace("{id}", "1").replace("{name}", "company").replace("/catalog/{server}", AT)
    await listed(house, SEARCH)
    if role is None:
        answered = await (house.open(path) if method == "GET" else house.send(path))
        assert answered.status == (200 if route == "GET " else 401)
        assert "Sign in" in answered.text
        assert "search" not in answered.text.partition("</style>")[2]
        return
    await house.sign_in(role)
    if method == "GET":
        answered = await house.open(path)
    else:
        answered = await house.send(path, None, form=await house.token(), **FORMS.get(path, {}))
    if role.allows(MATRIX[route]):
        assert answered.status in ({404} if path.endswith("revoke") else {200, 303})
    else:
        assert (answered.status, "needs the role" in answered.text) == (403, True)


async def test_a_key_lets_in_and_signing_out_ends_it(house: AdminHouse) -> None:
    assert (await house.open("/sign-in")).status == 200
    await house.sign_in(Role.VIEWER)
    assert "the viewer" in (await house.open()).text
    out = await house.send("/sign-out", form=await house.token())
    assert (out.status, "Max-Age=0" in out.headers["set-cookie"]) == (303, True)


@pytest.mark.parametrize("key", ["", "x", "mcpgov_admin_x"])
async def test_a_wrong_key_lets_nobody_in(house: AdminHouse, key: str) -> None:
    answered = await house.send("/sign-in", key=key)
    assert (answered.status, "set-cookie" in answered.headers) == (401, False)
    assert "not a valid admin key" in answered.text


async def test_a_cookie_is_for_this_console_alone(tmp_path: Path) -> None:
    with admin_house(tmp_path, secure=True) as made:
        house = await with_keys(made)
        answered = await house.send("/sign-in", {"origin": f"https://{HOST}"}, key=house.keys[Role.VIEWER])
        cookie = answered.headers["set-cookie"]
        assert cookie.startswith("__Host-mcpgov-console=")
        assert {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200", "Secure"} <= set(cookie.split("; "))
        house.cookie = cookie.partition(";")[0]
        assert "the viewer" in (await house.open()).text
        house.cookie = f"{house.cookie}; {house.cookie}"  # two that say different things could be read differently
        assert "Sign in" in (await house.open()).text


async def test_the_link_of_the_start_lets_in_once(tmp_path: Path) -> None:
    with admin_house(tmp_path, link="the-link") as house:
        assert "the link that mcpgov serve printed" in (await house.open()).text
        assert (await house.open("/open", token="wrong")).status == 401
        opened = await house.open("/open", token="the-link")
        assert opened.status == 303
        assert (await house.open("/open", token="the-link")).status == 401
        house.cookie = opened.headers["set-cookie"].partition(";")[0]
        assert "this machine" in (await house.open()).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": ""},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data"},
    ],
)
async def test_a_form_from_elsewhere_is_refused(house: AdminHouse, headers: dict[str, str]) -> None:
    await house.sign_in(Role.ADMIN)
    answered = await house.send("/keys", headers, form=await house.token(), name="ci")
    assert answered.status in {400, 403}
    assert await house.parts.keys.list() == []


async def test_a_form_without_the_token_of_its_session_is_refused(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    other = await house.token()
    await house.sign_in(Role.ADMIN)
    for token in ("", "x", other):
        assert (await house.send("/keys", form=token, name="ci")).status == 403
    assert await house.parts.keys.list() == []


async def test_what_is_not_there_is_said(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    for path, status in (("/none", 404), ("/calls/none", 404), ("/calls/x/y", 404)):
        assert (await house.open(path)).status == status
    assert (await house.ask("DELETE", "/console/keys")).status == 405
    assert (await house.ask("HEAD", "/console/keys")).status == 200
    assert (await house.open("/policies/none")).headers["location"] == "/console/policies"
