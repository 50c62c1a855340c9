"""The catalog through the API."""

from tests.admin.house import SEARCH, AdminHouse, listed


async def test_servers_and_connections_are_listed(house: AdminHouse) -> None:
    found = (await house.api("/catalog")).json
    assert (found["stamp"], [one["title"] for one in found["servers"]]) == ("a" * 64, ["City"])
    assert [one["name"] for one in (await house.api("/connections")).json["connections"]] == ["city", "town"]
    assert (await house.api("/connections/town")).json["timeout"] == 30.0


async def test_a_server_says_how_its_tools_come_to_be_trusted_and_where_they_stand(house: AdminHouse) -> None:
    (server,) = (await house.api("/catalog")).json["servers"]
    assert (server["pin"], server["tools"]) == ("require", {"listed": False, "counts": {}})
    await listed(house, SEARCH)
    (server,) = (await house.api("/catalog")).json["servers"]
    assert server["tools"] == {"listed": True, "counts": {"pending": 1}}
