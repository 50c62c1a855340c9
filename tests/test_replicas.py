"""Who may serve beside whom: the same key, limits that are counted together, and one that is refused and not two."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from mcpgov import replicas
from mcpgov.audit.redact import key_id
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.replicas import Serving, counted, join, limits_apart, other_keys, serving, tell_of_elsewhere
from mcpgov.settings import Settings, parse_settings
from mcpgov.yaml_source import parse_yaml

SOURCE = parse_yaml("listen: 127.0.0.1:8080\n", "mcpgov.yaml")
OURS, FORMER = bytes(32), bytes(range(32))
OTHER = Serving("w", "2026-11-22T00:00:00.000000Z", key_id(OURS), "redis://cache:6379")


def settings(counters: str) -> Settings:
    return parse_settings(f"counters: {counters}\n", "mcpgov.yaml")


@dataclass
class Store:
    """A store beside which others write, each look of which is the next of `seen`; the last one stays."""

    settings: Settings
    seen: list[Sequence[Serving] | None]
    digest_keys: Sequence[bytes] = (OURS, FORMER)
    asked: list[str] = field(default_factory=list[str])

    def gateways(self, before: str = "") -> Sequence[Serving]:
        self.asked.append(before)
        now = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if now is None:
            raise StoreUnavailable("down")
        return now


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "PAUSE", 0)


def test_a_start_says_its_key_and_where_it_counts() -> None:
    record = '{"ts":"T","mcpgov.control.digest_key":"0a","mcpgov.control.counters":"memory"}'
    assert serving("w", record) == Serving("w", "T", "0a", "memory")
    assert serving("w", '{"ts":"T"}') == Serving("w", "T", "", "")


def test_what_serves_nobody_is_no_gateway() -> None:
    assert serving("w", '{"ts":"T","mcpgov.control.principal":"mcpgov:probe"}') is None


def test_where_limits_are_counted_is_said_without_who_signs_in_there() -> None:
    assert counted(settings("memory").counters) == "memory"
    assert counted(settings("per-worker").counters) == "per-worker"
    assert counted(settings("redis://me:hunter2@cache:6379/1").counters) == "redis://cache:6379/1"


def test_another_key_is_told_once_with_the_mend_and_a_former_one_is_let_be() -> None:
    strange = Serving("x", "2026-11-22T00:00:00.000000Z", "ffffffff", "")
    (problem,) = other_keys([key_id(OURS)], SOURCE, [OTHER, strange, strange])
    assert "since 2026-11-22T00:00:00.000000Z has another key (ffffffff)" in problem.message
    assert "secrets.former_keys" in problem.mend
    assert list(other_keys([key_id(FORMER), key_id(OURS)], SOURCE, [OTHER])) == []


def test_a_release_that_did_not_say_its_key_is_let_be() -> None:
    assert list(other_keys([key_id(OURS)], SOURCE, [Serving("w", "T", "", "")])) == []


@pytest.mark.parametrize(
    ("counters", "others", "refused"),
    [("memory", 0, False), ("memory", 2, True), ("per-worker", 2, False), ("redis://cache:6379", 2, False)],
)
def test_limits_in_memory_are_refused_beside_others_only(counters: str, others: int, *, refused: bool) -> None:
    found = list(limits_apart(settings(counters).counters, SOURCE, [OTHER] * others))
    assert bool(found) is refused
    assert all("this store has 3 gateways" in problem.message for problem in found)


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ("redis://cache:6379", "redis://cache:6379", False),
        ("redis://cache:6379", "redis://old:6379", True),
        ("redis://cache:6379", "memory", True),
        ("redis://cache:6379", "per-worker", False),
        ("redis://cache:6379", "", False),
        ("per-worker", "redis://old:6379", False),
    ],
)
def test_that_another_counts_elsewhere_is_told(ours: str, theirs: str, *, told: bool) -> None:
    with capture_logs() as logs:
        tell_of_elsewhere(settings(ours).counters, [Serving("w", "T", "", theirs)])
    assert bool(logs) is told


async def test_one_that_was_killed_a_moment_ago_is_waited_for() -> None:
    store = Store(settings("memory"), [[OTHER], [OTHER], []])
    await join(store, SOURCE, "me", serves=True)
    assert store.asked == ["me"] * 3


async def test_one_that_stays_is_told_with_all_that_is_wrong() -> None:
    store = Store(settings("memory"), [[OTHER]], (FORMER,))
    with pytest.raises(InvalidConfiguration) as refused:
        await join(store, SOURCE, "me", serves=True)
    assert len(refused.value.problems) == 2
    assert len(store.asked) == replicas.LOOKS


async def test_what_serves_nobody_asks_nothing() -> None:
    store = Store(settings("memory"), [[OTHER]], (FORMER,))
    await join(store, SOURCE, "me", serves=False)
    assert store.asked == []


async def test_a_store_that_is_down_keeps_nobody_from_beginning_with_another() -> None:
    with capture_logs() as logs:
        await join(Store(settings("memory"), [None]), SOURCE, "me", serves=True)
    assert [line["event"] for line in logs] == ["replicas-unknown"]
