"""govern(): the whole flow, in the order of the sentence, and the only way through.

    client > 1 endpoint > 2 identity > 3 policy > 4 credential > 5 audit intent > 6 upstream > audit outcome > client

Who calls is asked before the body is read, so a stranger cannot make us hold four megabytes (docs/decisions/0003).
The stages know nothing of each other; what one learns reaches the next through this function.
"""

from __future__ import annotations

import secrets
from contextlib import AbstractAsyncContextManager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from mcpgov.decision import Reason
from mcpgov.errors import ClientGone, Refusal
from mcpgov.frozen import frozen
from mcpgov.handles.handles import Handles
from mcpgov.handles.seal import KEY_BYTES, Seal
from mcpgov.places import Places
from mcpgov.policy.evaluate import Context, Evaluation, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, MCPRequest, Principal, RequestHead
    from mcpgov.policy.element import Evaluated
    from mcpgov.snapshot import Snapshot

T = TypeVar("T")


class Exchange(Protocol):
    """One HTTP request and the reply to it, as the endpoint sees them."""

    head: RequestHead

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        """Read and parse the body; what the client presents in it is still sealed. Raises Refusal.

        `origins` are those of browsers that a policy lets in, besides our own.
        """
        ...

    async def relay(self, answer: Answer, decision: Decision) -> None:
        """Send the answer on as it comes. Raises ClientGone when nobody was there to take the end of it."""
        ...

    async def refuse(self, refusal: Refusal) -> None:
        """Answer no, in the shape the request's era and the reason ask for."""
        ...


class Identity(Protocol):
    """Stage 2: who calls."""

    async def identify(self, head: RequestHead) -> Principal:
        """The caller, from its credential. Raises Refusal: missing, invalid, expired, revoked, ambiguous."""
        ...


class CallEffects(Protocol):
    """The effects of one call."""

    async def perform(self, evaluation: Evaluated[T]) -> T:
        """Run an evaluation to its end, performing the effects that it yields. Raises Refusal."""
        ...


class Effects(Protocol):
    """Performs what policies ask for."""

    def call(self) -> AbstractAsyncContextManager[CallEffects]:
        """Open the effects of one call; leaving the context lets go of what the call holds."""
        ...


class CredentialSource(Protocol):
    """Stage 4: with whose credential."""

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        """The connection's own credential and no other. Raises Refusal when it cannot be had."""
        ...


class Recording(Protocol):
    """The record of one call, opened first and closed on every exit."""

    principal: Principal | None
    request: MCPRequest | None
    connection: Connection | None
    decision: Decision | None
    credential: Credential | None

    async def intent(self) -> None:
        """Write down what is about to be done; returns when that is durable. Raises Refusal (audit-unavailable)."""
        ...

    def heard(self, answer: Answer) -> Answer:
        """The same answer as the upstream gives it, the tools that it lists noted."""
        ...

    def watch(self, answer: Answer) -> Answer:
        """The same answer, its size, errors and end noted as it passes."""
        ...

    async def refused(self, refusal: Refusal) -> Refusal:
        """Write the refusal down; gives back the refusal to answer with (audit-unavailable if it cannot be written)."""
        ...

    def client_gone(self) -> None:
        """Note that the answer had nowhere to go."""
        ...


class Ledger(Protocol):
    """Stage 5: write it down."""

    def recording(self, head: RequestHead, stamp: str) -> AbstractAsyncContextManager[Recording]:
        """Open a record; leaving the context writes the outcome, also when the task is cancelled."""
        ...


class Upstream(Protocol):
    """Stage 6: forward. One method, so that a whole gateway can be tested without a socket."""

    def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AbstractAsyncContextManager[Answer]:
        """Send the request on; entering gives the answer's head, leaving closes what is left. Raises Refusal."""
        ...


class Pins(Protocol):
    """Which tools are what somebody approved."""

    def require(self, request: MCPRequest, connection: Connection, /) -> None:
        """Raise Refusal where what is called is not: tool-changed, tool-unapproved, pins-unavailable."""
        ...

    def judged(self, answer: Answer, request: MCPRequest, connection: Connection, /) -> Answer:
        """The same answer, in whose lists no other tools are; what they list is pinned."""
        ...

    def waiting(self, connections: Iterable[Connection], /) -> Mapping[str, int]:
        """How many tools wait for a person, by the name of the server; those of which none waits are left out."""
        ...


class NoPins:
    """For a gateway that has none."""

    def require(self, _request: MCPRequest, _connection: Connection, /) -> None:
        """Let it pass."""

    def judged(self, answer: Answer, _request: MCPRequest, _connection: Connection, /) -> Answer:
        """The answer as it is."""
        return answer

    def waiting(self, _connections: Iterable[Connection], /) -> Mapping[str, int]:
        """None."""
        return {}


@frozen
class Stages:
    """Everything that govern() works with."""

    snapshot: Callable[[], Snapshot]
    identity: Identity
    effects: Effects
    credentials: CredentialSource
    ledger: Ledger
    upstream: Upstream
    pins: Pins = field(default_factory=NoPins)
    places: Places = field(default_factory=Places)
    handles: Handles = field(default_factory=lambda: Handles(Seal(secrets.token_bytes(KEY_BYTES))))


async def govern(exchange: Exchange, stages: Stages) -> None:
    """Take one request from the client to the upstream and back, or say no. Leaves exactly one outcome behind."""
    snapshot, evaluation = stages.snapshot(), None  # the call ends on the generation it began with
    async with stages.ledger.recording(exchange.head, snapshot.stamp) as record, stages.effects.call() as effects:
        try:
            try:
                snapshot.answer_preflight(exchange.head)
                record.principal = principal = await stages.identity.identify(exchange.head)
                received = await exchange.read(principal, snapshot.origins(exchange.head, principal))
                mine = received.principal_id == principal.id
                record.request = request = received if mine else replace(received, principal_id=principal.id)
                record.connection = connection = snapshot.connection(exchange.head.connection, principal)
                with stages.places.place(request, connection, principal):
                    policy = snapshot.policy(connection.name)
                    context = Context(request, principal, connection, policy.credential_headers)
                    evaluation = Evaluation(policy, context)
                    record.decision = decision = await effects.perform(evaluation.decide())
                    require_allowed(decision)
                    stages.pins.require(request, connection)
                    record.request = sent = stages.handles.opened(request, connection, decision)
                    record.credential = credential = await stages.credentials.credential_for(connection, principal)
                    await record.intent()
                    async with stages.upstream.forward(sent, connection, decision, credential) as own:
                        answer = stages.handles.sealed(own, sent, connection, decision, resumable=evaluation.resumable)
                        pinned = stages.pins.judged(record.heard(answer), request, connection)
                        shown = await effects.perform(evaluation.answered(pinned))
                        await exchange.relay(record.watch(shown), decision)
            except Refusal as refusal:
                record.decision = record.decision or (evaluation and evaluation.broken_off(refusal))
                raise await on_error(refusal, evaluation, effects) from None
        except Refusal as refusal:
            await exchange.refuse(await record.refused(refusal))
        except ClientGone:
            record.client_gone()
        except Exception:
            refusal = unexpected(evaluation)
            record.decision = record.decision or (evaluation and evaluation.broken_off(refusal))
            structlog.get_logger().exception(
                refusal.reason, detail=refusal.detail, correlation_id=exchange.head.correlation_id
            )
            await exchange.refuse(await record.refused(refusal))


async def on_error(refusal: Refusal, evaluation: Evaluation | None, effects: CallEffects) -> Refusal:
    """The refusal as the policies' on-error sections leave it."""
    if evaluation is None:
        return refusal  # who calls, or what, is not known: there is no policy to ask
    try:
        return await effects.perform(evaluation.refused(refusal))
    except Refusal:
        return refusal


def require_allowed(decision: Decision) -> None:
    """Raise the Refusal that a denying decision stands for."""
    if not decision.allowed:
        raise refusal_of(decision)


def unexpected(evaluation: Evaluation | None) -> Refusal:
    """What is answered when something failed that should not: a policy, if one was being evaluated, or mcpgov."""
    if evaluation is not None and evaluation.at:
        message = "A policy could not be evaluated."
        return Refusal(Reason.POLICY_ERROR, message, detail=f"{evaluation.at} failed")
    return Refusal(Reason.INTERNAL_ERROR, "mcpgov met an unexpected error and refused the call.")
