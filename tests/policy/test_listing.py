"""A list of tools loses what is hidden, whoever it answers, and what is no such list stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mcpgov.errors import Refusal
from mcpgov.models import Era, Kind
from mcpgov.policy.listing import Listing, may_list_tools
from mcpgov.strict_json import dumps
from tests.policy.calls import context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpgov.models import Json


@dataclass(frozen=True)
class Hides:
    """Hides the tools that begin with `hidden`, and those that are destructive."""

    def hides(self, tool: str, annotations: Mapping[str, object], /) -> bool:
        return tool.startswith("hidden") or annotations.get("destructiveHint") is True


def listing(method: str = "tools/list", *, era: Era = Era.HANDSHAKE, kind: Kind = Kind.REQUEST) -> Listing:
    return Listing(context(method, era=era, kind=kind).request, Hides())


def answer(*tools: Json, request_id: int = 1, **result: Json) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": request_id, "result": {"tools": list(tools), **result}}


def tool(name: str, **more: Json) -> Json:
    return {"name": name, **more}


def test_hidden_tools_are_left_out_and_the_rest_stays_as_it_is() -> None:
    given = answer(
        tool("a", x=1), tool("hidden"), tool("b", annotations={"destructiveHint": True}), tool("c"), nextCursor="n"
    )
    assert listing().rewritten(given) == answer(tool("a", x=1), tool("c"), nextCursor="n")


@pytest.mark.parametrize("bad", [5, None, "hidden", {"name": 5}, {}, ["hidden"], {"name": "hidden", "annotations": 5}])
def test_entry_of_which_nobody_could_say_what_it_is_is_left_out(bad: Json) -> None:
    assert listing().rewritten(answer(tool("a", annotations=5), bad)) == answer(tool("a", annotations=5))


@pytest.mark.parametrize(
    "look_alike",
    [{"Result": {"tools": [tool("hidden")]}}, {"ID": 1}, {"result": {"tools": [], "Tools": [tool("hidden")]}}],
)
def test_a_list_that_a_client_that_knows_no_case_reads_otherwise_is_refused(look_alike: dict[str, Json]) -> None:
    with pytest.raises(Refusal, match="could not be read"):
        listing().rewritten({**answer(tool("a")), **look_alike})


@pytest.mark.parametrize(
    "key", [b'"tools"', b'"TOOLS"', b'"\\u0054oo\\u006Cs"', b'"tool\\u017f"', '"tool\u017f"'.encode()]
)
def test_the_key_is_seen_however_it_is_written(key: bytes) -> None:
    assert may_list_tools(b'{"result":{' + key + b" :[]}}")
    assert not may_list_tools(b'{"result":{"too1s":[]}}')


def scope(given: dict[str, Json], era: Era) -> object:
    result = listing(era=era).rewritten(given)["result"]
    assert isinstance(result, dict)
    return result.get("cacheScope")


def test_list_that_depends_on_the_caller_is_not_shared() -> None:
    assert scope(answer(tool("a")), Era.STATELESS) == "private"
    assert scope(answer(tool("a"), cacheScope="public"), Era.STATELESS) == "private"
    assert scope(answer(tool("a"), cacheScope="public"), Era.HANDSHAKE) == "private"
    assert scope(answer(tool("hidden")), Era.HANDSHAKE) is None


def test_list_that_comes_again_on_a_stream_is_filtered() -> None:
    again = listing("", kind=Kind.STREAM).rewritten(answer(tool("a"), tool("hidden"), request_id=7))
    assert again == answer(tool("a"), request_id=7)


def test_list_for_another_request_is_filtered_wherever_it_comes() -> None:
    again = listing("tools/call").rewritten(answer(tool("a"), tool("hidden"), request_id=99))
    assert again == answer(tool("a"), request_id=99)


def test_result_of_another_method_may_have_tools_of_its_own() -> None:
    given = answer("hidden", {"name": "hidden"})
    assert listing("tools/call").rewritten(given) is given


@pytest.mark.parametrize("key", [b'"tools"', b'"\\u0074ools"', b'"t\\u006F\\u006fls"', b'"too\\u006C\\u0073" \n'])
def test_key_that_is_written_with_escapes_is_still_seen(key: bytes) -> None:
    assert listing("tools/call").concerns(b'{"result":{' + key + b":[]}}")


def test_message_that_cannot_hold_a_list_is_not_read() -> None:
    assert not listing("tools/call").concerns(b'{"result":{"content":[]}}')
    assert listing("tools/call").concerns("tools".encode("utf-16-le"))
    assert listing().concerns(b"")
    assert listing("", kind=Kind.STREAM).concerns(b"")
    assert not Listing(context("tools/call").request, None).concerns(b'{"tools":[]}')


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "tools"}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 7, "result": {"tools": 5}},
        {"jsonrpc": "2.0", "id": 7, "result": 5},
    ],
)
def test_what_is_no_list_of_tools_passes_untouched(message: dict[str, Json]) -> None:
    assert listing().rewritten(message) is message


@pytest.mark.parametrize("result", [{}, {"tools": {}}, {"tools": None}, {"Tools": [{"name": "hidden"}]}])
def test_answer_to_tools_list_without_a_list_never_passes(result: Json) -> None:
    with pytest.raises(Refusal, match="upstream-invalid"):
        listing().rewritten({"jsonrpc": "2.0", "id": 1, "result": result})


def test_what_a_server_says_of_its_tools_is_learned_before_any_is_left_out() -> None:
    heard: list[Sequence[Json]] = []
    given = answer(tool("a"), tool("hidden"))
    learning = Listing(context("tools/list").request, None, heard.append)
    assert learning.rewritten(given) is given
    assert learning.rewritten({"jsonrpc": "2.0", "id": 1, "result": {}})["result"] == {}
    Listing(context("tools/list").request, Hides(), heard.append).rewritten(given)
    assert heard == [[tool("a"), tool("hidden")]] * 2


def test_large_list_is_filtered() -> None:
    given = answer(*(tool(f"{'hidden' if n % 2 else 'a'}{n}", description="x" * 2000) for n in range(3000)))
    assert dumps(listing().rewritten(given)).count(b'"name"') == 1500
