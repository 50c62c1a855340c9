"""The document follows from the declarations."""

from mcpgov.admin.access import Role
from mcpgov.admin.openapi import openapi
from mcpgov.admin.routes import Asked, Parameter, Reply, Route


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
