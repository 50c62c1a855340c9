"""What the limits have in common: which requests count, under which key, and how the caller is told.

The key is the verified caller unless another is given. Calls of tools are counted unless `counts: requests` is said, in
both syntaxes: a session that lists its tools would otherwise use up what is meant for calls. What is spent for a
request that is then refused by the same element is given back.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Refund, Spend, Spent
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.attributes import Choice, Key, Number, Text, When
from mcpgov.policy.cel import CelProgram, compile_cel
from mcpgov.policy.draft import Limit
from mcpgov.policy.expression import Template
from mcpgov.policy.glob import ToolNames, compile_names
from mcpgov.policy.http_fields import is_ours, is_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcpgov.policy.attributes import Items
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Evaluated
    from mcpgov.policy.expression import Condition, Program, Quantity
    from mcpgov.policy.place import Attribute, Place

TOOL_CALLS: Final = "tools/call"
REQUESTS: Final = "requests"
CALLER: Final = Template((compile_cel("principal.id", "string"),))
# In XML: the word, or a named value that could be it. Found where it is only quoted, it costs nothing but a refund.
_RESPONSE: Final = re.compile(r"\bResponse\b|\{\{")
_OF_CALLER: Final = re.compile(r"\b(?:Headers|Body|Variables)\b")
_CEL_RESPONSE: Final = "response."
_CEL_OF_CALLER: Final = frozenset({"request.headers", "request.id", "mcp.tool.arguments", "variables"})

COUNTER_KEY: Final = Key("counter-key", "what is counted apart; the caller where nothing is said", CALLER)
COUNTS: Final = Choice("counts", "which requests count", (TOOL_CALLS, REQUESTS), TOOL_CALLS)
CONDITION: Final = When("increment-condition", "which of them count; all where nothing is said", default=True)
COUNT: Final = Number("increment-count", "how much one of them counts", 1, 100_000, 1)
TOTAL_HEADER: Final = Text("total-calls-header-name", "the reply header that tells the limit", "X-RateLimit-Limit")
REMAINING_HEADER: Final = Text(
    "remaining-calls-header-name", "the reply header that tells what is left", "X-RateLimit-Remaining"
)
RETRY_HEADER: Final = Text("retry-after-header-name", "the reply header that tells when to try again", "Retry-After")
REMAINING_VARIABLE: Final = Text("remaining-calls-variable-name", "the variable that gets what is left", "")
RETRY_VARIABLE: Final = Text("retry-after-variable-name", "the variable that gets the seconds to wait", "")
WHAT_COUNTS: Final = (COUNTER_KEY, COUNTS, CONDITION, COUNT)
HOW_TOLD: Final = (TOTAL_HEADER, REMAINING_HEADER, RETRY_HEADER, REMAINING_VARIABLE, RETRY_VARIABLE)
NAME: Final = Text("name", "its name, or a pattern with * and ?", "")
ID: Final = Text("id", "the same; it wins over name", "")


@frozen
class Counting:
    """Which requests count, and for how much. As a Settlement, it gives back what turns out not to count.

    `waits`: only the response can say whether a request counts.
    """

    key: Template
    counts: str
    condition: Condition
    count: Quantity
    waits: bool

    @classmethod
    def read(cls, place: Place) -> Counting:
        """From the attributes WHAT_COUNTS; one that an element does not have keeps its default."""
        key, condition = COUNTER_KEY.read(place), CONDITION.read(place)
        if any(map(_is_of_caller, key.parts)):
            message = "the caller chooses this key: with endless values one caller fills the counters of all"
            place.at(COUNTER_KEY.name).remark(message, "make it of principal, source and connection")
        return cls(key, COUNTS.read(place), condition, COUNT.read(place), _reads_response(condition.program))

    def applies(self, draft: Draft) -> bool:
        """Whether this request counts, as far as that is known before the answer. Raises ExpressionError."""
        return is_counted(self.counts, draft) and (self.waits or self.condition.holds(draft))

    def refund(self, draft: Draft) -> bool:
        """Whether the call turns out not to count. Raises ExpressionError."""
        return not self.condition.holds(draft)

    def key_of(self, draft: Draft) -> str:
        """Whose counter it is; an element puts its own name before it. Raises ExpressionError.

        The key's value comes last, and what stands before it has always as many slashes: no two keys can run together.
        """
        return f"{draft.apart}{self.counts}/{self.key.value(draft)}"


@frozen
class Told:
    """How the caller, and later elements, are told of a limit."""

    total_header: str
    remaining_header: str
    retry_header: str
    remaining_variable: str
    retry_variable: str

    @classmethod
    def read(cls, place: Place) -> Told:
        """From the attributes HOW_TOLD."""
        total, remaining, retry = (_header(place, one) for one in (TOTAL_HEADER, REMAINING_HEADER, RETRY_HEADER))
        return cls(total, remaining, retry, REMAINING_VARIABLE.read(place), RETRY_VARIABLE.read(place))

    def tell(self, spents: Sequence[Spent], draft: Draft) -> None:
        """Note what came of the limits of one element, at least one. The variables get the strictest."""
        draft.limits += [Limit(spent, self.total_header, self.remaining_header, self.retry_header) for spent in spents]
        strictest = min(spents, key=lambda spent: (spent.allowed, spent.remaining))
        if self.remaining_variable:
            draft.variables[self.remaining_variable] = strictest.remaining
        if self.retry_variable and not strictest.allowed:
            draft.variables[self.retry_variable] = strictest.retry_after


@frozen
class Scope:
    """The connections and the tools that a limit is for; None is all of them. `label` tells scopes apart in keys."""

    connections: ToolNames | None = None
    tools: ToolNames | None = None
    label: str = "/"

    def applies(self, draft: Draft) -> bool:
        """Whether the request is among them."""
        request, connection = draft.context.request, draft.context.connection.name
        return (self.connections is None or connection in self.connections) and (
            self.tools is None or (request.method == TOOL_CALLS and request.tool in self.tools)
        )


def is_counted(counts: str, draft: Draft) -> bool:
    """Whether the request is of the kind that counts."""
    return counts == REQUESTS or draft.context.request.method == TOOL_CALLS


def set_apart(spends: Iterable[Spend], draft: Draft) -> tuple[Spend, ...]:
    """The same; what a document that is only tried out spends may fail."""
    return tuple(replace(spend, apart=True) if draft.apart else spend for spend in spends)


def spend_all(spends: Iterable[Spend], counting: Counting, draft: Draft) -> Evaluated[tuple[Spent, ...]]:
    """Spend all or nothing, once for each request and counter, however many rules name it. Yields the effects.

    Gives back what came of each, up to the first that refused: only the last one can have.
    """
    taken: list[Spend] = []
    spents: list[Spent] = []
    for spend in set_apart(spends, draft):
        if not (draft.spent and draft.answers.outcome(came=spend in draft.spent)):
            draft.spent[spend] = _as_it_came((yield spend), draft)
            draft.settlements[spend] = counting if counting.waits else None
            taken.append(spend)
        elif not counting.waits:
            draft.settlements[spend] = None  # another rule counts it for good
        spents.append(draft.spent.get(spend) or _ELSEWHERE)
        if not spents[-1].allowed:
            for earlier in taken[:-1]:
                yield Refund(earlier, draft.spent.pop(earlier))
                del draft.settlements[earlier]
            break
    return tuple(spents)


_ELSEWHERE: Final = Spent(allowed=True, limit=0, remaining=0, reset=0)  # only where a record does not tell the key


def _as_it_came(spent: Spent, draft: Draft) -> Spent:
    """What came of a limit; when a recorded decision is made again, whether there was room then."""
    allowed = draft.answers.outcome(came=spent.allowed)
    return spent if spent.allowed == allowed else replace(spent, allowed=allowed)


def read_scopes(place: Place, api: Items, operation: Items) -> tuple[tuple[Place, Scope], ...]:
    """Where the limits of an element stand, and what each is for: its own, then those of its children.

    `api` names a connection and `operation` a tool, which in API Management stands only inside an api.
    """
    found = [(place, Scope()), *_operations(place, operation, None, "")]
    for child in api.read(place):
        name, connections = _named(child, "connection")
        found.append((child, Scope(connections, None, f"{name}/")))
        found += _operations(child, operation, connections, name)
    if place.dialect.xml and len(found) > 1:
        place.remark("api is a connection here, and operation a tool; API Management means its own", at_key=True)
    return tuple(found)


def remark_counting(place: Place, *, key: Attribute[object] | None = None) -> None:
    """Say what API Management does otherwise when it counts."""
    if not place.dialect.xml:
        return
    if place.has(COUNTS.name):
        place.at(COUNTS.name).remark("API Management has no counts, and refuses the attribute", at_key=True)
    else:
        message = "only calls of tools count; API Management counts every request"
        place.remark(message, 'counts="requests" counts as it does', at_key=True)
    if key is not None and not place.has(key.name):
        place.remark(f"without {key.name} it is the caller; API Management refuses that", at_key=True)


def remark_telling(place: Place) -> None:
    """Say what API Management does not tell the caller."""
    if place.dialect.xml and not (place.has(TOTAL_HEADER.name) and place.has(REMAINING_HEADER.name)):
        message = "the caller is told X-RateLimit-Limit, -Remaining and -Reset"
        place.remark(f"{message}; API Management names no header by itself", at_key=True)


def _reads_response(program: Program) -> bool:
    """Whether a condition may read the response; not missed, however it is written."""
    if isinstance(program, CelProgram):
        return any(name.startswith(_CEL_RESPONSE) for name in program.variables)
    return _RESPONSE.search(program.source) is not None


def _is_of_caller(part: str | Secret | Program) -> bool:
    """Whether the caller can give a part of a key as many values as it likes."""
    if isinstance(part, CelProgram):
        return not _CEL_OF_CALLER.isdisjoint(part.variables)
    return not isinstance(part, str | Secret) and _OF_CALLER.search(part.source) is not None


def _operations(
    place: Place, operation: Items, connections: ToolNames | None, connection: str
) -> list[tuple[Place, Scope]]:
    found: list[tuple[Place, Scope]] = []
    for child in operation.read(place):
        name, tools = _named(child, "tool")
        found.append((child, Scope(connections, tools, f"{connection}/{name}")))
    return found


def _named(place: Place, what: str) -> tuple[str, ToolNames]:
    attribute = ID if place.has(ID.name) else NAME
    name = attribute.read(place)
    if not place.has(attribute.name):
        place.missing(NAME.name)
    try:
        return name, compile_names((name,) if name else ())
    except ValueError:
        place.at(attribute.name).note(f"no {what} has such a name", "use its exact name, or a pattern with * and ?")
    return name, compile_names(())


def _header(place: Place, attribute: Text) -> str:
    name = attribute.read(place)
    if not is_token(name) or is_ours(name):
        place.at(attribute.name).note(
            f"{attribute.name} is not a header that a policy may set", f"the default is {attribute.default}"
        )
    return name
