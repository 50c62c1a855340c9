"""schema-rules: makes the schemas in a list of tools such that the client can read them, and says where it cannot.

It acts on tools/list only. A schema that cannot be made fit passes as it is, or its tool is left out; either way the
log says so, as it does of a list that is longer than the client takes. Leaving out is no access rule: whoever knows the
tool can call it, and tool-rules forbid it. Nothing that a schema refers to is ever fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

import jsonschema_rs

from mcpgov.decision import Tell, Trace
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Kind
from mcpgov.policy.attributes import Choice, Flag, WholeNumber
from mcpgov.policy.element import OUTBOUND, Element
from mcpgov.policy.listing import LIST_METHOD
from mcpgov.policy.named import remark_own
from mcpgov.policy.schema_flattening import Unfit, flattened
from mcpgov.strict_json import JsonLimits, dumps, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.models import Json
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

LIMITS: Final = JsonLimits(
    100 * 1024, depth=64, keys=10_000, values=20_000, string=100 * 1024
)  # two for a level of objects
NAMED: Final = 20  # so many tools are named in one line
_DRAFTS: Final = (  # what the engine knows by itself; anything else it would look for elsewhere
    *(f"http://json-schema.org/draft-0{number}/schema{end}" for number in (4, 6, 7) for end in ("", "#")),
    *(f"https://json-schema.org/draft/{draft}/schema" for draft in ("2019-09", "2020-12")),
)
LEAVE_OUT: Final = "leave-out"
FLATTEN: Final = Flag("flatten", "whether alternatives, lists of types and references are rewritten", default=False)
ON_PROBLEM: Final = Choice("on-problem", "what becomes of a tool whose schema is unfit", ("warn", LEAVE_OUT), "warn")
MAX_TOOLS: Final = WholeNumber("max-tools", "how many tools a list may have without a line in the log", 1, 10_000, 128)


@frozen
class SchemaRules(Element):
    """What is done with the schemas of tools."""

    name: ClassVar[str] = "schema-rules"
    sections: ClassVar[tuple[str, ...]] = (OUTBOUND,)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (FLATTEN, ON_PROBLEM, MAX_TOOLS)
    flattens: bool
    leaves_out: bool
    max_tools: int

    @classmethod
    def load(cls, place: Place) -> Self:
        """Every attribute has a default."""
        remark_own(place, cls.name)
        return cls(FLATTEN.read(place), ON_PROBLEM.read(place) == LEAVE_OUT, MAX_TOOLS.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Look at the list of tools in the answer. Yields Tell."""
        request = draft.context.request
        if request.method == LIST_METHOD or request.kind is Kind.STREAM:
            draft.rewriters.append(Schemas(self, draft.at, draft.context.connection.name, (yield Tell())))
        return None


@frozen
class Schemas:
    """Applies `rules` to each list of tools. Implements draft.Rewriter."""

    rules: SchemaRules
    rule: str
    connection: str
    tell: Callable[[Trace], None]

    def concerns(self, data: bytes) -> bool:
        """Whether a list may be there: as it is, under escapes, or in another encoding."""
        return b'"tools"' in data or b"\\" in data or b"\0" in data

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message with schemas that are fit, as far as that can be had."""
        result = message.get("result")
        tools = result.get("tools") if isinstance(result, dict) else None
        if not isinstance(result, dict) or not isinstance(tools, list):
            return message
        shown: list[Json] = []
        unfit: list[tuple[str, str]] = []
        for tool in tools:
            fit, problem = self._fit(tool)
            if problem:
                unfit.append((str(tool.get("name") if isinstance(tool, dict) else "?"), problem))
            if not (problem and self.rules.leaves_out):
                shown.append(fit)
        self._warn(len(tools), unfit)
        return {**message, "result": {**result, "tools": shown}}

    def _fit(self, tool: Json) -> tuple[Json, str]:
        """The tool as it may be shown, and what is wrong with its schema."""
        schema = tool.get("inputSchema") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or not isinstance(schema, dict):
            return tool, "it has no schema"
        problem = fault_of(schema)
        if problem or not self.rules.flattens:
            return tool, problem
        try:
            flat = flattened(schema)
        except Unfit as error:
            return tool, str(error)
        problem = fault_of(flat)
        return (tool, problem) if problem else ({**tool, "inputSchema": flat}, "")

    def _warn(self, count: int, unfit: list[tuple[str, str]]) -> None:
        if unfit:
            what = "left out of the list" if self.rules.leaves_out else "passed on as they are"
            self._say(f"{len(unfit)} tools have schemas that clients may refuse: {what}.", unfit[:NAMED])
        if count > self.rules.max_tools:
            self._say(f"A list has {count} tools; clients may take {self.rules.max_tools}.", [])

    def _say(self, message: str, metadata: list[tuple[str, str]]) -> None:
        where = (("connection", self.connection), *metadata)
        self.tell(Trace(self.rule, SchemaRules.name, "error", message, where))


def fault_of(schema: dict[str, Json]) -> str:
    """What keeps a client from reading a tool's schema; "" where nothing does."""
    try:
        parse(dumps(schema), LIMITS)
    except Refusal as refusal:
        return f"it is too large: {refusal.message}"
    if schema.get("type") != "object":
        return "it is not the schema of an object"
    known = "$schema" not in schema or schema["$schema"] in _DRAFTS
    if not known:
        schema = {key: value for key, value in schema.items() if key != "$schema"}
    if not jsonschema_rs.meta.is_valid(schema):
        return "it is no JSON Schema"
    return "it refers to something outside" if refers_outside(schema) else ""


def refers_outside(value: Json) -> bool:
    """Whether a reference leads out of the schema. `value` is not deep."""
    if isinstance(value, list):
        return any(map(refers_outside, value))
    if not isinstance(value, dict):
        return False
    reference = value.get("$ref", "#")
    outside = isinstance(reference, str) and not reference.startswith("#")
    return outside or any(map(refers_outside, value.values()))
