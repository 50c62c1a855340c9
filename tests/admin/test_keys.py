"""Keys through the API: made once and shown once, listed without secrets, revoked for good."""

from datetime import timedelta

import pytest

from mcpgov.admin.access import Role, person_of
from mcpgov.identity.api_key import digest
from tests.admin.house import LATER, AdminHouse


async def test_a_gateway_key_is_made_shown_once_and_revoked(house: AdminHouse) -> None:
    wanted = {"name": "ci", "project": "payments", "connections": ["city", "city"], "expires": "90d"}
    made = await house.change("POST", "/keys", Role.OPERATOR, wanted)
    assert made.status == 201
    assert (made.json["connections"], made.json["tools"], made.json["state"]) == (["city"], None, "in force")
    kept = await house.parts.keys.find(made.json["id"])
    assert kept is not None
    assert kept.digest == digest(made.json["key"])
    assert kept.expires_at == LATER + timedelta(days=90)
    listed = await house.api("/keys")
    assert made.json["key"] not in listed.text
    assert kept.digest not in listed.text
    revoked = await house.change("DELETE", f"/keys/{kept.id}", Role.OPERATOR)
    assert revoked.json == {"id": kept.id, "state": "revoked"}
    assert (await house.change("DELETE", f"/keys/mcpgov_{kept.id}", Role.OPERATOR)).status == 404
    assert [one["state"] for one in (await house.api("/keys")).json["keys"]] == ["revoked"]


async def test_an_admin_key_opens_what_its_role_allows_until_it_is_revoked(house: AdminHouse) -> None:
    made = await house.change("POST", "/admin-keys", Role.ADMIN, {"name": "erin", "role": "operator", "expires": "1h"})
    assert (await person_of(made.json["key"], house.parts.admin_keys, LATER)).role is Role.OPERATOR
    listed = (await house.api("/admin-keys", Role.ADMIN)).json["keys"]
    assert sorted(one["name"] for one in listed) == ["erin", "the admin", "the operator", "the viewer"]
    assert listed[-1]["name"] == "erin"
    house.now += timedelta(hours=2)
    assert (await house.api("/admin-keys", Role.ADMIN)).json["keys"][3]["state"] == "expired"
    assert (await house.change("DELETE", f"/admin-keys/{made.json['id']}", Role.ADMIN)).status == 200
    assert (await house.change("DELETE", "/admin-keys/none", Role.ADMIN)).status == 404


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/keys", {"name": ""}, "name is missing"),
        ("/keys", {"name": "x" * 129}, "1 to 128"),
        ("/keys", {"name": "a\x1b[2J"}, "printable"),
        ("/keys", {"name": "a", "expires": "soon"}, "not a time"),
        ("/keys", {"name": "a", "connections": "city"}, "list of texts"),
        ("/keys", {"name": "a", "connections": [1]}, "list of texts"),
        ("/keys", {"name": "a", "tools": [""]}, "names or patterns"),
        ("/keys", {"name": "a", "tools": []}, "leave it out for all of them"),
        ("/keys", {"name": "a", "connections": []}, "leave it out for all of them"),
        ("/keys", {"name": ["a"]}, "must be text"),
        ("/keys", {"name": "a", "role": "admin"}, "no member role"),
        ("/keys", [], "not a JSON object"),
        ("/admin-keys", {"name": "a", "role": "root"}, "one of viewer, operator, admin"),
        ("/admin-keys", {"name": "a"}, "role is missing"),
    ],
)
async def test_what_is_no_key_is_refused_with_the_reason(house: AdminHouse, path: str, body: object, says: str) -> None:
    answered = await house.change("POST", path, Role.ADMIN, body)
    assert answered.status == 400
    assert says in answered.json["error"]["message"]
