"""Policies through the API."""

from mcpgov.admin.access import Role
from tests.admin.house import AdminHouse


async def test_policies_are_listed_without_their_text_and_shown_with_it(house: AdminHouse) -> None:
    listed = (await house.api("/policies")).json["policies"]
    assert [(one["name"], one["scopes"], one["text"]) for one in listed] == [
        ("company", ["every connection"], None),
        ("lost", [], None),
    ]
    assert (await house.api("/policies/company")).json["text"] == "inbound: []\n"


async def test_a_request_is_explained(house: AdminHouse) -> None:
    question = {"connection": "city", "tool": "delete", "kind": "agent"}
    answered = await house.change("POST", "/policies/explain", Role.VIEWER, question)
    assert (answered.json, house.answers.asked) == ({"decision": "allowed"}, [question])


async def test_a_question_that_cannot_be_asked_is_told_why(house: AdminHouse) -> None:
    answered = await house.change("POST", "/policies/explain", Role.VIEWER, {"connection": "none"})
    assert (answered.status, answered.json["error"]["message"]) == (400, "there is no connection none")
