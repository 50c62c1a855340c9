"""A reload is told of in the ledger and to the upstreams; a ledger that is down does not undo it."""

from collections.abc import Iterable

import structlog
from structlog.testing import capture_logs

from mcpgov.audit.record import ControlEvent
from mcpgov.errors import Problem, StoreUnavailable
from mcpgov.log_settings import Log
from mcpgov.models import Connection
from mcpgov.reload import ReloadResult
from mcpgov.reporter import Reporter
from mcpgov.settings import Settings
from mcpgov.snapshot import Snapshot
from mcpgov.telemetry import Loudness
from tests.audit.calls import CITY


class Heard:
    """A ledger and upstreams that note what they are told."""

    def __init__(self, *, broken: bool = False) -> None:
        self.events: list[tuple[str, dict[str, str | int]]] = []
        self.kept: list[str] = []
        self.broken = broken

    async def control(self, event: ControlEvent, **details: str | int) -> None:
        if self.broken:
            raise StoreUnavailable("the disk is full")
        self.events.append((event.value, details))

    async def update(self, connections: Iterable[Connection]) -> None:
        self.kept = [connection.name for connection in connections]


def reporter(heard: Heard) -> Reporter:
    made = Reporter()
    made.to(heard, heard, lambda: Snapshot("new", {"city": CITY}, {}))
    return made


async def test_a_new_generation_is_recorded_and_told_to_the_upstreams() -> None:
    heard = Heard()
    await reporter(heard)(ReloadResult("old", "new"))
    assert heard.events == [("reload", {"old": "old", "new": "new"})]
    assert heard.kept == ["city"]


async def test_a_change_of_how_much_is_logged_stands_in_the_ledger_with_who_made_it() -> None:
    heard, settings = Heard(), [Settings(log=Log(level=level)) for level in ("debug", "debug", "info")]
    loudness = Loudness()
    made = Reporter()
    made.follow = loudness.follow
    made.to(heard, heard, lambda: Snapshot("new", {}, {}, settings=settings[0]))
    while settings:
        await made(ReloadResult("old", "new", trigger="files", owner="alice"))
        settings.pop(0)
    changes = [details for event, details in heard.events if event == "log-level-changed"]
    why = {"trigger": "files", "owner": "alice"}
    assert changes == [{"old": "info", "new": "debug", **why}, {"old": "debug", "new": "info", **why}]
    assert len(heard.events) == 5


async def test_a_level_holds_though_the_ledger_cannot_be_told() -> None:
    heard, loudness = Heard(broken=True), Loudness()
    made = Reporter()
    made.follow = loudness.follow
    made.to(heard, heard, lambda: Snapshot("new", {}, {}, settings=Settings(log=Log(level="error"))))
    await made(ReloadResult("old", "new"))
    assert loudness.level == "error"


async def test_a_reload_says_what_asked_for_it_and_whose_the_files_are() -> None:
    heard = Heard()
    problem = Problem("a.yaml", 1, 2, "is wrong")
    await reporter(heard)(ReloadResult("old", "new", trigger="files", owner="alice"))
    await reporter(heard)(ReloadResult("old", "old", (problem,), trigger="signal", owner="alice root"))
    why = [(details["trigger"], details["owner"]) for _, details in heard.events]
    assert why == [("files", "alice"), ("signal", "alice root")]


async def test_reloads_are_counted_by_what_came_of_them() -> None:
    counting = reporter(Heard())
    for problems in ((), (Problem("a.yaml", 1, 2, "is wrong"),), ()):
        await counting(ReloadResult("old", "new", problems))
    assert (counting.reloads, counting.refused) == (2, 1)


async def test_a_refused_reload_is_recorded_with_its_first_problem() -> None:
    heard = Heard()
    problem = Problem("a.yaml", 1, 2, "is wrong")
    await reporter(heard)(ReloadResult("old", "old", (problem,)))
    assert heard.events == [("reload-refused", {"problems": 1, "first": "a.yaml:1:2: is wrong"})]
    assert heard.kept == []


async def test_a_ledger_that_is_down_is_logged_and_does_not_stop_the_generation() -> None:
    heard = Heard(broken=True)
    structlog.configure(cache_logger_on_first_use=False)
    with capture_logs() as logs:
        await reporter(heard)(ReloadResult("old", "new"))
    assert [line["event"] for line in logs] == ["reloaded", "reload-not-recorded"]
    assert heard.kept == ["city"]


async def test_nobody_is_told_before_there_is_somebody() -> None:
    await Reporter()(ReloadResult("old", "new"))
