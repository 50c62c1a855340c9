"""govern(): the whole flow, in the order of the sentence, and the only way through.

    client > 1 endpoint > 2 identity > 3 policy > 4 credential > 5 audit intent > 6 upstream > audit outcome > client

Who calls is asked before the body is read, so a stranger cannot make us hold four megabytes (docs/decisions/0003).
The stages know nothing of each other; what one learns reaches the next through this function.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from mcpgov.decision import Decision, Effect, Reason, Spend, Spent
from mcpgov.errors import ClientGone, Refusal
from mcpgov.policy.evaluate import Context, Evaluation, evaluate, outbound

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.models import Answer, Connection, Credential, MCPRequest, Principal, RequestHead
    from mcpgov.snapshot import Snapshot


class Exchange(Protocol):
    """One HTTP request and the reply to it, as the endpoint sees them."""

    head: RequestHead

    async def read(self, principal: Principal) -> MCPRequest:
        """Read and parse the body, and open the session id that was sealed for this principal. Raises Refusal."""
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


class Limiter(Protocol):
    """Spends what a policy asks to be counted."""

    async def spend(self, effect: Spend) -> Spent:
        """Count once against the effect's limit. Raises Refusal when the counters cannot be reached."""
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


@dataclass(frozen=True, slots=True)
class Stages:
    """Everything that govern() works with."""

    snapshot: Callable[[], Snapshot]
    identity: Identity
    limiter: Limiter
    credentials: CredentialSource
    ledger: Ledger
    upstream: Upstream


async def govern(exchange: Exchange, stages: Stages) -> None:
    """Take one request from the client to the upstream and back, or say no. Leaves exactly one outcome behind."""
    snapshot = stages.snapshot()  # the call ends on the generation it began with
    async with stages.ledger.recording(exchange.head, snapshot.stamp) as record:
        try:
            record.principal = principal = await stages.identity.identify(exchange.head)
            record.request = request = await exchange.read(principal)
            record.connection = connection = snapshot.connection(exchange.head.connection)
            context = Context(request, principal, connection)
            record.decision = decision = await decide(
                evaluate(snapshot.policy(connection.name), context), stages.limiter
            )
            require_allowed(decision)
            record.credential = credential = await stages.credentials.credential_for(connection, principal)
            await record.intent()
            async with stages.upstream.forward(request, connection, decision, credential) as answer:
                await exchange.relay(record.watch(outbound(answer, context, decision)), decision)
        except Refusal as refusal:
            await exchange.refuse(await record.refused(refusal))
        except ClientGone:
            record.client_gone()
        except Exception:
            structlog.get_logger().exception("internal-error", correlation_id=exchange.head.correlation_id)
            unexpected = Refusal(Reason.INTERNAL_ERROR, "mcpgov met an unexpected error and refused the call.")
            await exchange.refuse(await record.refused(unexpected))


async def decide(evaluation: Evaluation[Effect, Spent, Decision], limiter: Limiter) -> Decision:
    """Run a policy evaluation to its verdict, performing the effects that it yields."""
    try:
        effect = next(evaluation)
        while True:
            effect = evaluation.send(await limiter.spend(effect))
    except StopIteration as verdict:
        return verdict.value


def require_allowed(decision: Decision) -> None:
    """Raise the Refusal that a denying decision stands for."""
    if not decision.allowed:
        raise Refusal(
            decision.reason,
            decision.message,
            detail=decision.detail,
            headers=decision.reply_headers,
            as_tool_result=decision.as_tool_result,
        )
