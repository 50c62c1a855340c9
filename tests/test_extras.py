"""Each extra is declared, brings what it says, and is known by the module that is missed."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from mcpgov.extras import AZURE, EXTRAS, POSTGRES, Extra, bringing

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
DECLARED = PROJECT["optional-dependencies"]


def test_every_extra_that_is_declared_is_known_and_brings_its_package() -> None:
    assert {extra.name for extra in EXTRAS} | {"all"} == DECLARED.keys()
    for extra in EXTRAS:
        assert extra.package in {re.split(r"[<>=]", item)[0] for item in DECLARED[extra.name]}


def test_all_is_every_extra() -> None:
    assert DECLARED["all"] == [f"mcpgov[{','.join(sorted(extra.name for extra in EXTRAS))}]"]


def test_no_extra_is_needed_by_a_plain_installation() -> None:
    plain = {re.split(r"[<>=;]", item)[0] for item in PROJECT["dependencies"]}
    assert plain & {extra.package for extra in EXTRAS} == set()


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_an_extra_that_is_installed_is_found_by_its_module(extra: Extra) -> None:
    assert extra.installed
    assert extra.package in packages_distributions()[extra.module.partition(".")[0]]
    assert bringing(extra.module) == extra


def test_what_is_not_there_is_not_installed_and_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert not POSTGRES.installed
    assert not Extra("none", "no_such_package.module", "none", "nothing").installed


def test_a_module_that_is_missed_names_its_extra_and_others_name_none() -> None:
    assert bringing("azure") == AZURE  # where nothing of Azure is installed, its namespace is what is missed
    assert bringing("azure.identity") == bringing("azure.identity.aio") == AZURE
    assert [bringing(name) for name in ("azure.core", "az", "", None, "psycopg2")] == [None] * 5
    assert (POSTGRES.message, POSTGRES.mend) == (
        "PostgreSQL needs psycopg, which is not installed",
        "pip install 'mcpgov[postgres]'",
    )
