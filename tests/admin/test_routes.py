"""What a route accepts."""

import pytest

from mcpgov.admin.access import AdminRefusal, Person, Role
from mcpgov.admin.routes import Asked, Parameter, Reply, Route, check_query, find_route, matched, parse_body


async def answer(asked: Asked) -> Reply:
    return Reply(asked.text("name"))


WHAT = Parameter("what", "What.", ("a", "b"), required=True)
NAMED = Route("GET", "/things/{id}", Role.VIEWER, "One.", "One.", answer, query=(WHAT,))
MADE = Route(
    "POST", "/things.json", Role.ADMIN, "Make.", "It.", answer, body=(Parameter("names", "Names.", many=True),)
)


def test_a_route_is_found_by_its_method_and_path() -> None:
    assert find_route((NAMED, MADE), "GET", "/things/a%2Fb") == (NAMED, {"id": "a/b"})
    assert find_route((NAMED, MADE), "POST", "/things.json")[0] is MADE
    assert NAMED.name == "get-things-id"
    assert matched("/a.b", "/axb") is None
    with pytest.raises(AdminRefusal, match="not-found"):
        find_route((NAMED,), "GET", "/things/1/2")
    with pytest.raises(AdminRefusal, match=r"method-not-allowed: This path has GET") as refused:
        find_route((NAMED,), "POST", "/things/1")
    assert refused.value.allow == "GET"


@pytest.mark.parametrize("query", [{}, {"what": ""}, {"what": "c"}, {"what": "a", "more": "1"}])
def test_a_query_is_what_is_declared(query: dict[str, str]) -> None:
    check_query(NAMED, {"what": "a"})
    with pytest.raises(AdminRefusal, match="invalid-request"):
        check_query(NAMED, query)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b'{"names": "a"}', b'{"names": [1]}', b'{"other": 1}', b"\xff", b"[" * 60_000),
        *(
            b'{"names": ["a"], "names": ["b"]}',
            b'{"names": ["\\ud800"]}',
            b'{"names": NaN}',
            b'{"names": [[[[[[[[]]]]]]]]}',
        ),
    ],
)
def test_a_body_is_what_is_declared(raw: bytes) -> None:
    assert parse_body(MADE, b'{"names": ["a"]}') == {"names": ["a"]}
    assert parse_body(NAMED, b"") == {}
    with pytest.raises(AdminRefusal, match="invalid-request"):
        parse_body(MADE, raw)


def test_a_route_without_a_body_takes_none() -> None:
    with pytest.raises(AdminRefusal, match="has no body"):
        parse_body(NAMED, b"{}")


async def test_what_is_not_in_a_body_is_the_empty_text() -> None:
    assert (await answer(Asked(Person("dana", Role.VIEWER)))).value == ""
