"""A gateway that cannot share its store with those that run does not start, and says why; of two at once, one does."""

import asyncio
import base64
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from mcpgov.store.condition import sqlite_gateways
from tests.faults.tools import left_out
from tests.store.postgres import LEFT_OUT, has_postgres, postgres_server
from tests.store.postgres_asked import ask

PATIENCE = 60  # seconds
ONE, OTHER = (base64.b64encode(bytes(range(at, at + 32))).decode() for at in (0, 32))
SHARED = "counters: redis://127.0.0.1:9\n"  # nothing here is counted, so nobody connects


def furnished(folder: Path, name: str, settings: str) -> Path:
    """The settings of one gateway, which serves nothing."""
    for inside in ("catalog", "policies"):
        (folder / inside).mkdir(parents=True, exist_ok=True)
    config = folder / f"{name}.yaml"
    config.write_text(f"listen: 127.0.0.1:0\nhealth: {{ every: off }}\n{settings}")
    return config


async def start(config: Path) -> tuple[Process, list[str]]:
    """A gateway that serves, or that has ended; and what it said."""
    command = [sys.executable, "-m", "mcpgov", "serve", "--log-format", "json", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, env=dict(os.environ)
    )
    said: list[str] = []
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stderr:
            said.append(line.decode())
            if '"serving"' in said[-1]:
                return process, said
        await process.wait()
    return process, said


@asynccontextmanager
async def serving(config: Path) -> AsyncGenerator[list[str]]:
    """A gateway that serves while the block runs; what it said."""
    process, said = await start(config)
    assert process.returncode is None, said
    try:
        yield said
    finally:
        process.terminate()
        await process.communicate()


async def refused(config: Path) -> str:
    """What a gateway said that did not start."""
    process, said = await start(config)
    if process.returncode is None:
        process.kill()
        await process.communicate()
    assert process.returncode == 1, said
    assert not any("Traceback" in line for line in said)
    return "".join(said)


async def doctor(config: Path) -> list[str]:
    """The checks of the doctor that found something of replicas."""
    command = [sys.executable, "-m", "mcpgov", "doctor", "--json", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL, env=dict(os.environ))
    told, _ = await process.communicate()
    found = [finding["check"] for finding in json.loads(told)["findings"]]
    return [check for check in found if check in {"keys-differ", "limits-apart", "counters-differ"}]


async def test_gateways_of_one_postgres_need_one_key_and_counters_that_they_share(tmp_path: Path) -> None:
    if not has_postgres():
        left_out(LEFT_OUT)
        return
    with postgres_server() as server:
        url = server.database()
        store = f'audit: {{ store: "{url.reveal()}" }}\n'
        first = furnished(tmp_path, "first", f'{store}secrets: {{ key: "{ONE}" }}\n')
        strange = furnished(tmp_path, "strange", f'{store}secrets: {{ key: "{OTHER}" }}\n')
        changing = furnished(tmp_path, "new", f'{store}{SHARED}secrets: {{ key: "{OTHER}", former_keys: ["{ONE}"] }}\n')
        meant = furnished(tmp_path, "meant", f'{store}secrets: {{ key: "{ONE}" }}\ncounters: per-worker\n')
        async with serving(first):
            said = await refused(strange)
            assert f"{strange}:4:17: a gateway that writes to this store since " in said
            assert "limits are counted in memory, and this store has 2 gateways" in said
            assert "2 problems; nothing was started." in said
            assert (await doctor(strange), await doctor(first)) == (["keys-differ"], [])
            async with serving(meant):
                assert await doctor(first) == ["limits-apart"]
            async with serving(changing) as said_by_new:
                assert any('"counters-elsewhere"' in line for line in said_by_new)
        starts = ask(url, "SELECT record FROM records WHERE reason = 'start' ORDER BY id")
    counters = [json.loads(row[0])["mcpgov.control.counters"] for row in starts]
    assert counters == ["memory", "memory", "per-worker", "redis://127.0.0.1:9"]


async def test_of_two_gateways_that_start_at_once_on_one_file_exactly_one_is_refused(tmp_path: Path) -> None:
    config = furnished(tmp_path, "both", "")
    started = await asyncio.gather(start(config), start(config))
    ended = [said for process, said in started if process.returncode is not None]
    assert (len(ended), len(sqlite_gateways(tmp_path / "mcpgov.db"))) == (1, 1)
    assert "and this store has 2 gateways: each would admit all (name one Redis for all" in "".join(ended[0])
    for process, _ in started:
        if process.returncode is None:
            process.terminate()
            await process.communicate()
    async with serving(config):  # nothing of them is left that would be taken for a gateway
        assert len(sqlite_gateways(tmp_path / "mcpgov.db")) == 1
