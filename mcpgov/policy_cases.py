"""`*.test.yaml` beside the policies: requests, and what is to be decided. Run without a gateway, a server or a clock.

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
from mcpgov.decision import Charge, Reason, Refund, Spend, Spent
from mcpgov.endpoint.reply import refusal_reply, reply_headers
from mcpgov.errors import InvalidConfiguration, Problem, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import (
    Connection,
    Credential,
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
from mcpgov.policy.assumed_token import assumed_keys, assumed_token
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.element import SECTIONS, walk
from mcpgov.policy.elements.choose import Choose
from mcpgov.policy.elements.set_backend_service import SetBackendService
from mcpgov.policy.evaluate import Evaluation, refusal_of
from mcpgov.policy.explain import DryRun, Explanation, assumed_answer
from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy.rewriting import Rewritten
from mcpgov.shapes import Shape, read_model
from mcpgov.strict_json import dumps
from mcpgov.upstream.headers import destination, outgoing
from mcpgov.yaml_source import nearest, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from mcpgov.decision import Decision, Effect
    from mcpgov.models import Json
    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.document import PolicyDocument
    from mcpgov.yaml_source import Source

WHEN: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDING: Final = ".test.yaml"
CALL: Final = "tools/call"


class Caller(Shape):
    """Who makes the request."""

    id: str = "key:test"
    name: str = "test"
    project: str = ""
    kind: Annotated[str, Field(pattern=f"^({'|'.join(PrincipalKind)})$")] = "key"
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    agent_id: str = ""
    blueprint_id: str = ""
    object_id: str = ""


class TokenShape(Shape):
    """A token that the request carries. It is signed, and its issuer is known; without `exp` it is in force."""

    header: Annotated[str, Field(min_length=1)] = "Authorization"
    claims: dict[str, Any] = Field(default_factory=dict[str, Any])


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
    granted: tuple[str, ...] | None = None
    result: Any = None


class CaseShape(Shape):
    """One request."""

    name: str
    method: str = CALL
    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    annotations: dict[str, bool] = Field(default_factory=dict[str, bool])
    principal: Caller = Caller()
    address: str = "10.0.0.7"
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    token: TokenShape | None = None
    repeat: Annotated[int, Field(ge=1, le=100_000)] = 1
    answer: Any = None
    expect: Expected


class ConnectionShape(Shape):
    """The connection that the request is made on. Without `backends` it names those that the policies choose."""

    name: str = "test"
    server: str = "com.example/test"
    upstream: str = "https://upstream.example/mcp"
    backends: tuple[str, ...] | None = None


class CasesShape(Shape):
    """A file of cases."""

    policies: tuple[str, ...] = ()
    connection: ConnectionShape = ConnectionShape()
    cases: Annotated[tuple[CaseShape, ...], Field(min_length=1)]


@frozen
class Cases:
    """The cases of one file, and the names of the policies they are about."""

    file: str
    policies: tuple[str, ...]
    connection: ConnectionShape
    cases: tuple[CaseShape, ...]
    source: Source = field(repr=False)


@frozen
class Result:
    """What came of one case: nothing in `wrong` if it is as expected."""

    name: str
    place: Problem
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Coverage:
    """Which elements were run, and which branches taken, of all that the tested policies have."""

    elements: dict[str, bool] = field(default_factory=dict[str, bool])
    ways: dict[tuple[str, str], bool] = field(default_factory=dict[tuple[str, str], bool])

    def expect(self, documents: Sequence[PolicyDocument]) -> None:
        """Take in everything that could be run."""
        for document in documents:
            for step in walk(tuple(step for section in SECTIONS for step in document.sections.get(section, ()))):
                if step.element.name in ELEMENTS:  # not what stands for a scope, or for the mode
                    self.elements.setdefault(step.rule, False)
                if isinstance(step.element, Choose):
                    for way in step.element.ways:
                        self.ways.setdefault((step.rule, way), False)

    def note(self, explanation: Explanation) -> None:
        """Take in what was run."""
        for entry in explanation.entries:
            if entry.rule in self.elements:
                self.elements[entry.rule] = True
        for way in explanation.ways & self.ways.keys():
            self.ways[way] = True

    @property
    def share(self) -> tuple[int, int]:
        """How many elements and branches were reached, and how many there are."""
        reached = [*self.elements.values(), *self.ways.values()]
        return sum(reached), len(reached)

    @property
    def missed(self) -> tuple[str, ...]:
        """What was not reached."""
        elements = (rule for rule, reached in self.elements.items() if not reached)
        ways = (f"{rule} {way}" for (rule, way), reached in self.ways.items() if not reached)
        return (*elements, *ways)


def parse_cases(text: str, file: str) -> Cases:
    """The cases that a file holds. Raises InvalidConfiguration with every problem."""
    source = parse_yaml(text, file)
    shape = read_model(CasesShape, source, EnvironmentAndFiles({}, "."))
    if problems := tuple(_contradictions(shape, source)):
        raise InvalidConfiguration(problems)
    own = file.replace("\\", "/").rpartition("/")[2].removesuffix(ENDING)
    return Cases(file, shape.policies or (own,), shape.connection, shape.cases, source)


def _contradictions(shape: CasesShape, source: Source) -> Iterator[Problem]:
    """What could never be as expected, or always is."""
    for number, case in enumerate(shape.cases):
        at, expected = ("cases", number), case.expect
        if not expected.model_fields_set:
            yield source.problem((*at, "expect"), "nothing is expected", "write expect: { reason: allowed }")
        reasons = [("reason", expected.reason)] if expected.reason is not None else []
        reasons += [("reported", reason) for reason in expected.reported or ()]
        for key, reason in reasons:
            if reason not in set(Reason):
                yield source.problem((*at, "expect", key), f"there is no reason {reason}", nearest(reason, Reason))
        if case.method == CALL and not case.tool:
            yield source.problem(at, "no tool is called", "add tool: NAME, or method:")
        if case.method != CALL and case.tool:
            yield source.problem((*at, "tool"), f"{case.method} calls no tool", "remove it", at_key=True)


def run_cases(cases: Cases, documents: Mapping[str, PolicyDocument], coverage: Coverage) -> Generator[Result]:
    """Run every case of a file. Raises InvalidConfiguration for a policy that there is not."""
    missing = [name for name in cases.policies if name not in documents]
    if missing:
        mend = nearest(missing[0], documents) if documents else "write it first"
        problem = cases.source.problem(("policies",), f"there is no policy {missing[0]}", mend)
        raise InvalidConfiguration((problem,))
    named = [documents[name] for name in cases.policies]
    coverage.expect(named)
    policy = compile_policy([], [], named, {})
    connection = _connection(cases.connection, policy)
    for number, case in enumerate(cases.cases):
        place = cases.source.problem(("cases", number), "")
        yield Result(case.name, place, tuple(_wrong(case, policy, connection, coverage)))


def _connection(at: ConnectionShape, policy: ConnectionPolicy) -> Connection:
    """The connection of the cases, in front of a server that is never asked."""
    upstream = RemoteUpstream(at.upstream, backends=at.backends or ())
    if at.backends is None:
        chosen = (step.element for step in policy.all_steps())
        foreign = (one.foreign_to(upstream) for one in chosen if isinstance(one, SetBackendService))
        backends = tuple(dict.fromkeys(url for url in foreign if url))
        named = tuple((url, "https://" + url + ".example") for url in backends if "://" not in url)
        upstream = RemoteUpstream(at.upstream, backends=(*backends, *(url for _, url in named)), backend_names=named)
    return Connection(at.name, at.server, upstream)


@dataclass(slots=True)
class _CaseRun(DryRun):
    """Effects of a case: counters that are the case's own, in which no time goes by."""

    spent: Counter[str] = field(default_factory=Counter[str])

    def perform(self, effect: Effect) -> Any:
        """What comes of an effect."""
        match effect:
            case Spend():
                return self._counted(effect)
            case Refund():
                self.spent[_counter(effect.spend)] -= effect.spend.count
                return None
            case Charge():
                self.spent[_counter(effect.spend)] += effect.amount()
                return None
            case _:
                return DryRun.perform(self, effect)

    def _counted(self, spend: Spend) -> Spent:
        key = _counter(spend)
        allowed = self.spent[key] + max(spend.count, 1) <= spend.calls
        self.spent[key] += spend.count if allowed else 0
        left = max(0, spend.calls - self.spent[key])
        return Spent(allowed, spend.calls, left, spend.period, 0 if allowed else spend.period)


def _counter(spend: Spend) -> str:
    return f"{spend.calls}/{spend.period}/{spend.key}"


def _wrong(case: CaseShape, policy: ConnectionPolicy, connection: Connection, coverage: Coverage) -> Generator[str]:
    """What is not as expected of the last of the requests, in words; nothing where everything is."""
    keys = assumed_keys(case.token.claims if case.token else {})
    effects = _CaseRun(annotations=case.annotations, keys=keys)
    made = [_made(Evaluation(policy, _context(case, connection)), case, effects, coverage) for _ in range(case.repeat)]
    yield from _differences(case.expect, *made[-1])


def _made(evaluation: Evaluation, case: CaseShape, effects: _CaseRun, coverage: Coverage) -> tuple[Decision, _Outcome]:
    """One request, from its decision to its answer."""
    evaluation.draft.watch = explanation = Explanation()
    decision = effects.run(evaluation.decide())
    outcome = _outcome(evaluation, decision, case, effects)
    coverage.note(explanation)
    return decision, outcome


@frozen
class _Outcome:
    """What goes upstream (nothing, where a call is denied), and what the caller gets."""

    reason: Reason
    message: str
    detail: str
    sent: Mapping[str, str]
    status: int
    headers: Mapping[str, str]
    result: Json


def _outcome(evaluation: Evaluation, decision: Decision, case: CaseShape, effects: _CaseRun) -> _Outcome:
    request, sent = evaluation.draft.context.request, dict[str, str]()
    try:
        if not decision.allowed:
            raise refusal_of(decision)
        sent = _sent(evaluation, decision)
        shown = effects.run(evaluation.answered(assumed_answer()))
        event = dumps({"jsonrpc": "2.0", "id": 1, "result": case.answer})
        rewritten = shown.events.rewritten if isinstance(shown.events, Rewritten) else _unchanged
        message = json.loads(rewritten(Event(event, event)).raw)
    except Refusal as refusal:
        reply = refusal_reply(effects.run(evaluation.refused(refusal)), request, request.head)
        result = _result(reply.body)
        return _Outcome(
            refusal.reason, refusal.message, refusal.detail, sent, reply.status, _text(reply.headers), result
        )
    status = shown.reply.status if shown.reply and shown.reply.status else shown.status
    headers = _text(reply_headers(shown, decision, request.head.correlation_id))
    return _Outcome(decision.reason, decision.message, decision.detail, sent, status, headers, message.get("result"))


def _sent(evaluation: Evaluation, decision: Decision) -> dict[str, str]:
    """The header fields that go upstream. Raises Refusal."""
    context = evaluation.draft.context
    upstream = context.connection.upstream
    url = destination(upstream, decision.changes) if isinstance(upstream, RemoteUpstream) else ""
    sent: dict[str, str] = {}
    for name, value in outgoing(context.request, decision, Credential("None", context.connection.name), url):
        sent[name] = f"{sent[name]}, {value}" if name in sent else value
    return sent


def _unchanged(event: Event) -> Event:
    return event


def _result(body: bytes) -> Json:
    """The result in a reply of ours, without our `_meta`; None where it is an error, or no message at all."""
    try:
        message: Json = json.loads(body)
    except ValueError:
        return None
    result = message.get("result") if isinstance(message, dict) else None
    return {name: value for name, value in result.items() if name != "_meta"} if isinstance(result, dict) else result


def _text(headers: tuple[tuple[bytes, bytes], ...]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _differences(expected: Expected, decision: Decision, outcome: _Outcome) -> Generator[str]:
    reported, granted = (None if said is None else list(said) for said in (expected.reported, expected.granted))
    compared = [
        ("reason", expected.reason, str(outcome.reason)),
        ("rule", expected.rule, decision.rule),
        ("status", expected.status, outcome.status),
        ("backend", expected.backend, decision.changes.backend),
        ("reported", reported, [str(one.reason) for one in decision.reported]),
        ("granted", granted, [str(one) for one in decision.granted]),
        ("result", expected.result, outcome.result),
    ]
    for name, wanted, found in compared:
        if wanted is not None and wanted != found:
            yield f"{name}: expected {json.dumps(wanted)}, got {json.dumps(found)}" + _why(name, decision, outcome)
    if expected.message is not None and expected.message not in outcome.message:
        yield f"message: expected {json.dumps(expected.message)} in {json.dumps(outcome.message)}"
    headers = (("header", expected.headers, outcome.sent), ("reply header", expected.reply_headers, outcome.headers))
    for word, wanted, there in headers:
        for name, value in wanted.items():
            if there.get(name.lower()) != value:
                yield f"{word} {name}: expected {json.dumps(value)}, got {json.dumps(there.get(name.lower()))}"


def _why(name: str, decision: Decision, outcome: _Outcome) -> str:
    """What is worth knowing of a reason that nobody expected."""
    if name != "reason" or outcome.reason is Reason.ALLOWED:
        return ""
    return (f", by {decision.rule}" if decision.rule else "") + (f": {outcome.detail}" if outcome.detail else "")


def _context(case: CaseShape, connection: Connection) -> Context:
    fields = {name.lower(): value for name, value in case.headers.items()}
    if case.token is not None:
        fields[case.token.header.lower()] = f"Bearer {assumed_token(case.token.claims, WHEN)}"
    headers = Headers(tuple(fields.items()))
    head = RequestHead("POST", connection.name, headers, case.address, case.address, WHEN, "0" * 32)
    params: dict[str, Json] = {"name": case.tool, "arguments": case.arguments} if case.method == CALL else {}
    request = MCPRequest(head, Era.HANDSHAKE, Kind.REQUEST, "2025-11-25", b"", 1, case.method, case.tool, params)
    caller = case.principal.model_dump(exclude={"kind"})
    return Context(request, Principal(kind=PrincipalKind(case.principal.kind), **caller), connection)
