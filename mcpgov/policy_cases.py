"""`*.test.yaml` beside the policies: requests, and what is to be decided. Run without a gateway, an upstream or a clock.

A case is made of the same values and goes through the same Evaluation as a real call. Its counters are its own; with
`repeat` the same request is made several times, and the last one is looked at.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.decision import Hold, Reason, Spend, Spent
from mcpgov.errors import InvalidConfiguration, Problem, Refusal
from mcpgov.models import (
    Answer,
    Connection,
    Era,
    Event,
    Headers,
    Kind,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
)
from mcpgov.policy.choose import Choose
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.element import SECTIONS, walk
from mcpgov.policy.evaluate import Evaluation, refusal_of
from mcpgov.policy.explain import DryRun, Explanation
from mcpgov.policy.rewriting import Rewritten
from mcpgov.shapes import Shape, read_model
from mcpgov.strict_json import dumps
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Mapping, Sequence

    from mcpgov.decision import Decision, Effect
    from mcpgov.models import Json
    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.document import PolicyDocument
    from mcpgov.yaml_source import Source

WHEN: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDING: Final = ".test.yaml"


class Caller(Shape):
    """Who makes the request."""

    id: str = "key:test"
    name: str = "test"
    project: str = ""
    kind: Annotated[str, Field(pattern="^(key|anonymous|probe)$")] = "key"
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    agent_id: str = ""
    blueprint_id: str = ""
    object_id: str = ""


class Expected(Shape):
    """What is to come of it; what is not written may be anything. A header that is null must not be there."""

    reason: str | None = None
    rule: str | None = None
    message: str | None = None
    status: int | None = None
    backend: str | None = None
    headers: dict[str, str | None] = Field(default_factory=dict[str, str | None])
    reply_headers: dict[str, str | None] = Field(default_factory=dict[str, str | None], alias="reply-headers")
    reported: tuple[str, ...] | None = None
    result: Any = None


class CaseShape(Shape):
    """One request."""

    name: str
    method: str = "tools/call"
    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    annotations: dict[str, bool] = Field(default_factory=dict[str, bool])
    principal: Caller = Caller()
    address: str = "10.0.0.7"
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    repeat: Annotated[int, Field(ge=1, le=100_000)] = 1
    answer: Any = None
    expect: Expected


class ConnectionShape(Shape):
    """The connection that the request is made on."""

    name: str = "test"
    server: str = "com.example/test"
    upstream: str = "https://upstream.example/mcp"
    backends: tuple[str, ...] = ()


class CasesShape(Shape):
    """A file of cases."""

    policies: tuple[str, ...] = ()
    connection: ConnectionShape = ConnectionShape()
    cases: Annotated[tuple[CaseShape, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of one file, and the names of the policies they are about."""

    file: str
    policies: tuple[str, ...]
    connection: Connection
    cases: tuple[CaseShape, ...]
    source: Source = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case: nothing in `wrong` if it is as expected."""

    name: str
    place: Problem
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Coverage:
    """Which elements were run, and which branches taken, of all that the tested policies have."""

    elements: dict[str, bool] = field(default_factory=dict[str, bool])
    branches: dict[tuple[str, int], bool] = field(default_factory=dict[tuple[str, int], bool])

    def expect(self, documents: Sequence[PolicyDocument]) -> None:
        """Take in everything that could be run."""
        for document in documents:
            for step in walk(tuple(step for section in SECTIONS for step in document.sections.get(section, ()))):
                if step.line:
                    self.elements.setdefault(step.rule, False)
                if isinstance(step.element, Choose):
                    for branch in range(1, len(step.element.branches) + 2):
                        self.branches.setdefault((step.rule, branch), False)

    def note(self, explanation: Explanation) -> None:
        """Take in what was run."""
        for entry in explanation.entries:
            if entry.rule in self.elements:
                self.elements[entry.rule] = True
        for branch in explanation.branches & self.branches.keys():
            self.branches[branch] = True

    @property
    def share(self) -> tuple[int, int]:
        """How many elements and branches were reached, and how many there are."""
        reached = [*self.elements.values(), *self.branches.values()]
        return sum(reached), len(reached)

    @property
    def missed(self) -> tuple[str, ...]:
        """What was not reached."""
        elements = (rule for rule, reached in self.elements.items() if not reached)
        branches = (f"{rule} branch {number}" for (rule, number), reached in self.branches.items() if not reached)
        return (*elements, *branches)


def parse_cases(text: str, file: str) -> Cases:
    """The cases that a file holds. Raises InvalidConfiguration with every problem."""
    source = parse_yaml(text, file)
    shape = read_model(CasesShape, source, EnvironmentAndFiles({}, "."))
    problems = [
        source.problem(("cases", number, "expect", "reason"), f"there is no reason {case.expect.reason}")
        for number, case in enumerate(shape.cases)
        if case.expect.reason is not None and case.expect.reason not in set(Reason)
    ]
    if problems:
        raise InvalidConfiguration(tuple(problems))
    own = file.replace("\\", "/").rpartition("/")[2].removesuffix(ENDING)
    at = shape.connection
    connection = Connection(at.name, at.server, RemoteUpstream(at.upstream, backends=at.backends))
    return Cases(file, shape.policies or (own,), connection, shape.cases, source)


def run_cases(cases: Cases, documents: Mapping[str, PolicyDocument], coverage: Coverage) -> Generator[Result]:
    """Run every case of a file. Raises InvalidConfiguration for a policy that there is not."""
    if missing := [name for name in cases.policies if name not in documents]:
        raise InvalidConfiguration((Problem(cases.file, 0, 0, f"there is no policy {missing[0]}"),))
    named = [documents[name] for name in cases.policies]
    coverage.expect(named)
    policy = compile_policy([], [], named, {})
    for number, case in enumerate(cases.cases):
        place = cases.source.problem(("cases", number), "")
        yield Result(case.name, place, tuple(_wrong(case, policy, cases.connection, coverage)))


@dataclass(slots=True)
class _CaseRun(DryRun):
    """Effects of a case: counters that are the case's own, in which no time goes by."""

    spent: Counter[str] = field(default_factory=Counter[str])

    def perform(self, effect: Effect) -> Any:
        """What comes of an effect."""
        if isinstance(effect, Spend):
            key = f"{effect.calls}/{effect.period}/{effect.key}"
            allowed = self.spent[key] + max(effect.count, 1) <= effect.calls
            self.spent[key] += effect.count if allowed else 0
            left = max(0, effect.calls - self.spent[key])
            return Spent(allowed, effect.calls, left, effect.period, 0 if allowed else effect.period)
        if isinstance(effect, Hold):
            return True
        return DryRun.perform(self, effect)


def _wrong(
    case: CaseShape, policy: ConnectionPolicy, connection: Connection, coverage: Coverage
) -> Generator[str]:
    effects = _CaseRun(annotations=case.annotations)
    explanation = Explanation()
    for _ in range(case.repeat):
        evaluation = Evaluation(policy, _context(case, connection), watch=explanation)
        decision = _performed(evaluation.decide(), effects)
    outcome = _outcome(evaluation, decision, case, effects)
    coverage.note(explanation)
    yield from _differences(case.expect, decision, outcome, evaluation)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the caller gets."""

    status: int | None
    headers: Mapping[str, str]
    result: Json
    reason: Reason


def _outcome(evaluation: Evaluation, decision: Decision, case: CaseShape, effects: _CaseRun) -> _Outcome:
    headers = {name.lower(): value for name, value in decision.reply_headers}
    try:
        if not decision.allowed:
            raise refusal_of(decision)
        event = dumps({"jsonrpc": "2.0", "id": 1, "result": case.answer})
        shown = _performed(evaluation.answered(Answer(200, Headers(), streaming=False, events=_nothing())), effects)
        rewritten = shown.events.rewritten if isinstance(shown.events, Rewritten) else lambda event: event
        message = json.loads(rewritten(Event(event, event)).raw) if case.answer is not None else {}
        reply, status, result, reason = shown.reply, 200, message.get("result"), decision.reason
    except Refusal as refusal:
        refused = _performed(evaluation.refused(refusal), effects)
        reply, status, result, reason = refused.reply, None, None, refused.reason
    for edit in reply.edits if reply else ():
        edit.apply(headers)
    return _Outcome(reply.status or status if reply else status, headers, result, reason)


def _differences(
    expected: Expected, decision: Decision, outcome: _Outcome, evaluation: Evaluation
) -> Generator[str]:
    compared = [
        ("reason", expected.reason, str(outcome.reason)),
        ("rule", expected.rule, decision.rule),
        ("status", expected.status, outcome.status),
        ("backend", expected.backend, decision.changes.backend),
        ("reported", expected.reported and list(expected.reported), [str(one.reason) for one in decision.reported]),
        ("result", expected.result, outcome.result),
    ]
    for name, wanted, found in compared:
        if wanted is not None and wanted != found:
            yield f"{name}: expected {json.dumps(wanted)}, got {json.dumps(found)}"
    if expected.message is not None and expected.message not in decision.message:
        yield f"message: expected {json.dumps(expected.message)} in {json.dumps(decision.message)}"
    seen = (("header", expected.headers, evaluation.draft.request_headers),)
    for word, wanted, there in (*seen, ("reply header", expected.reply_headers, outcome.headers)):
        for name, value in wanted.items():
            if there.get(name.lower()) != value:
                yield f"{word} {name}: expected {json.dumps(value)}, got {json.dumps(there.get(name.lower()))}"


def _context(case: CaseShape, connection: Connection) -> Context:
    fields = tuple((name.lower(), value) for name, value in case.headers.items())
    head = RequestHead("POST", connection.name, Headers(fields), case.address, case.address, WHEN, "0" * 32)
    params: dict[str, Json] = {"name": case.tool, "arguments": case.arguments} if case.method == "tools/call" else {}
    name = case.tool if case.method == "tools/call" else ""
    request = MCPRequest(head, Era.HANDSHAKE, Kind.REQUEST, "2025-11-25", b"", 1, case.method, name, params)
    caller = case.principal.model_dump()
    return Context(request, Principal(**{**caller, "kind": PrincipalKind(case.principal.kind)}), connection)


def _performed(evaluation: Generator[Effect, Any, Any], effects: _CaseRun) -> Any:
    try:
        effect = next(evaluation)
        while True:
            effect = evaluation.send(effects.perform(effect))
    except StopIteration as end:
        return end.value


async def _nothing() -> AsyncIterator[tuple[Event, ...]]:
    for events in ():
        yield events
