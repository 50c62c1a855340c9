"""Which worker this is, what its supervisor gave it, and what workers cannot share."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mcpgov.catalog.entries import parse_entry
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.reload import Generations, ReloadResult, load_generation
from mcpgov.settings import parse_settings
from mcpgov.worker import ALONE, SERVES, Worker, inherited, parse_worker, supervised, unshared
from mcpgov.yaml_source import parse_yaml

REMOTE = "name: com.contoso/x\nupstream: https://x.contoso.com\nconnections: { x: {} }"
LOCAL = "name: com.contoso/y\ncommand: [mcp-server-time]\nconnections: { y: {} }"


def test_a_worker_is_told_which_it_is_in_one_word() -> None:
    worker = Worker(2, 4, 7, 9)
    assert parse_worker(worker.argument) == worker
    assert parse_worker("") is ALONE
    with pytest.raises(ValueError, match="unpack"):
        parse_worker("1:2")


def test_the_first_does_what_runs_once_and_one_that_is_alone_is_the_first() -> None:
    assert [Worker(index, 3).first for index in range(3)] == [True, False, False]
    assert (ALONE.first, ALONE.supervised, dict(ALONE.place)) == (True, False, {})
    assert dict(Worker(1, 3).place) == {"worker": 1, "workers": 3}


def refused(workers: int, settings: str, *entries: str) -> list[str]:
    parsed = [parse_entry(text, f"{number}.yaml", EnvironmentAndFiles({})) for number, text in enumerate(entries)]
    return [
        str(problem) for problem in unshared(workers, parse_settings(settings, "s"), parse_yaml(settings, "s"), parsed)
    ]


def test_one_worker_shares_nothing() -> None:
    assert refused(1, "counters: memory", LOCAL) == []


@pytest.mark.parametrize("settings", ["counters: redis://cache:6379", "counters: per-worker"])
def test_counters_that_are_shared_or_chosen_to_be_of_each_worker_are_taken(settings: str) -> None:
    assert refused(4, settings, REMOTE) == []


def test_limits_in_a_memory_of_each_worker_are_refused_with_the_mend() -> None:
    (found,) = refused(4, "listen: 127.0.0.1:1\ncounters: memory", REMOTE)
    assert found.startswith("s:2:11: 4 workers would each count limits for themselves")
    assert "counters: redis://HOST:6379" in found
    assert "counters: per-worker" in found
    assert len(refused(2, "{}")) == 1


def test_local_servers_are_refused_where_they_are_named() -> None:
    (found,) = refused(2, "counters: per-worker", REMOTE, LOCAL)
    assert found.startswith("1.yaml:2:10: a client's session with a local server is one process")
    assert "--workers 1" in found


def test_what_cannot_be_shared_is_refused_at_the_start_and_at_a_reload(tmp_path: Path) -> None:
    place, catalog = tmp_path / "mcpgov.yaml", tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "x.yaml").write_text(REMOTE)
    place.write_text("counters: memory")
    with pytest.raises(InvalidConfiguration, match="2 workers would each count limits"):
        load_generation(place, {}, workers=2)
    place.write_text("counters: per-worker")
    held = Generations(place, silent, {}, workers=2)
    (catalog / "y.yaml").write_text(LOCAL.replace("mcp-server-time", "/bin/true"))
    (problem,) = held.try_reload().problems
    assert str(problem).startswith(f"{catalog / 'y.yaml'}:2:10: a client's session with a local server")
    assert list(held.current().connections) == ["x"]
    assert Generations(place, silent, {}).current().connections.keys() == {"x", "y"}


async def silent(_: ReloadResult) -> None:
    """A report that nobody reads."""


def test_what_is_inherited_is_not_handed_on() -> None:
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    with ours, inherited(theirs.detach()) as kept:
        assert not kept.get_inheritable()


async def test_a_worker_says_that_it_serves_and_ends_when_its_supervisor_is_gone() -> None:
    ours, theirs = socket.socketpair()
    told = asyncio.Queue[int]()
    with supervised(Worker(0, 2, -1, theirs.detach()), lambda number, _: told.put_nowait(number)):
        assert ours.recv(1) == SERVES
        assert told.empty()
        ours.close()
        assert await told.get() == signal.SIGTERM


async def test_a_supervisor_that_is_gone_already_ends_it_too() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    told = asyncio.Queue[int]()
    with supervised(Worker(0, 2, -1, theirs.detach()), lambda number, _: told.put_nowait(number)):
        assert await told.get() == signal.SIGTERM


async def test_nobody_is_told_where_there_is_no_supervisor() -> None:
    told = asyncio.Queue[int]()
    with supervised(ALONE, lambda number, _: told.put_nowait(number)):
        await asyncio.sleep(0)
    assert told.empty()


def test_what_is_there_when_serving_begins_is_looked_at_no_more() -> None:
    code = (
        "import gc; from mcpgov.worker import settle; settle(); print(gc.get_freeze_count() > 1000, gc.get_threshold())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True (10000, 20, 50)\n"
