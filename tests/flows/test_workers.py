"""`mcpgov serve --workers 2`: real processes around one listener, with one ledger, that live and end as one."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from mcpgov import app
from tests.flows.house import Reply
from tests.flows.pack import SETTINGS, Pack, fresh, furnish, pack, until_two_wrote
from tests.flows.upstream import SESSION, CityUpstream, listening
from tests.store.redis import LEFT_OUT, has_redis, redis_server

LIMIT = 20
POLICY = f"inbound: [ {{ rate-limit-by-key: {{ calls: {LIMIT}, renewal-period: 300 }} }} ]"
TRACE = "inbound: [ { trace: { source: rules, message: called } } ]"
LOCAL = """\
name: dev.mcpgov/local
version: 1.0.0
description: a local server
command: [python3, -V]
connections:
  local: { authType: None }
"""


def verified(folder: Path) -> str:
    """What `mcpgov audit verify` says of the store; it finds nothing wrong."""
    done = CliRunner().invoke(app.build_cli(), ["audit", "verify", str(folder / "mcpgov.db")])
    assert done.exit_code == 0, done.output
    return done.output


def start(folder: Path) -> subprocess.CompletedProcess[str]:
    """A start that comes to nothing."""
    command = [sys.executable, "-m", "mcpgov", "serve", "--workers", "2", "--config", str(folder / "mcpgov.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


async def held(running: Pack, upstream: CityUpstream, url: str, at_once: int) -> list[asyncio.Task[Reply]]:
    """Calls that both workers have under way, at an upstream that does not answer yet."""

    async def call() -> Reply:
        async with fresh(url) as client:
            return await client.call("get_city")

    upstream.hold = asyncio.Event()
    calls: list[asyncio.Task[Reply]] = []
    while len(running.writers("intent")) < 2:
        assert len(calls) < 50 * at_once, "one worker gets no connection"
        calls += [asyncio.create_task(call()) for _ in range(at_once)]
        async with asyncio.timeout(30):
            while len(upstream.calls) < len(calls):
                await asyncio.sleep(0)
    return calls


async def until_refused(url: str) -> None:
    """Return once nobody listens any more."""
    host, port = url.split("/")[2].split(":")
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                return
            writer.close()


async def test_workers_share_the_ledger_the_sessions_and_every_reload(tmp_path: Path, upstream: CityUpstream) -> None:
    async with listening(upstream) as there, pack(furnished(tmp_path, there)) as running:
        url = await running.url()
        async with fresh(url) as client:
            opened = await client.handshake_request("initialize")
            sealed = opened.headers["mcp-session-id"]
            seen = len(upstream.ledger)
            while len(running.writers("intent")) < 2:
                assert len(upstream.ledger) < 400, "one worker gets no connection"
                replies = await asyncio.gather(
                    *(client.handshake_request("tools/list", mcp_session_id=sealed) for _ in range(8))
                )
                assert {reply.status for reply in replies} == {200}
            assert {request.headers["mcp-session-id"] for request in upstream.ledger[seen:]} == {SESSION}
        policies = tmp_path / "policies"
        policies.mkdir()
        (policies / "rules.yaml").write_text("inbound: []")
        reloaded = [await running.told("reloaded", worker=index) for index in range(2)]
        assert len({line["new"] for lines in reloaded for line in lines}) == 1
        running.process.send_signal(signal.SIGHUP)
        for index in range(2):
            await running.told("reloaded", 2, worker=index)
        assert await running.end() == 0
        assert len(await running.told("stopped", 2)) == 2
    assert "0 of them" not in verified(tmp_path)
    events = [record for _, _, record in running.records("control")]
    for name in ("start", "stop"):
        named = [record for record in events if record["mcpgov.control.event"] == name]
        assert {(record["mcpgov.control.worker"], record["mcpgov.control.workers"]) for record in named} == {
            (0, 2),
            (1, 2),
        }
    assert sum(record["mcpgov.control.event"] == "reload" for record in events) == 4


def furnished(folder: Path, upstream: str) -> Path:
    """The folder, with the files of a gateway."""
    furnish(folder, upstream)
    return folder


async def test_all_workers_let_running_calls_finish_when_told_to_end(tmp_path: Path, upstream: CityUpstream) -> None:
    async with listening(upstream) as there, pack(furnished(tmp_path, there)) as running:
        url = await running.url()
        calls = await held(running, upstream, url, 4)
        running.process.send_signal(signal.SIGTERM)
        await until_refused(url)
        assert upstream.hold is not None
        upstream.hold.set()
        assert {reply.status for reply in await asyncio.gather(*calls)} == {200}
        assert await running.ended() == 0
    assert {record["mcpgov.status"] for _, _, record in running.records("outcome")} == {"ok"}
    verified(tmp_path)


async def test_a_second_ctrl_c_does_not_wait_for_them(tmp_path: Path, upstream: CityUpstream) -> None:
    async with listening(upstream) as there, pack(furnished(tmp_path, there)) as running:
        url = await running.url()
        calls = await held(running, upstream, url, 2)
        groups = {os.getpgid(pid) for pid in await running.pids()}
        assert len(groups - {os.getpgid(running.process.pid)}) == 2  # a terminal's Ctrl-C is for the supervisor alone
        running.process.send_signal(signal.SIGINT)
        await until_refused(url)
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
        await asyncio.gather(*calls, return_exceptions=True)
    outcomes = [record["mcpgov.status"] for _, _, record in running.records("outcome")]
    assert Counter(outcomes) == {"cancelled": len(calls)}


async def test_a_worker_that_is_killed_comes_back_and_only_its_own_calls_end(
    tmp_path: Path, upstream: CityUpstream
) -> None:
    async with listening(upstream) as there, pack(furnished(tmp_path, there)) as running:
        url = await running.url()
        calls = await held(running, upstream, url, 4)
        by_writer = Counter(writer for writer, _, _ in running.records("intent"))
        os.kill((await running.pids())[1], signal.SIGKILL)
        (ended,) = await running.told("worker-ended")
        assert (ended["worker"], ended["status"], ended["restart_in"]) == (1, -signal.SIGKILL, 1.0)
        await running.told("worker-restarted", worker=1)
        unknown = [call for _, call, record in running.records("outcome") if record["mcpgov.status"] == "unknown"]
        (killed,) = {call.rpartition("-")[0] for call in unknown}
        assert len(unknown) == by_writer[killed]
        assert len(running.records("outcome")) == len(unknown)
        assert upstream.hold is not None
        upstream.hold.set()
        replies = await asyncio.gather(*calls, return_exceptions=True)
        gone = [reply for reply in replies if isinstance(reply, aiohttp.ClientError)]
        assert (len(gone), len(replies)) == (by_writer[killed], by_writer.total())
        async with fresh(url) as client:
            assert (await client.call("get_city")).status == 200
        assert await running.end() == 0
    statuses = Counter(record["mcpgov.status"] for _, _, record in running.records("outcome"))
    assert statuses == {"unknown": len(gone), "ok": len(replies) - len(gone) + 1}
    verified(tmp_path)


async def test_workers_end_by_themselves_when_their_supervisor_is_killed(
    tmp_path: Path, upstream: CityUpstream
) -> None:
    async with listening(upstream) as there, pack(furnished(tmp_path, there)) as running:
        url = await running.url()
        calls = await held(running, upstream, url, 2)
        running.process.kill()
        await until_refused(url)
        assert upstream.hold is not None
        upstream.hold.set()
        assert {reply.status for reply in await asyncio.gather(*calls)} == {200}
        await running.ended()
        assert len(await running.told("stopped", 2)) == 2
    verified(tmp_path)


async def test_a_limit_that_redis_counts_is_exact_over_the_workers(
    tmp_path: Path, upstream: CityUpstream, pytestconfig: pytest.Config
) -> None:
    if not has_redis():
        pytestconfig.get_terminal_writer().line(LEFT_OUT)
        return
    with redis_server(tmp_path) as redis:
        folder = tmp_path / "gateway"
        async with listening(upstream) as there:
            settings = SETTINGS.replace("per-worker", redis.url.reveal()) + "global_policies: [rules]\n"
            furnish(folder, there, settings)
            (folder / "policies").mkdir()
            (folder / "policies" / "rules.yaml").write_text(POLICY)
            async with pack(folder) as running:
                async with fresh(await running.url()) as client:
                    replies = await until_two_wrote(running, client)
                    for _ in range(5):  # not at once: a busy machine would leave the counters without an answer in time
                        replies += await asyncio.gather(*(client.call("get_city") for _ in range(LIMIT)))
                assert await running.end() == 0
    assert Counter(reply.status for reply in replies) == {200: LIMIT, 429: len(replies) - LIMIT}


async def test_all_workers_say_more_as_soon_as_the_file_does(tmp_path: Path, upstream: CityUpstream) -> None:
    settings = SETTINGS + "global_policies: [rules]\n"
    async with listening(upstream) as there:
        furnish(tmp_path, there, settings)
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / "rules.yaml").write_text(TRACE)
        async with pack(tmp_path) as running:
            async with fresh(await running.url()) as client:
                await until_two_wrote(running, client)
                assert [line for line in running.lines if line.get("level") == "debug"] == []
                (tmp_path / "mcpgov.yaml").write_text(settings + "log: { level: debug }\n")
                for index in range(2):
                    await running.told("log-level-changed", worker=index, old="info", new="debug")
                while len({line["worker"] for line in running.found("policy-trace", level="debug")}) < 2:
                    assert len(running.lines) < 1000, "one worker gets no connection"
                    await asyncio.gather(*(client.call("get_city") for _ in range(8)))
                (tmp_path / "mcpgov.yaml").write_text(settings + "log: { level: warning }\n")
                for index in range(2):
                    await running.told("log-level-changed", worker=index, old="debug", new="warning")
            assert await running.end() == 0
    assert running.found("stopped") == []  # which is said at info
    changes = [record for _, _, record in running.records("control") if "log-level" in record["mcpgov.control.event"]]
    assert Counter(record["mcpgov.control.new"] for record in changes) == {"debug": 2, "warning": 2}
    assert {record["mcpgov.control.trigger"] for record in changes} == {"files"}
    assert all(record["mcpgov.control.owner"] for record in changes)


def test_what_keeps_workers_from_starting_is_said_once(tmp_path: Path) -> None:
    furnish(tmp_path, "http://127.0.0.1:9", SETTINGS.replace("per-worker", "memory"))
    (tmp_path / "catalog" / "local.yaml").write_text(LOCAL)
    done = start(tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("2 workers would each count limits") == 1
    assert done.stderr.count("a client's session with a local server") == 1
    assert "2 problems; nothing was started." in done.stderr
    (tmp_path / "catalog" / "local.yaml").unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "mcpgov.yaml").write_text(SETTINGS.replace("127.0.0.1:0", address))
        done = start(tmp_path)
        assert (done.returncode, done.stderr.count("cannot listen on")) == (1, 1)
        (tmp_path / "mcpgov.yaml").write_text(f"{SETTINGS}admin: {{ listen: '{address}' }}\n")
        done = start(tmp_path)
        assert (done.returncode, done.stderr.count("cannot listen on")) == (1, 1)
    assert "serving" not in done.stderr
    assert "Traceback" not in done.stderr
