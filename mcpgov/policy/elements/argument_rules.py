"""argument-rules: what a tool may be called with: a condition that has to hold, or a JSON Schema.

A call that does not meet it is denied, and the model reads why in the result, because it can do better. What an
argument says never reaches the record. A condition that looks at an argument which is not there does not hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason
from mcpgov.errors import InvalidExpression, Refusal
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Text, When
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement
from mcpgov.policy.json_paths import json_path
from mcpgov.policy.json_schema import LIMITS, compile_schema, faults_of
from mcpgov.policy.named import TOOLS, read_tools, remark_own
from mcpgov.policy.place import Attribute
from mcpgov.strict_json import parse

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.expression import Condition
    from mcpgov.policy.glob import ToolNames
    from mcpgov.policy.json_schema import JsonSchema
    from mcpgov.policy.place import Place


@frozen
class Schema(Attribute["JsonSchema | None"]):
    """A JSON Schema: a mapping in YAML, JSON in the text of an element in XML."""

    name: str
    about: str
    xml: str
    required: bool = False

    def read(self, place: Place, /) -> JsonSchema | None:
        """The schema; None where there is none, or none that can be taken."""
        here = place.at(self.name)
        if here.value is None:
            return None
        value = here.compiled(_parsed, None) if place.dialect.xml else here.value
        faults = faults_of(value) if value is not None else ()
        for fault in faults:
            where = f"{json_path(fault.path)}: " if place.dialect.xml else ""
            replace(here, path=(*here.path, *fault.path)).note(f"{where}{fault.message}", fault.mend)
        return compile_schema(value) if isinstance(value, dict | bool) and not faults else None

    def schema(self) -> dict[str, Json]:
        """What a schema is."""
        return {"type": ["object", "boolean"]}


CONDITION: Final = When("condition", "what has to be true of the call", default=True)
SCHEMA: Final = Schema("schema", "the JSON Schema (2020-12) that the arguments have to meet", "schema")
MESSAGE: Final = Text("message", "what the model is told", "")


@frozen
class ArgumentRules(PlainElement):
    """`tools` is None for every tool. Either `condition` says something, or `schema` is there."""

    name: ClassVar[str] = "argument-rules"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (TOOLS, CONDITION, SCHEMA, MESSAGE)
    tools: ToolNames | None
    condition: Condition
    schema: JsonSchema | None
    message: str

    @classmethod
    def load(cls, place: Place) -> Self:
        """One of `condition` and `schema`; the rest has defaults."""
        remark_own(place, cls.name)
        if isinstance(place.value, dict) and place.has(CONDITION.name) == place.has(SCHEMA.name):
            place.note("argument-rules has one condition, or one schema", "write two elements for two of them")
        return cls(read_tools(place), CONDITION.read(place), SCHEMA.read(place), MESSAGE.read(place))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Deny a call whose arguments are not as they have to be. Raises ExpressionError."""
        tool = draft.context.request.tool
        if draft.context.request.method != "tools/call" or (self.tools is not None and tool not in self.tools):
            return None
        fault = self._fault(draft)
        if fault is None:
            return None
        message = self.message or f"The arguments for {tool} are not allowed by a policy."
        return Denial(Reason.ARGUMENTS_DENIED, message, detail=fault, as_tool_result=True)

    def _fault(self, draft: Draft) -> str | None:
        """What speaks against the arguments, without a value of theirs; None where nothing does."""
        schema = self.schema
        if schema is None:
            return None if self.condition.holds(draft) else "the condition does not hold"
        found: list[str] = []

        def meets() -> bool:
            found.append(schema.fault(dict(draft.context.request.arguments)))
            return not found[-1]

        return None if draft.answers.ask(draft.at, SCHEMA.name, meets) else "".join(found)


def _parsed(text: str) -> Json:
    try:
        return parse(text.encode("utf-8", "surrogatepass"), LIMITS)
    except Refusal as refusal:
        raise InvalidExpression(f"no JSON: {refusal.message}", "write the schema as JSON") from None
