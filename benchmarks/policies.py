"""What the decision of one tools/call costs: for each element of the library's words, and for a document of ten.

Every document is evaluated in alternating rounds with an empty one; what is printed is the difference, in microseconds
of CPU, and the document of ten as a multiple of the empty one. Effects are performed at once, as with memory counters.

    python -m benchmarks.policies [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Describe, Hold, Spend, Spent
from mcpgov.models import (
    Connection,
    Era,
    Headers,
    Kind,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
)
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.document import parse_document
from mcpgov.policy.evaluate import Evaluation

if TYPE_CHECKING:
    from mcpgov.decision import Effect
    from mcpgov.models import Json
    from mcpgov.policy.compiled import ConnectionPolicy

EMPTY: Final = "inbound: []"
ELEMENTS: Final = {
    "ip-filter": "ip-filter: { action: allow, addresses: [10.0.0.0/8, 192.168.0.0/16] }",
    "check-header": (
        "check-header: { name: x-region, failed-check-httpcode: 403, failed-check-error-message: no, ignore-case: true,"
        " value: [eu, us] }"
    ),
    "rate-limit-by-key": "rate-limit-by-key: { calls: 60, renewal-period: 60 }",
    "quota-by-key": "quota-by-key: { calls: 1000, renewal-period: 3600, counter-key: principal.project }",
    "tool-rules": "tool-rules: { allow: [get_*, list_*], deny: [delete_*] }",
    "argument-rules (CEL)": "argument-rules: { condition: mcp.tool.arguments.id < 100 }",
    "argument-rules (JSON Schema)": (
        "argument-rules: { schema: { type: object, properties: { id: { type: integer } }, required: [id] } }"
    ),
    "set-header": "set-header: { name: X-Agent, value: '${{ principal.id }}' }",
    "set-header (literal)": "set-header: { name: Cookie, exists-action: delete }",
    "set-variable": "set-variable: { name: team, value: '${{ principal.project }}' }",
    "choose (CEL)": (
        'choose: { when: [{ condition: \'request.headers["x-region"] == "eu"\','
        " do: [set-header: { name: X-Region, value: eu }] }] }"
    ),
    "quarantine": "quarantine: { tools: [delete_*] }",
    "forward-headers": "forward-headers: { headers: [x-tenant] }",
    "limit-concurrency": "limit-concurrency: { key: principal.id, max-count: 10, do: [] }",
}
TEN: Final = (
    *("ip-filter", "check-header", "rate-limit-by-key", "quota-by-key", "tool-rules", "argument-rules (CEL)"),
    *("set-header", "set-header (literal)", "choose (CEL)", "quarantine"),
)
IN_XML: Final = """<inbound>
  <choose><when condition="@(context.Request.Headers.GetValueOrDefault("x-region", "") == "eu")">
    <set-header name="X-Region" exists-action="override"><value>eu</value></set-header></when></choose>
</inbound>"""
CALLS: Final = 400


def asked() -> Context:
    """The call that is decided on."""
    fields = (("x-region", "eu"), ("x-tenant", "blue"), ("user-agent", "agent"), ("accept", "application/json"))
    head = RequestHead("POST", "github", Headers(fields), "10.0.0.7", "10.0.0.7", datetime.now(UTC), "c" * 32)
    arguments: dict[str, Json] = {"id": 7, "repository": "mcpgov", "text": "x" * 200}
    params: dict[str, Json] = {"name": "get_issue", "arguments": arguments}
    request = MCPRequest(head, Era.STATELESS, Kind.REQUEST, "2026-07-28", b"", 1, "tools/call", "get_issue", params)
    upstream = RemoteUpstream("https://api.contoso.com/mcp")
    caller = Principal("key:k1", PrincipalKind.KEY, "agent", "payments")
    return Context(request, caller, Connection("github", "com.contoso/github", upstream))


def performed(effect: Effect) -> object:
    """Effects without a store."""
    if isinstance(effect, Spend):
        return Spent(allowed=True, limit=effect.calls, remaining=10, reset=effect.period)
    return {} if isinstance(effect, Describe) else isinstance(effect, Hold) or None


def decide(policy: ConnectionPolicy, context: Context) -> None:
    """One decision; it must be to allow, or the figures would be those of a short way out."""
    deciding = Evaluation(policy, context).decide()
    try:
        effect = next(deciding)
        while True:
            effect = deciding.send(performed(effect))
    except StopIteration as end:
        if not end.value.allowed:
            raise SystemExit(f"denied: {end.value}") from None


def seconds(policy: ConnectionPolicy, context: Context) -> float:
    """CPU seconds of one decision."""
    begin = time.process_time()
    for _ in range(CALLS):
        decide(policy, context)
    return (time.process_time() - begin) / CALLS


def compiled(text: str, ending: str = "yaml") -> ConnectionPolicy:
    """A connection with one document."""
    return compile_policy([], [], [parse_document(text, f"policies/measured.{ending}")], {})


def measure(rounds: int) -> dict[str, float]:
    """Microseconds of each document beyond those of an empty one; `empty` itself, and `ten` in full."""
    context = asked()
    documents = {name: compiled(f"inbound: [{{ {text} }}]") for name, text in ELEMENTS.items()}
    documents["choose (XML)"] = compiled(IN_XML, "xml")
    documents["ten"] = compiled("inbound:\n" + "".join(f"  - {ELEMENTS[name]}\n" for name in TEN))
    empty = compiled(EMPTY)
    taken: dict[str, list[float]] = {name: [] for name in documents}
    baseline: list[float] = []
    for _ in range(rounds):
        for name, policy in documents.items():
            before = seconds(empty, context)
            taken[name].append(seconds(policy, context) - before)
            baseline.append(before)
    figures = {name: statistics.median(values) * 1e6 for name, values in taken.items()}
    return {"empty": statistics.median(baseline) * 1e6, **figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'empty document':<32}{figures['empty']:>8.1f} us in all")
    for name in [name for name in figures if name not in ("empty", "ten")]:
        print(f"{name:<32}{figures[name]:>8.1f} us more")
    whole = figures["empty"] + figures["ten"]
    print(f"{'a document of ten':<32}{whole:>8.1f} us in all, {whole / figures['empty']:.0f} times the empty one")


if __name__ == "__main__":
    main()
