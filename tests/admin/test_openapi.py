"""The document follows from the declarations."""

from mcpgov.admin.access import STATUS, Role
from mcpgov.admin.openapi import openapi
from mcpgov.admin.routes import BASE, Asked, Parameter, Reply, Route
from tests.admin.house import AdminHouse


async def answer(_: Asked) -> Reply:
    return Reply()


def test_a_route_is_described_with_its_parameters_and_body() -> None:
    query = (Parameter("what", "What.", ("a",), required=True),)
    body = (Parameter("name", "Name.", required=True), Parameter("more", "More.", many=True))
    document = openapi((Route("POST", "/things/{id}", Role.ADMIN, "Do.", "Done.", answer, query, body),), "1.0")
    said = document["paths"]["/admin/v1/things/{id}"]["post"]
    assert [(one["name"], one["in"]) for one in said["parameters"]] == [("id", "path"), ("what", "query")]
    schema = said["requestBody"]["content"]["application/json"]["schema"]
    assert (schema["required"], schema["properties"]["more"]["type"]) == (["name"], "array")
    assert said["description"] == "Needs the role admin."
    assert document["info"]["version"] == "1.0"


async def test_every_route_is_in_the_document_and_nothing_else(house: AdminHouse) -> None:
    document = (await house.api("/openapi.json")).json
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, BASE + route.path) for route in house.listener.routes}


async def test_every_status_is_in_the_document(house: AdminHouse) -> None:
    document = (await house.api("/openapi.json")).json
    for route in house.listener.routes:
        said = document["paths"][BASE + route.path][route.method.lower()]["responses"]
        assert set(said) == {str(status) for status in (route.status, *STATUS.values())}
        assert ("201" in said) == (route.path in {"/keys", "/admin-keys"} and route.method == "POST")
