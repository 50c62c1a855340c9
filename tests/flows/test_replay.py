"""A recorded decision is made again from its record alone: the same reason, by the same rule, every time."""

import random
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import pytest

from mcpgov.cli.replayed import context_of, recorded_of, replayed
from mcpgov.policy.replay import replay
from mcpgov.reload import load_generation
from tests.flows.house import House, house
from tests.flows.upstream import TOOLS, CityUpstream, listening

CALLS: Final = 300
POLICIES: Final = {
    "limits": """\
inbound:
  - rate-limit-by-key: { calls: 40, renewal-period: 300, counter-key: 'principal.id + request.headers["x-tenant"]' }
  - rate-limit: { calls: 60, renewal-period: 300, remaining-calls-variable-name: left }
  - quota-by-key: { calls: 100, renewal-period: 86400, counter-key: principal.project }
  - limit-concurrency: { key: principal.id, max-count: 50 }
""",
    "rules": """\
inbound:
  - check-header: { name: X-Tenant, failed-check-httpcode: 400, failed-check-error-message: "Who?", value: [blue, red] }
  - set-variable: { name: big, value: "${{ has(mcp.tool.arguments.size) && mcp.tool.arguments.size > 5 }}" }
  - choose:
      when:
        - condition: request.headers["x-region"] == "moon"
          do: [return-response: { do: [set-status: { code: 451 }] }]
        - condition: 'variables.big && mcp.tool.name == "rename_city"'
          do: [tool-rules: { deny: [{ tool: rename_city, hide: false, message: Too big. }] }]
        - condition: 'principal.name == "second" && mcp.tool.arguments.name.matches("^[Kk]yo")'
          do: [ip-filter: { action: forbid, addresses: [127.0.0.1] }]
      otherwise:
        - set-header: { name: X-Size, value: "${{ string(size(request.headers)) }}" }
  - argument-rules:
      tools: [rename_city]
      schema: { properties: { name: { type: string, maxLength: 8 } } }
  - set-header: { name: X-Note, value: '${{ request.headers["x-note"] }}' }
  - tool-rules:
      allow: ["*_city", "*_cities"]
      deny: [delete_city, { tool: get_*, annotation: readOnlyHint, principals: ["nobody"] }]
  - quarantine: { tools: [list_cities], projects: [payments], message: Later. }
backend:
  - set-query-parameter: { name: at, value: '${{ request.headers["x-region"] }}' }
on-error:
  - set-header: { name: X-Rule, value: "${{ error.reason }}" }
""",
    "trial": """\
mode: report
inbound:
  - rate-limit-by-key: { calls: 3, renewal-period: 300, counter-key: 'request.headers["x-tenant"]' }
  - tool-rules: { allow: [list_cities] }
""",
}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[House]:
    """A gateway with every kind of policy in force."""
    async with listening(CityUpstream()) as url, house(tmp_path) as built:
        await built.furnish(f"{url}/mcp", **POLICIES)
        yield built


async def call_much(gateway: House) -> None:
    """Some hundred calls that nobody chose, by three callers."""
    chance = random.Random(3)
    clients = [
        await gateway.client(key=await gateway.key(name, project))
        for name, project in (("first", "payments"), ("second", "payments"), ("third", ""))
    ]
    for _ in range(CALLS):
        client = chance.choice(clients)
        headers = {"x_tenant": chance.choice(("blue", "blue", "red", "green"))} if chance.random() > 0.1 else {}
        headers |= {"x_region": chance.choice(("earth", "mars", "moon"))} if chance.random() > 0.7 else {}
        headers |= {"x_note": chance.choice(("a", "b c"))} if chance.random() > 0.1 else {}
        arguments: dict[str, Any] = {"name": chance.choice(("Kyoto", "kyo", "Constantinople", 7, None))}
        arguments |= {"size": chance.choice((1, 9, "large", 2**70))} if chance.random() > 0.6 else {}
        if chance.random() > 0.9:
            await client.request("tools/list", None, **headers)
        else:
            await client.call(chance.choice((*TOOLS, "no such tool")), arguments, **headers)


async def test_every_recorded_decision_replays_to_itself(gateway: House) -> None:
    await call_much(gateway)
    snapshot = load_generation(gateway.folder / "mcpgov.yaml")
    met: Counter[str] = Counter()
    for record in await gateway.records():
        recorded = recorded_of(record)
        if recorded is None:
            assert record["event"] == "outcome"
            continue
        context = context_of(record, snapshot)
        assert context is not None
        decision = replay(snapshot.policy("city"), context, recorded)
        assert (decision.reason, decision.rule) == (recorded.reason, recorded.rule), record
        assert recorded.same_as(decision)
        met[recorded.reason] += 1
    assert met.total() == CALLS
    assert met.keys() >= {
        *("allowed", "rate-limited", "header-denied", "policy-response", "tool-denied", "tool-hidden"),
        *("source-ip-denied", "arguments-denied", "policy-error", "quarantined"),
    }, met


async def test_a_replay_says_whether_the_policies_are_still_those_of_the_call(gateway: House) -> None:
    client = await gateway.client()
    await client.call("delete_city", x_tenant="blue", x_note="a")
    (record,) = await gateway.records(event="denied")
    same = "\n".join(replayed(record, load_generation(gateway.folder / "mcpgov.yaml")))
    assert "Decision: tool-hidden, by rules#6 tool-rules\n" in same
    assert same.endswith("\nThis is the recorded decision, by the same policies.")
    gateway.write("policies/rules.yaml", POLICIES["rules"].replace("delete_city, ", "delete_*, "))
    changed = "\n".join(replayed(record, load_generation(gateway.folder / "mcpgov.yaml")))
    assert "\nThe policies have changed since" in changed
    assert changed.endswith("\nRecorded was: tool-hidden, by rules#6 tool-rules")
