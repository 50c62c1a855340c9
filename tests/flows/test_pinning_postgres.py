"""Pins in a PostgreSQL that two gateways share: a change is refused at both, what is approved at one shows at both."""

import asyncio
import secrets
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from tests.flows.house import house
from tests.flows.test_pinning import ENTRY, POISONED, READ, WRITE, NotesUpstream, code, listed, run, until_listed
from tests.flows.upstream import listening
from tests.store.postgres import LEFT_OUT, has_postgres, postgres_server


async def test_an_approval_at_one_gateway_is_learned_by_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not has_postgres():
        with capsys.disabled():
            sys.stdout.write(f"\n{LEFT_OUT}\n")
        return
    settings = f'secrets: {{ key: "{b64encode(secrets.token_bytes(32)).decode()}" }}\ncounters: per-worker\n'
    upstream = NotesUpstream(READ, WRITE)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with postgres_server() as server:
        store = server.database().reveal()
        async with (
            listening(upstream) as url,
            house(folders[0], settings, store=store) as first,
            house(folders[1], settings, store=store) as second,
        ):
            for gateway in (first, second):
                gateway.write("catalog/notes.yaml", ENTRY.format(upstream=f"{url}/mcp", pin="trust-on-first-use"))
                gateway.reload()
            one, two = await first.client("notes"), await second.client("notes")
            assert await listed(one) == ["read_note", "write_note"]
            upstream.tools = [POISONED, WRITE]
            assert await listed(one) == ["write_note"]
            assert await code(one, "read_note") == -32602
            async with asyncio.timeout(20):
                while await code(two, "read_note") == 0:  # it has listed nothing itself
                    await asyncio.sleep(0)
            reasons = [record["mcpgov.decision.reason"] for record in await first.records(event="denied")]
            assert set(reasons) == {"tool-changed"}
            assert "read_note is changed" in (await run(second, "diff", "notes")).output
            assert (await run(first, "approve", "notes", "read_note", "--yes")).exit_code == 0
            for client in (one, two):
                await until_listed(client, "read_note", "write_note")
                assert await code(client, "read_note") == 0
            assert str((await second.event("tool-approved"))["mcpgov.control.principal"]).startswith("local:")
