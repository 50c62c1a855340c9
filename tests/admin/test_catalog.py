"""The catalog through the API."""

from tests.admin.house import AdminHouse


async def test_servers_and_connections_are_listed(house: AdminHouse) -> None:
    found = (await house.api("/catalog")).json
    assert (found["stamp"], [one["title"] for one in found["servers"]]) == ("a" * 64, ["City"])
    assert [one["name"] for one in (await house.api("/connections")).json["connections"]] == ["city", "town"]
    assert (await house.api("/connections/town")).json["timeout"] == 30.0
