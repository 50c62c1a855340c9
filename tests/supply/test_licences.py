"""Licences: the table is that of the lock, allowed, and what packages say of themselves."""

from email.message import EmailMessage
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from tests.supply.licences import Licences, declared, faults, licences, named
from tests.supply.locks import Pin, lock, pins

TABLE = Licences(frozenset({"MIT", "Apache-2.0"}), {"aiohttp": "Apache-2.0 AND MIT"})
AIOHTTP = Pin("aiohttp", "3.14.5", "", ("00",))


def test_every_locked_package_is_under_allowed_licences_as_it_says_itself() -> None:
    assert list(faults(pins(lock("all")), licences())) == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", {"MIT"}),
        ("Apache-2.0 AND MIT", {"Apache-2.0", "MIT"}),
        ("(MIT OR Apache-2.0) AND ISC", {"MIT", "Apache-2.0", "ISC"}),
        ("", set[str]()),
    ],
)
def test_the_licences_of_an_expression_are_told_apart(expression: str, expected: set[str]) -> None:
    assert named(expression) == expected


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("License-Expression", "Apache-2.0 OR MIT", {"Apache-2.0", "MIT"}),
        ("Classifier", "License :: OSI Approved :: MIT License", {"MIT"}),
        ("License", "Apache 2.0", {"Apache-2.0"}),
        ("License", "GPL-3.0-only", {"GPL-3.0-only"}),
        ("Summary", "MIT", set[str]()),
    ],
)
def test_what_a_package_says_is_read_in_every_way_that_packages_say_it(
    tmp_path: Path, field: str, value: str, expected: set[str]
) -> None:
    message = EmailMessage()
    message["Name"], message[field] = "x", value
    folder = tmp_path / "x-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(str(message), "utf-8")
    assert declared(PathDistribution(folder)) == expected


@pytest.mark.parametrize(
    ("locked", "table", "fault"),
    [
        ([], TABLE, "aiohttp is in the table of licences, and not locked"),
        ([AIOHTTP], Licences(TABLE.allowed, {}), "aiohttp is not in the table of licences"),
        ([AIOHTTP], Licences(frozenset({"MIT"}), TABLE.packages), "aiohttp is under Apache-2.0, which is not allowed"),
        ([AIOHTTP], Licences(TABLE.allowed, {"aiohttp": "MIT"}), "aiohttp says that it is under Apache-2.0 and MIT"),
    ],
)
def test_what_does_not_fit_is_a_fault(locked: list[Pin], table: Licences, fault: str) -> None:
    (found,) = faults(locked, table)
    assert found.startswith(fault)
