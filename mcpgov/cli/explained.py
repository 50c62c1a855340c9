"""What the policies say to one request, for a person and for machines: each element in order, and what it leads to.

Used by `policy explain` and by `audit show --explain`. Values are shown through a Hiding, credentials not at all; what
a caller chose cannot act on the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from mcpgov.cli.hiding import HIDDEN
from mcpgov.cli.printable import printable
from mcpgov.decision import LogEvent, Trace
from mcpgov.endpoint.reply import refusal_reply, reply_headers
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Credential, PrincipalKind, RemoteUpstream, Secret
from mcpgov.policy.element import BACKEND, INBOUND, ON_ERROR, OUTBOUND
from mcpgov.policy.evaluate import Evaluation, refusal_of
from mcpgov.policy.explain import DryRun, Explanation, assumed_answer
from mcpgov.upstream.headers import destination, outgoing

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from mcpgov.cli.hiding import Hiding
    from mcpgov.decision import Decision, Metric
    from mcpgov.models import Principal
    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.context import Context
    from mcpgov.policy.document import PolicyDocument
    from mcpgov.policy.element import Step
    from mcpgov.policy.explain import Entry

    Fields = tuple[tuple[str, str], ...]

SECTIONS: Final[Mapping[str, str]] = {
    INBOUND: INBOUND,
    BACKEND: BACKEND,
    OUTBOUND: f"{OUTBOUND}, for an answer with status 200",
    ON_ERROR: ON_ERROR,
}
_USUAL: Final = frozenset({"x-correlation-id", "cache-control", "content-type"})  # every reply has them


@frozen
class Sent:
    """What would go upstream: where to, and the header fields, credentials hidden."""

    to: str
    headers: Fields = ()


@frozen
class Replied:
    """What the caller would get: the status, the header fields that not every reply has, and a body of our own."""

    status: int
    headers: Fields = ()
    body: str = ""


@frozen
class Explained:
    """Everything that is said of one request. A call that was recorded is not sent and not answered again."""

    context: Context
    decision: Decision
    explanation: Explanation
    told: tuple[Trace | Metric | LogEvent, ...] = ()
    sent: Sent | None = None
    replied: Replied | None = None
    left_out: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()  # what was made of secrets on the way


def left_out(policy: ConnectionPolicy, context: Context, documents: Mapping[str, PolicyDocument]) -> Generator[str]:
    """What broader scopes say and a narrower one leaves out, section by section."""
    for dropped in policy.dropped:
        xml = [name for name in dropped.by if documents[name].file.endswith(".xml")]
        yaml = [name for name in dropped.by if name not in xml]
        why = [
            f"{what} in {', '.join(names)}" for what, names in (("no <base />", xml), ("base: false", yaml)) if names
        ]
        yield f"left out in {dropped.section}: {', '.join(dropped.documents)} ({'; '.join(why)})"
    request, general, own = context.request, policy.general, policy.sections(context.request)
    for section, broader, run in (
        (INBOUND, general.inbound, own.inbound),
        (BACKEND, general.backend, own.backend),
        (OUTBOUND, general.outbound, own.outbound),
        (ON_ERROR, general.on_error, own.on_error),
    ):
        there = documents_of(run)
        if gone := [name for name in documents_of(broader) if name not in there]:
            yield f"left out in {section}: {', '.join(gone)} (by the policies of the tool {request.tool})"


def documents_of(steps: Sequence[Step]) -> tuple[str, ...]:
    """The names of the documents that steps come from."""
    return tuple(dict.fromkeys(step.rule.partition("#")[0] for step in steps))


def explain_request(policy: ConnectionPolicy, context: Context, annotations: Mapping[str, object]) -> Explained:
    """Evaluate a request that is never made, and what would be answered. Every counter is fresh."""
    explanation, effects = Explanation(), DryRun(annotations)
    evaluation = Evaluation(policy, context, watch=explanation)
    decision = effects.run(evaluation.decide())
    sent, replied = _passed(evaluation, decision, effects) if decision.allowed else (None, None)
    if replied is None:
        replied = _refused(evaluation, refusal_of(decision), effects)
    made = tuple(map(Secret, evaluation.draft.answers.secrets))
    return Explained(context, decision, explanation, tuple(effects.told), sent, replied, secrets=made)


def _passed(evaluation: Evaluation, decision: Decision, effects: DryRun) -> tuple[Sent | None, Replied]:
    """Where an allowed request goes, and how it is answered."""
    context, sent = evaluation.draft.context, None
    try:
        sent = sent_to(decision, context)
        shown = effects.run(evaluation.answered(assumed_answer()))
    except Refusal as refusal:
        return sent, _refused(evaluation, refusal, effects)
    status = shown.reply.status if shown.reply and shown.reply.status else shown.status
    return sent, Replied(status, _unusual(reply_headers(shown, decision, context.request.head.correlation_id)))


def _refused(evaluation: Evaluation, refusal: Refusal, effects: DryRun) -> Replied:
    """How a refusal is answered."""
    request = evaluation.draft.context.request
    reply = refusal_reply(effects.run(evaluation.refused(refusal)), request, request.head)
    return Replied(reply.status, _unusual(reply.headers), reply.body.decode("utf-8", "replace"))


def _unusual(headers: tuple[tuple[bytes, bytes], ...]) -> Fields:
    fields = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    return tuple((name, value) for name, value in fields if name not in _USUAL)


def sent_to(decision: Decision, context: Context) -> Sent:
    """The URL and the header fields of the request that would go upstream, the credential hidden. Raises Refusal."""
    connection = context.connection
    if not isinstance(connection.upstream, RemoteUpstream):
        return Sent(f"the local server {connection.upstream.command[0]}, which reads no headers")
    masked = tuple((name, Secret(HIDDEN)) for name, _ in connection.keys)
    credential = Credential(connection.auth_type.value, connection.name, masked)
    url = destination(connection.upstream, decision.changes)
    shown, query, _ = url.partition("?")  # the query may hold a key
    return Sent(f"{shown}{query and '?…'}", outgoing(context.request, decision, credential, url))


def lines_of(explained: Explained, hiding: Hiding) -> Generator[str]:
    """The explanation as text."""
    yield f"{asked(explained.context)}, by {_caller(explained.context.principal)} from {_source(explained.context)}"
    yield from explained.left_out
    section, report = "", None
    for entry in explained.explanation.entries:
        if entry.depth == 0 and entry.section != section:
            section = entry.section
            yield from ("", SECTIONS.get(section, section))
        report = report if report is not None and entry.depth > report.depth else entry if entry.is_report else None
        yield from _of_entry(entry, explained.told, hiding, enforced=report is None)
    if not explained.explanation.entries:
        yield from ("", "No policy is in force.")
    yield ""
    yield from _of_decision(explained, hiding)
    yield from _of_messages(explained.sent, explained.replied, hiding)


def asked(context: Context) -> str:
    """What is asked for."""
    request = context.request
    what = " ".join(part for part in (request.method or request.head.http_method, request.name) if part)
    return f"{what} on {context.connection.name}"


def _caller(principal: Principal) -> str:
    """Who asks, and what sort of caller that is where the id of a key does not say it."""
    return principal.id if principal.kind is PrincipalKind.KEY else f"{principal.id} ({principal.kind})"


def _source(context: Context) -> str:
    return context.request.head.source_address


def _of_entry(
    entry: Entry, told: tuple[Trace | Metric | LogEvent, ...], hiding: Hiding, *, enforced: bool
) -> Generator[str]:
    indent = "  " * (entry.depth + 1)
    yield indent + (f"{entry.rule.partition('#')[0]}: report mode, not enforced" if entry.is_report else entry.rule)
    for question in entry.questions:
        if question.question == question.answer:  # a value that is written down is no question
            continue
        yield f"{indent}    {hiding.text(question.question)} -> {hiding.value(question.answer)}"
    for change in entry.changes:
        yield f"{indent}    {change.what}" + (f": {hiding.value(change.value)}" if change.value else "")
    yield from (f"{indent}    {_said(effect, hiding)}" for effect in told if effect.rule == entry.rule)
    if entry.denial is not None:
        detail = f": {hiding.value(entry.denial.detail)}" if entry.denial.detail else ""
        yield f"{indent}    {'denies' if enforced else 'would deny'}: {entry.denial.reason}{detail}"


def _said(effect: Trace | Metric | LogEvent, hiding: Hiding) -> str:
    if isinstance(effect, Trace):
        return f"logs ({effect.severity}): {hiding.value(effect.message)}"
    if isinstance(effect, LogEvent):
        return f"sends to {effect.logger}: {hiding.value(effect.body)}"
    return f"measures {effect.name}: {effect.value:g}"


def _of_decision(explained: Explained, hiding: Hiding) -> Generator[str]:
    decision = explained.decision
    by = f", by {decision.rule}" if decision.rule else ""
    yield f"Decision: {decision.reason}{by}"
    if decision.message and explained.replied is None:  # otherwise it stands in the reply
        yield f"  the caller is told: {hiding.value(decision.message)}"
    yield from (f"  report mode would deny: {one.reason}, by {one.rule}" for one in decision.reported)


def _of_messages(sent: Sent | None, replied: Replied | None, hiding: Hiding) -> Generator[str]:
    if sent is not None:
        yield from ("", f"Sent to {hiding.text(sent.to)}")
        yield from (f"  {name}: {hiding.value(value)}" for name, value in sent.headers)
    if replied is not None and (replied.headers or replied.body or sent is None):
        yield from ("", f"Answered with HTTP {replied.status}")
        yield from (f"  {name}: {hiding.value(value)}" for name, value in replied.headers)
        if replied.body:
            yield f"  {hiding.value(replied.body)}"


def as_json(explained: Explained, hiding: Hiding) -> dict[str, Any]:
    """The explanation as one JSON object."""
    decision, context = explained.decision, explained.context
    said: dict[str, Any] = {
        "connection": context.connection.name,
        "method": context.request.method,
        "tool": context.request.tool,
        "principal": context.principal.id,
        "kind": context.principal.kind.value,
        "address": _source(context),
        "decision": str(decision.reason),
        "rule": decision.rule,
        "message": hiding.value(decision.message),
        "detail": hiding.value(decision.detail),
        "policy_hash": decision.policy_hash,
        "left_out": list(explained.left_out),
        "reported": [{"reason": str(one.reason), "rule": one.rule} for one in decision.reported],
        "elements": [_entry_as_json(entry, explained.told, hiding) for entry in explained.explanation.entries],
    }
    if explained.sent is not None:
        said["sent"] = {"to": hiding.text(explained.sent.to), "headers": _fields(explained.sent.headers, hiding)}
    if explained.replied is not None:
        replied = explained.replied
        headers = _fields(replied.headers, hiding)
        said["replied"] = {"status": replied.status, "headers": headers, "body": hiding.value(replied.body)}
    return said


def _fields(fields: Fields, hiding: Hiding) -> list[list[str]]:
    return [[name, hiding.value(value)] for name, value in fields]


def _entry_as_json(entry: Entry, told: tuple[Trace | Metric | LogEvent, ...], hiding: Hiding) -> dict[str, Any]:
    return {
        "rule": entry.rule,
        "section": entry.section,
        "depth": entry.depth,
        "asked": [[hiding.text(one.question), hiding.value(one.answer)] for one in entry.questions],
        "changes": [[change.what, hiding.value(change.value)] for change in entry.changes],
        "told": [_said(effect, hiding) for effect in told if effect.rule == entry.rule],
        "denies": str(entry.denial.reason) if entry.denial else None,
    }


def show(explained: Explained, hiding: Hiding) -> None:
    """Print the explanation."""
    for line in lines_of(explained, hiding):
        typer.echo(printable(line))
