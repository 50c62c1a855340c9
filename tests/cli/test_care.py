"""The verbs that look after a gateway are all there, each with examples."""

import importlib
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

from mcpgov.cli.care import add_care
from mcpgov.openers import Openers
from mcpgov.settings_file import no_vaults


@pytest.mark.parametrize("verb", ["check", "doctor", "store migrate", "backup", "restore"])
def test_every_verb_is_there_and_has_examples(verb: str) -> None:
    app = typer.Typer()
    add_care(app, Openers(importlib.import_module, no_vaults, lambda: datetime.now(UTC)))
    shown = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert (shown.exit_code, "Examples" in shown.stdout) == (0, True)
