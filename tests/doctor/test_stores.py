"""What is said of a store names it and how much of it is left."""

import pytest

from mcpgov.doctor.facts import Condition, FolderFacts
from mcpgov.doctor.stores import clocks, folders, readable_by_others, schema
from tests.doctor.planted import NOW, healthy


def test_a_disk_that_fills_says_how_much_is_left() -> None:
    (found,) = folders(healthy(store={"folder": FolderFacts("/data", free=300 << 20)}))
    assert "/data has 300 MiB left" in found.problem.message


def test_a_store_that_cannot_be_used_is_not_said_to_be_older_too() -> None:
    assert list(schema(healthy(store={"found": 5, "fault": "locked"}))) == []


def test_a_clock_says_in_which_direction_it_is_off() -> None:
    (found,) = clocks(healthy(store={"condition": Condition(clock=NOW.replace(minute=1))}))
    assert "+60 s from ours" in found.problem.message


@pytest.mark.parametrize(
    ("kind", "mode", "too_many"),
    [
        ("KEY", 0o600, False),
        ("KEY", 0o640, True),
        ("STORE", 0o640, True),
        ("NAMED", 0o640, False),
        ("NAMED", 0o644, True),
        ("CONFIGURATION", 0o644, False),
    ],
)
def test_who_may_read_a_file_depends_on_what_it_holds(kind: str, mode: int, *, too_many: bool) -> None:
    assert readable_by_others(kind, mode) is too_many
