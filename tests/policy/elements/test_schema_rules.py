"""A list of tools is such that the client can read it, and the log says where that cannot be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Tell, Trace
from mcpgov.models import Kind
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import admitted, answer, context, document, performed, policy, problems

if TYPE_CHECKING:
    from mcpgov.decision import Effect
    from mcpgov.models import Json
    from mcpgov.policy.context import Context

FLATTEN = "outbound: [schema-rules: { flatten: true, on-problem: leave-out, max-tools: 3 }]"
XML = '<outbound><schema-rules flatten="true" on-problem="leave-out" max-tools="3" /></outbound>'
OPTIONAL: Json = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
FLAT: Json = {"type": "object", "properties": {"a": {"type": "string"}}}


def tool(name: str, schema: Json) -> Json:
    return {"name": name, "inputSchema": schema, "x-kept": 1}


def listed(*tools: Json, request_id: int = 1) -> Json:
    return {"jsonrpc": "2.0", "id": request_id, "result": {"tools": list(tools), "nextCursor": "n"}}


async def shown(
    rules: str, *messages: Json, asked: Context | None = None, stream: bool = False
) -> tuple[list[Json], list[Trace]]:
    """The messages as the caller gets them, and what was told."""
    told: list[Trace] = []

    def perform(effect: Effect) -> object:
        return told.append if isinstance(effect, Tell) else admitted(effect)

    evaluation = Evaluation(policy(rules), asked or context("tools/list"))
    assert performed(evaluation.decide(), perform).allowed
    passed = performed(evaluation.answered(answer(*messages, stream=stream)), perform)
    data = [event.data async for events in passed.events for event in events]
    return [json.loads(one) for one in data if one], told


@pytest.mark.parametrize("rules", [FLATTEN, XML])
@pytest.mark.parametrize("stream", [False, True])
async def test_schemas_are_flattened_and_nothing_else_changes(rules: str, *, stream: bool) -> None:
    messages, told = await shown(rules, listed(tool("a", OPTIONAL), tool("b", FLAT)), stream=stream)
    assert messages == [listed(tool("a", FLAT), tool("b", FLAT))]
    assert told == []


@pytest.mark.parametrize("rules", [FLATTEN, XML])
async def test_tool_that_cannot_be_helped_is_left_out_and_named(rules: str) -> None:
    recursive: Json = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    messages, (trace,) = await shown(rules, listed(tool("bad", recursive), tool("a", FLAT), 5))
    assert messages == [listed(tool("a", FLAT))]
    assert trace == Trace(
        "test#outbound.1 schema-rules",
        "schema-rules",
        "error",
        "2 tools have schemas that clients may refuse: left out of the list.",
        (
            ("connection", "github"),
            ("bad", "$.properties.a.properties.a: it refers to itself"),
            ("?", "it has no schema"),
        ),
    )


def deep() -> Json:
    schema: Json = {"type": "object"}
    for _ in range(40):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (None, "it has no schema"),
        (True, "it has no schema"),
        ({}, "it is not the schema of an object"),
        ({"type": "string"}, "it is not the schema of an object"),
        ({"type": "object", "required": "a"}, "it is no JSON Schema"),
        ({"type": "object", "$schema": "https://x.example/own", "required": "a"}, "it is no JSON Schema"),
        ({"type": "object", "properties": {"a": [{"$ref": "#"}]}}, "it is no JSON Schema"),
        ({"type": "object", "allOf": [{"$ref": "https://x.example/s"}]}, "it refers to something outside"),
        ({"type": "object", "description": "x" * 110_000}, "it is too large: The body has"),
        (deep(), "it is too large: Nested deeper"),
    ],
)
async def test_unfit_schema_is_passed_on_and_told(schema: Json, problem: str) -> None:
    given = listed(tool("bad", schema), tool("a", OPTIONAL))
    messages, (trace,) = await shown("outbound: [schema-rules: {}]", given)
    assert messages == [given]
    assert trace.message == "1 tools have schemas that clients may refuse: passed on as they are."
    (name, why) = trace.metadata[1]
    assert name == "bad"
    assert why.startswith(problem)


FIT: list[Json] = [
    {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"items": [{}]}}},
    {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
    {"type": "object", "$schema": "https://x.example/own"},
    {"type": "object", "$schema": ["strange"]},
    {"type": "object", "$defs": {"a": {}}, "properties": {"b": {"$ref": "#/$defs/a"}}},
]


@pytest.mark.parametrize("schema", FIT)
async def test_fit_schema_is_passed_on_in_silence(schema: Json) -> None:
    assert await shown("outbound: [schema-rules: {}]", listed(tool("a", schema))) == ([listed(tool("a", schema))], [])


async def test_flattened_schema_is_looked_at_again() -> None:
    alternatives: Json = {"type": "object", "anyOf": [{"type": "object", "properties": {"a": {"$ref": "x"}}}]}
    named: Json = {"type": ["object", "null"], "anyOf": [{"required": ["a"]}]}
    messages, told = await shown(FLATTEN, listed(tool("a", alternatives), tool("b", named)))
    assert messages == [listed()]
    assert [why for _, why in told[0].metadata[1:]] == [
        "it refers to something outside",
        "it is not the schema of an object",
    ]


async def test_schema_that_grows_too_large_is_unfit() -> None:
    big: Json = {"type": "object", "description": "x" * 50_000}
    schema: Json = {"type": "object", "properties": {n: {"$ref": "#/$defs/a"} for n in "abc"}, "$defs": {"a": big}}
    messages, (trace,) = await shown(FLATTEN, listed(tool("a", schema)))
    assert messages == [listed()]
    assert trace.metadata[1][1].startswith("it is too large")


async def test_list_that_is_too_long_is_told() -> None:
    given = listed(*(tool(str(number), FLAT) for number in range(4)))
    messages, (trace,) = await shown(FLATTEN, given)
    assert messages == [given]
    assert (trace.message, trace.severity) == ("A list has 4 tools; clients may take 3.", "error")


async def test_one_line_names_a_few_of_many_tools() -> None:
    _, (trace,) = await shown("outbound: [schema-rules: {}]", listed(*(tool(str(n), {}) for n in range(100))))
    assert trace.message.startswith("100 tools")
    assert len(trace.metadata) == 21


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": 5}},
        {"jsonrpc": "2.0", "id": 1, "result": 5},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": '"tools"'}},
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
    ],
)
async def test_what_is_no_list_passes_as_it_is(message: Json) -> None:
    assert await shown(FLATTEN, message) == ([message], [])


async def test_answer_to_another_request_is_not_read_and_a_stream_is() -> None:
    given = listed(tool("a", OPTIONAL))
    assert (await shown(FLATTEN, given, asked=context("tools/call")))[0] == [given]
    listening = context("", kind=Kind.STREAM)
    assert (await shown(FLATTEN, given, asked=listening, stream=True))[0] == [listed(tool("a", FLAT))]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ flatten: 'yes' }", "flatten must be true or false"),
        ("{ on-problem: drop }", "on-problem must be warn or leave-out"),
        ("{ max-tools: 0 }", "max-tools must be a whole number from 1 to 10000"),
        ("{ max: 0 }", "there is no key max here"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"outbound: [schema-rules: {element}]")
    assert expected in found


def test_it_stands_in_outbound_only() -> None:
    (found,) = problems("inbound: [schema-rules: {}]")
    assert "schema-rules may not stand in inbound" in found


def test_api_management_would_refuse_it() -> None:
    assert "API Management has no element schema-rules" in str(document(XML).remarks[0])
