"""What rules of levels say stands in the ledger of a real gateway; both verifiers hold it, its digests are found."""

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner

from mcpgov import app
from mcpgov.audit.redact import Digester
from mcpgov.audit.verify import verify
from tests import independent_verifier
from tests.flows.house import House, house
from tests.flows.upstream import CityUpstream, listening

RULES = """, rules: [
  { tools: [list_cities], level: none },
  { tools: [get_city], level: request-response, fields: { pin: drop, name: mask, "content.*.type": clear } },
  { methods: [tools/call], level: request, fields: { "**": clear } } ]"""


def audit(built: House, *arguments: str, stdin: str = "") -> str:
    """What a verb of `mcpgov audit` prints."""
    config = str(built.folder / "mcpgov.yaml")
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app.build_cli(), ["audit", *arguments, "--config", config], input=stdin
    )
    assert done.exit_code == 0, done.output
    return done.stdout


HOSTILE = '\u202e\x1b[2J\x00\u2028"\\'


async def test_each_call_is_written_down_as_the_first_rule_says(tmp_path: Path, upstream: CityUpstream) -> None:
    async with listening(upstream) as url, house(tmp_path, audit=RULES) as built:
        await built.furnish(f"{url}/mcp")
        client = await built.client()
        arguments = {"pin": 4711, "name": "Kyoto-Kyoto-Kyoto", "note": HOSTILE}
        await client.call("list_cities", {"q": "private-words"}, user_agent="private-words")
        await client.call("get_city", arguments)
        await client.call("rename_city", {"to": HOSTILE, "password": "hunter2-in-clear"})
        await client.request("tools/list")
        none, _, full, answered, renamed, _, listing, tools = await built.records()
        digester = Digester(built.running.storage.argument_key if built.running else b"")
        assert "private-words" not in str(none)
        assert (none["mcpgov.level"], none["gen_ai.tool.name"]) == ("none", "list_cities")
        sent = upstream.calls[1]
        assert sent.message["params"]["arguments"] == arguments
        exact = sent.body[sent.body.index(b'{"pin"') : sent.body.index(b', "_meta"')]
        assert full["mcpgov.arguments.digest"] == digester.fingerprint(exact).digest
        assert json.loads(str(full["mcpgov.arguments.value"])) == {
            "name": "mask:text:17:yoto",
            "note": digester.scalar(HOSTILE),
        }
        assert full["mcpgov.arguments.dropped"] == 1
        [content] = json.loads(str(answered["mcpgov.answer.value"]))["content"]
        assert content == {"type": "text", "text": digester.scalar("Kyoto\u2028")}
        assert json.loads(str(renamed["mcpgov.arguments.value"])) == {
            "to": HOSTILE,
            "password": digester.scalar("hunter2-in-clear"),
        }
        assert "mcpgov.level" not in listing
        assert (tools["mcpgov.tools.count"], str(tools["mcpgov.tools.digest"])[:7]) == (4, "sha256:")
        found = audit(built, "hmac", "-", "--type", "text", stdin="hunter2-in-clear\n").strip()
        assert str(renamed["correlation_id"])[:12] in audit(built, "query", f"text={found}")
        shown = audit(built, "show", str(full["call_id"]))
        assert '"name": "mask:text:17:yoto"' in shown
    with app.openers().storage(tmp_path / "mcpgov.yaml").evidence() as evidence:
        assert verify(evidence, None, {}).code == 0
    assert independent_verifier.main(str(tmp_path / "audit.db")) == 0


async def test_a_rotated_key_is_that_of_the_next_start_and_former_digests_are_still_found(
    tmp_path: Path, upstream: CityUpstream
) -> None:
    audit_rules = ", rules: [ { level: request } ]"
    async with listening(upstream) as url:
        for _ in range(2):
            async with house(tmp_path, audit=audit_rules) as built:
                await built.furnish(f"{url}/mcp")
                await (await built.client()).call("get_city", {"name": "Kyoto"})
                await asyncio.to_thread(audit, built, "rotate-key")
        built = House(tmp_path)
        started = await built.event("start")
        rotated = await built.event("digest-key-rotated")
        assert rotated["mcpgov.control.former_key"] == started["mcpgov.control.digest_key"]
        unused, second, first = audit(built, "hmac", "Kyoto").splitlines()
        calls = await built.records(event="intent")
        texts = [str(call["mcpgov.arguments.value"]) for call in calls]
        assert [first in texts[0], second in texts[0], first in texts[1], second in texts[1]] == [
            *(True, False, False, True)
        ]
        assert unused not in str(texts)
