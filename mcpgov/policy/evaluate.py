"""May they: a request and the policy in force, to a Decision; the same policy on what comes back, or on a refusal.

An Evaluation goes through a request's sections in order. Its methods are generators: they yield the effects that
elements ask for and are resumed with what came of them, so that they stay pure while counters live elsewhere. The first
denial ends a section. Explanations, tests of policies, reviews and the pipeline all use this one class.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Charge, Decision, Describe, Learn, Reason, Refund, Reply, Trace
from mcpgov.errors import ANSWERS, HIDING, ExpressionError, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Answer, RemoteUpstream
from mcpgov.policy.context import Context, LastError, Response
from mcpgov.policy.draft import Answers, Denial, Draft, Limit
from mcpgov.policy.element import BACKEND, ON_ERROR, OUTBOUND, hides, run
from mcpgov.policy.listing import LIST_METHOD, Listing
from mcpgov.policy.rewriting import Rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Headers
    from mcpgov.policy.compiled import ConnectionPolicy, Sections
    from mcpgov.policy.draft import Watch
    from mcpgov.policy.element import Evaluated, Verdict

__all__ = ["Context", "Evaluation"]

UNKNOWN: Final = "no-such-tool"
_ALLOWED: Final = Denial(Reason.ALLOWED, "")
RESET_HEADER: Final = "X-RateLimit-Reset"  # seconds until the window is whole again
# What on-error does not see: it could tell a hidden tool from an unknown one, or undo what a policy answered.
_FINAL: Final = HIDING | {Reason.POLICY_RESPONSE, Reason.PREFLIGHT}
_UPSTREAM: Final = {  # API Management's words for what goes wrong while a request is forwarded
    Reason.UPSTREAM_UNREACHABLE: "BackendConnectionFailure",
    Reason.CIRCUIT_OPEN: "BackendConnectionFailure",
    Reason.UPSTREAM_RESET: "BackendConnectionFailure",
    Reason.UPSTREAM_TIMEOUT: "Timeout",
}


class Evaluation:
    """One request's way through its policies. `given` are the answers of an earlier evaluation, see Answers."""

    def __init__(
        self, policy: ConnectionPolicy, context: Context, *, given: str | None = None, watch: Watch | None = None
    ) -> None:
        self._unbounded, self._policy = policy, policy.bounded_by(context.principal.scope)
        self._sections = self._policy.sections(context.request)
        if context.withheld != policy.credential_headers:
            context = replace(context, withheld=policy.credential_headers)
        self._denial: Denial | None = None
        self.draft = Draft(context, Answers(given), watch=watch)

    @property
    def at(self) -> str:
        """The rule that is being evaluated, or the empty string."""
        return self.draft.at

    def decide(self) -> Evaluated[Decision]:
        """What the policies say to the request. Yields effects; an element that fails denies."""
        draft, context = self.draft, self.draft.context
        if context.request.tool and not self._policy.is_empty:
            draft.annotations = yield Describe(_server_of(context), context.request.tool)
        denial = yield from _request(self._sections, draft)
        if denial is not None and context.request.tool and self._policy.hides_tools:
            denial = yield from self._unless_hidden(denial)
        self.draft.at, self._denial = "", denial
        return self._decision(denial or _ALLOWED)

    @property
    def resumable(self) -> bool:
        """Whether a GET that goes on from this call's events is asked what the call's answer is asked, and no less: it
        names no tool, so what stands at a tool alone would not see the result.
        """
        return self._sections.outbound == self._policy.general.outbound

    def answered(self, answer: Answer) -> Evaluated[Answer]:
        """The answer as the caller may see it, rewritten event by event as it passes. Raises Refusal."""
        if self._policy.is_empty:
            return answer
        draft, request = self.draft, self.draft.context.request
        draft.section = OUTBOUND
        if self._sections.outbound or any(draft.settlements.values()):
            draft.response = Response(answer.status, _joined(answer.headers))
            yield from self._judged()
        learn = (yield Learn(_server_of(draft.context))) if request.method == LIST_METHOD else None
        filter_ = PolicyFilter(self._policy, draft.context, draft.tokens) if self._policy.hides_tools else None
        listing = (Listing(request, filter_, learn),) if filter_ or learn else ()
        rewritten = Rewritten(answer, (*listing, *draft.rewriters))
        for charge in draft.charges:
            yield Charge(charge, lambda: len(request.body) + rewritten.size)
        events = rewritten if rewritten.rewriters or draft.charges else answer.events
        return Answer(answer.status, answer.headers, answer.streaming, events, draft.reply, answer.attempts)

    def _judged(self) -> Evaluated[None]:
        """What the outbound sections say to the head of the answer. Raises Refusal."""
        draft = self.draft
        yield from self._settle()
        before = len(draft.reported)
        denial = yield from run(self._sections.outbound, draft)
        for one in draft.reported[before:]:  # the record of the decision is written already
            yield Trace(one.rule, "report", "information", f"would have denied: {one.reason}")
        draft.at = ""
        if denial is not None:
            self._denial = denial
            raise refusal_of(replace(denial, detail=f"{denial.rule} {denial.detail}".rstrip()))

    def refused(self, refusal: Refusal) -> Evaluated[Refusal]:
        """The refusal as on-error leaves it. An error in there leaves it as it was."""
        draft, given = self.draft, refusal.reply or Reply()
        refusal.headers = (*(told for told in draft.reply_headers if told not in refusal.headers), *refusal.headers)
        headers = {name.lower(): value for name, value in refusal.headers}
        draft.response = Response(given.status or ANSWERS[refusal.reason].status, headers)
        draft.last_error = self._last_error(refusal)
        yield from self._settle()
        if refusal.reason in _FINAL or not self._sections.on_error:
            return refusal
        draft.section, draft.reply_edits = ON_ERROR, list(given.edits)
        draft.reply_status, draft.reply_body = given.status, given.body
        denial = yield from run(self._sections.on_error, draft)
        draft.at = ""
        if denial is None:
            refusal.reply = draft.reply
        elif denial.reply is not None:
            refusal.reply = denial.reply
        return refusal

    def _settle(self) -> Evaluated[None]:
        """Give back what turns out not to count, now that the status is known. What cannot be said stays counted."""
        draft = self.draft
        for spend, settlement in draft.settlements.items():
            if settlement is None or not draft.spent[spend].allowed:
                continue
            try:
                refund = settlement.refund(draft)
            except ExpressionError:
                continue
            if refund:
                yield Refund(spend, draft.spent[spend])
        draft.settlements = {}

    def _last_error(self, refusal: Refusal) -> LastError:
        denial = self._denial
        rule = denial.rule if denial else ""
        word = denial.error_reason if denial else _UPSTREAM.get(refusal.reason, "")
        source = rule.rpartition(" ")[2] or ("forward-request" if refusal.reason in _UPSTREAM else "mcpgov")
        ours = str(refusal.reason)
        return LastError(source, word or ours, refusal.message, self.draft.section, rule, decision=ours)

    def broken_off(self, refusal: Refusal) -> Decision:
        """The decision where something that it needs was not there, by the rule that was being evaluated."""
        denial = Denial(refusal.reason, refusal.message, self.draft.at, refusal.detail, headers=refusal.headers)
        self.draft.at = ""
        return self._decision(denial)

    def _unless_hidden(self, denial: Denial) -> Evaluated[Denial]:
        """The denial; for a hidden tool, whatever denied it, exactly what a tool would get that does not exist.

        For that the policies are asked once more, about such a tool: a limit, a branch or a message that is only there
        for the hidden one would tell of it. What was counted is not counted again. The caller's scope is not asked
        again: a tool that does not exist may well be in it, and then gets further than to the scope.
        """
        asked, answers = self.draft.context, self.draft.answers
        before = self.draft
        preview = Draft(
            asked.calling(asked.request.tool), answers, annotations=before.annotations, tokens=before.tokens
        )
        try:
            hidden = hides((*self._sections.inbound, *self._sections.backend), preview)
        except ExpressionError as error:
            reason, told = Reason.POLICY_ERROR, str(error)
            return replace(denial, reason=reason, message=_FAILED, detail=told, as_tool_result=False)
        if not hidden:
            return denial
        self.draft = Draft(
            asked.naming(UNKNOWN),
            answers,
            spent=before.spent,
            settlements=before.settlements,
            tokens=before.tokens,
            grants=before.grants,
        )
        verdict = yield from _request(self._unbounded.general, self.draft)
        self.draft.context = asked
        if verdict is not None and not verdict.as_tool_result and verdict.reason is not Reason.TOOL_HIDDEN:
            return verdict
        return Denial(Reason.TOOL_HIDDEN, f"Unknown tool: {asked.request.tool}", preview.at)

    def _decision(self, verdict: Denial) -> Decision:
        draft = self.draft
        return Decision(
            reason=verdict.reason,
            rule=verdict.rule,
            policy_hash=self._policy.digest,
            message=verdict.message,
            detail=verdict.detail,
            as_tool_result=verdict.as_tool_result,
            changes=draft.changes,
            limits=tuple([limit.spent for limit in draft.limits]),
            reply_headers=(*_told(draft.limits), *draft.reply_headers, *verdict.headers),
            reply=verdict.reply,
            reported=tuple(draft.reported),
            granted=tuple(dict.fromkeys(draft.grants)),
            answers=draft.answered,
        )


def _request(sections: Sections, draft: Draft) -> Verdict:
    """Run what is asked before a request is forwarded."""
    denial = yield from run(sections.inbound, draft)
    if denial is None:
        draft.section = BACKEND
        denial = yield from run(sections.backend, draft)
    return denial


def _server_of(context: Context) -> str:
    """Whose word annotations are: a connection that moves to another server starts without any."""
    upstream = context.connection.upstream
    place = upstream.url if isinstance(upstream, RemoteUpstream) else " ".join(upstream.command)
    return f"{context.connection.name} {place}"


_FAILED: Final = "A policy could not be evaluated."


@frozen
class PolicyFilter:
    """Hides from lists what the policies would hide from the same caller's call (the tool scope included)."""

    policy: ConnectionPolicy = field(repr=False)
    context: Context = field(repr=False)  # it holds the arguments of the call
    tokens: dict[str, object] = field(default_factory=dict[str, object], repr=False)

    def hides(self, tool: str, annotations: Mapping[str, object], /) -> bool:
        """Whether `tool` is left out. Raises Refusal (policy-error) where that cannot be said."""
        draft = Draft(self.context.calling(tool), annotations=annotations, tokens=self.tokens)
        sections = self.policy.sections(draft.context.request)
        try:
            return hides((*sections.inbound, *sections.backend), draft)
        except ExpressionError as error:
            raise Refusal(Reason.POLICY_ERROR, _FAILED, detail=str(error)) from None


def refusal_of(verdict: Denial | Decision) -> Refusal:
    """The refusal that a verdict stands for."""
    headers = verdict.headers if isinstance(verdict, Denial) else verdict.reply_headers
    return Refusal(
        verdict.reason,
        verdict.message,
        detail=verdict.detail,
        headers=headers,
        as_tool_result=verdict.as_tool_result,
        reply=verdict.reply,
    )


def _joined(headers: Headers) -> dict[str, str]:
    joined = dict(headers.fields)
    if len(joined) == len(headers.fields):
        return joined
    joined.clear()
    for name, value in headers.fields:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _room(limit: Limit) -> tuple[bool, int, int]:
    return limit.spent.allowed, limit.spent.remaining, -limit.spent.reset


def _told(limits: list[Limit]) -> tuple[tuple[str, str], ...]:
    """What the caller is told of its limits: the one that refused it, else the one with the least left."""
    if not limits:
        return ()
    strictest = limits[0] if len(limits) == 1 else min(limits, key=_room)
    spent = strictest.spent
    told = (
        (strictest.total_header, str(spent.limit)),
        (strictest.remaining_header, str(spent.remaining)),
        (RESET_HEADER, str(spent.reset)),
    )
    return told if spent.allowed else (*told, (strictest.retry_header, str(spent.retry_after)))
