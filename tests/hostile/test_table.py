"""The table in its smallest form: a few classes, so that a gateway that lets something through fails here already."""

from pathlib import Path

from tests.hostile.ground import Ground, ground
from tests.hostile.http_requests import disagreeing
from tests.hostile.json_bodies import ids, without_id
from tests.hostile.score import Score
from tests.hostile.table import PHRASES
from tests.hostile.wire import EVIL, Case, Fate, call, message
from tests.hostile.witness import RawWitness

WITNESSED = {"J7": without_id, "J8": ids, "H5": disagreeing}


async def test_what_is_refused_reaches_no_upstream_and_what_is_executed_is_what_was_judged(tmp_path: Path) -> None:
    async with ground(tmp_path, whole=False) as here:
        for id_, cases in WITNESSED.items():
            score = Score(id_, PHRASES[id_])
            await here.try_all(score, cases(every=False))
            assert score.leaks == []
            assert score.cases == score.refused + score.executed > 0
            assert score.executed == score.seen
        assert here.spilled == []


def test_a_case_for_a_server_that_could_not_be_had_is_left_out(tmp_path: Path) -> None:
    bare = Ground(tmp_path, RawWitness(), RawWitness())
    cases = {case.name.split()[0]: case for case in ids(every=True)}
    assert {name: bare.can_be_tried(case) for name, case in cases.items()} == {
        "raw": True,
        "python": False,
        "typescript": False,
    }


async def test_the_judge_finds_what_gets_through(tmp_path: Path) -> None:
    async with ground(tmp_path, whole=False) as here:
        score = Score("J1", PHRASES["J1"])
        planted = [
            Case("executed, though it must not be", call(message())),
            Case("refused, though it must not be", call(b"{}"), Fate.EXECUTED),
            Case("other bytes than were judged", call(message()), Fate.EXECUTED, body=b"{}"),
            Case("other arguments than were judged", call(message()), Fate.EXECUTED, arguments=b"{}"),
            Case("without what it needs", call(message()), Fate.EITHER, needed=b"never sent"),
            Case("the evil tool", call(message(EVIL), tool=EVIL), Fate.EXECUTED),
        ]
        await here.try_all(score, planted)
        assert len(score.leaks) == len(planted)
        assert score.seen == 1  # the evil tool was executed as judged, and told of all the same


def test_every_class_has_a_name() -> None:
    assert list(PHRASES) == [
        f"{letter}{number}"
        for letter, count in (("J", 9), ("H", 11), ("S", 12), ("P", 6), ("T", 8), ("L", 2))
        for number in range(1, count + 1)
    ]
