"""What the policies of one tools/call cost: for every element there is, and for a document of ten.

Every document is evaluated in alternating rounds with an empty one; what is printed is the difference, in microseconds
of CPU, and the document of ten as a multiple of the empty one. Effects are performed at once, as with memory counters.
An element of outbound is run on a small answer that is read to its end, one of on-error on a refusal.

    python -m benchmarks.policies [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mcpgov.decision import Describe, FetchKeys, Hold, Reason, Spend, Spent, Tell
from mcpgov.errors import Refusal
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
from mcpgov.policy.assumed_token import assumed_keys, assumed_token
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.document import parse_document, read_document
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.expression import NO_REFERENCES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from mcpgov.decision import Effect, Trace
    from mcpgov.models import Json
    from mcpgov.policy.compiled import ConnectionPolicy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measured:
    """One element in its `section`; what comes of the decision where it is in force. `ending`: how it is written."""

    section: str
    text: str
    reason: Reason = Reason.ALLOWED
    ending: str = "yaml"

    @property
    def document(self) -> str:
        """The document that has nothing else."""
        return self.text if self.ending == "xml" else f"{self.section}: [{self.text and f'{{ {self.text} }}'}]"


def inbound(text: str, reason: Reason = Reason.ALLOWED) -> Measured:
    """One that decides on the request."""
    return Measured("inbound", text, reason)


TENANT: Final = "72f988bf-0000-4000-8000-2d7cd011db47"
CLAIMS: Final = {"iss": "https://issuer.example", "aud": "api://mcpgov", "sub": "agent"}
FRAGMENT: Final = "fragment: [set-header: { name: X-Region, value: eu }]"
IN_XML: Final = """<inbound>
  <choose><when condition="@(context.Request.Headers.GetValueOrDefault("x-region", "") == "eu")">
    <set-header name="X-Region" exists-action="override"><value>eu</value></set-header></when></choose>
</inbound>"""
ELEMENTS: Final = {
    "ip-filter": inbound("ip-filter: { action: allow, addresses: [10.0.0.0/8, 192.168.0.0/16] }"),
    "check-header": inbound(
        "check-header: { name: x-region, failed-check-httpcode: 403, failed-check-error-message: no, ignore-case: true,"
        " value: [eu, us] }"
    ),
    "cors": inbound("cors: { allowed-origins: [https://app.contoso.com], allowed-methods: [POST] }"),
    "rate-limit": inbound("rate-limit: { calls: 60, renewal-period: 60 }"),
    "rate-limit-by-key": inbound("rate-limit-by-key: { calls: 60, renewal-period: 60 }"),
    "quota": inbound("quota: { calls: 1000, renewal-period: 3600 }"),
    "quota-by-key": inbound("quota-by-key: { calls: 1000, renewal-period: 3600, counter-key: principal.project }"),
    "limit-concurrency": inbound("limit-concurrency: { key: principal.id, max-count: 10, do: [] }"),
    "tool-rules": inbound("tool-rules: { allow: [get_*, list_*], deny: [delete_*] }"),
    "argument-rules (CEL)": inbound("argument-rules: { condition: mcp.tool.arguments.id < 100 }"),
    "argument-rules (JSON Schema)": inbound(
        "argument-rules: { schema: { type: object, properties: { id: { type: integer } }, required: [id] } }"
    ),
    "set-header": inbound("set-header: { name: X-Agent, value: '${{ principal.id }}' }"),
    "set-header (literal)": inbound("set-header: { name: Cookie, exists-action: delete }"),
    "set-variable": inbound("set-variable: { name: team, value: '${{ principal.project }}' }"),
    "set-query-parameter": inbound("set-query-parameter: { name: api-version, value: '2026-01-01' }"),
    "set-backend-service": inbound("set-backend-service: { base-url: https://europe-api.contoso.com }"),
    "rewrite-uri": inbound("rewrite-uri: { template: /mcp }"),
    "choose (CEL)": inbound(
        'choose: { when: [{ condition: \'request.headers["x-region"] == "eu"\','
        " do: [set-header: { name: X-Region, value: eu }] }] }"
    ),
    "choose (XML)": Measured("inbound", IN_XML, ending="xml"),
    "include-fragment": inbound("include-fragment: { fragment-id: shared }"),
    "quarantine": inbound("quarantine: { tools: [delete_*] }"),
    "validate-jwt": inbound(
        "validate-jwt: { header-name: Authorization, audiences: [api://mcpgov],"
        " openid-config: { url: https://issuer.example/.well-known/openid-configuration } }"
    ),
    "validate-azure-ad-token": inbound(
        f"validate-azure-ad-token: {{ tenant-id: {TENANT}, audiences: [api://mcpgov] }}", Reason.JWT_ISSUER_DENIED
    ),
    "authentication-managed-identity": inbound("authentication-managed-identity: { resource: https://ai.azure.com }"),
    "get-authorization-context": inbound(
        "get-authorization-context: { provider-id: calendar, context-variable-name: calendar }"
    ),
    "forward-headers": inbound("forward-headers: { headers: [x-tenant] }"),
    "emit-metric": inbound("emit-metric: { name: calls, namespace: mcp, dimensions: [{ name: API ID }] }"),
    "log-to-eventhub": inbound("log-to-eventhub: { logger-id: usage, body: called }"),
    "trace": inbound("trace: { source: calls, message: called }"),
    "mock-response": inbound("mock-response: { status-code: 200 }", Reason.POLICY_RESPONSE),
    "return-response": inbound("return-response: { do: [set-status: { code: 403 }] }", Reason.POLICY_RESPONSE),
    "forward-request": Measured("backend", "forward-request: { timeout: 20 }"),
    "retry": Measured(
        "backend", "retry: { condition: response.status == 429, count: 3, interval: 1, do: [forward-request: {}] }"
    ),
    "set-header (outbound)": Measured("outbound", "set-header: { name: X-Agent, value: '${{ principal.id }}' }"),
    "set-status": Measured("outbound", "set-status: { code: 200, reason: OK }"),
    "find-and-replace": Measured("outbound", "find-and-replace: { from: wiki.internal, to: wiki.contoso.com }"),
    "result-rules": Measured(
        "outbound", "result-rules: { strip-hidden: true, redact: [{ pattern: 'AKIA[A-Z0-9]{16}' }] }"
    ),
    "schema-rules": Measured("outbound", "schema-rules: { flatten: true }"),
    "set-body": Measured("on-error", "set-body: { value: Try again later. }"),
    "choose (on-error)": Measured(
        "on-error", 'choose: { when: [{ condition: error.reason == "rate-limited", do: [set-status: { code: 429 }] }] }'
    ),
}
TEN: Final = (
    *("ip-filter", "check-header", "rate-limit-by-key", "quota-by-key", "tool-rules", "argument-rules (CEL)"),
    *("set-header", "set-header (literal)", "choose (CEL)", "quarantine"),
)
ANSWER: Final = (
    b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"see http://wiki.internal:8080/a"}]}}'
)
CALLS: Final = 400
KEYS: Final = assumed_keys(CLAIMS)


def asked() -> Context:
    """The call that is decided on."""
    now = datetime.now(UTC)
    fields = (("x-region", "eu"), ("x-tenant", "blue"), ("user-agent", "agent"), ("accept", "application/json"))
    bearer = ("authorization", f"Bearer {assumed_token(CLAIMS, now)}")
    head = RequestHead("POST", "github", Headers((*fields, bearer)), "10.0.0.7", "10.0.0.7", now, "c" * 32)
    arguments: dict[str, Json] = {"id": 7, "repository": "mcpgov", "text": "x" * 200}
    params: dict[str, Json] = {"name": "get_issue", "arguments": arguments}
    request = MCPRequest(head, Era.STATELESS, Kind.REQUEST, "2026-07-28", b"", 1, "tools/call", "get_issue", params)
    upstream = RemoteUpstream("https://api.contoso.com/mcp", backends=("https://europe-api.contoso.com",))
    caller = Principal("key:k1", PrincipalKind.KEY, "agent", "payments")
    return Context(request, caller, Connection("github", "com.contoso/github", upstream))


def ignored(_trace: Trace) -> None:
    """Nothing is done with what is told."""


def performed(effect: Effect) -> object:
    """Effects without a store."""
    if isinstance(effect, Spend):
        return Spent(allowed=True, limit=effect.calls, remaining=10, reset=effect.period)
    if isinstance(effect, FetchKeys):
        return KEYS
    if isinstance(effect, Tell):
        return ignored
    return {} if isinstance(effect, Describe) else isinstance(effect, Hold) or None


def run(evaluation: Generator[Effect, Any, T]) -> T:
    """What an evaluation returns."""
    try:
        effect = next(evaluation)
        while True:
            effect = evaluation.send(performed(effect))
    except StopIteration as end:
        return end.value


async def answering() -> AsyncIterator[tuple[Event, ...]]:
    """What the server answers."""
    yield (Event(ANSWER, ANSWER),)


async def evaluate(policy: ConnectionPolicy, context: Context, measured: Measured) -> None:
    """One call, as far as its section; it must be decided as expected, or the figures would be of another way."""
    evaluation = Evaluation(policy, context)
    decision = run(evaluation.decide())
    if decision.reason is not measured.reason:
        raise SystemExit(f"{measured.text}: {decision}")
    if measured.section == "outbound":
        answer = run(evaluation.answered(Answer(200, Headers(()), streaming=False, events=answering())))
        async for _ in answer.events:
            pass
    elif measured.section == "on-error":
        run(evaluation.refused(Refusal(Reason.RATE_LIMITED, "Too many calls.")))


async def seconds(policy: ConnectionPolicy, context: Context, measured: Measured, calls: int = CALLS) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    for _ in range(calls):
        await evaluate(policy, context, measured)
    return (time.process_time() - begin) / calls


def compiled(measured: Measured) -> ConnectionPolicy:
    """A connection with one document."""
    fragments = {"shared": read_document(FRAGMENT, "policies/shared.yaml").fragment(NO_REFERENCES)}
    document = parse_document(measured.document, f"policies/measured.{measured.ending}", NO_REFERENCES, fragments)
    return compile_policy([], [], [document], {})


async def measure(rounds: int) -> dict[str, float]:
    """Microseconds of each document beyond those of an empty one; `empty` is that itself, in inbound."""
    context, empty = asked(), compiled(inbound(""))
    documents = ELEMENTS | {"ten": inbound(" }, { ".join(ELEMENTS[name].text for name in TEN))}
    policies = {name: compiled(measured) for name, measured in documents.items()}
    taken: dict[str, list[float]] = {name: [] for name in ("empty", *documents)}
    for _ in range(rounds):
        for name, measured in documents.items():
            before = await seconds(empty, context, Measured(measured.section, ""))
            taken[name].append(await seconds(policies[name], context, measured) - before)
            if measured.section == "inbound":
                taken["empty"].append(before)
    return {name: statistics.median(values) * 1e6 for name, values in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.rounds))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'empty document':<32}{figures['empty']:>8.1f} us in all")
    for name, measured in ELEMENTS.items():
        print(f"{name:<32}{figures[name]:>8.1f} us more in {measured.section}")
    whole = figures["empty"] + figures["ten"]
    print(f"{'a document of ten':<32}{whole:>8.1f} us in all, {whole / figures['empty']:.0f} times the empty one")


if __name__ == "__main__":
    main()
