"""The configuration of a deployment, checked as it would be where it runs: by `mcpgov check`, in a copy."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog
from typer.testing import CliRunner

from mcpgov.app import build_cli

RECORDS_KEY = "q0yJq8mWf0hJ2pYkq3yTz0c3m1XoG4nL5sVb7uDdE9w="


def copy_of(folder: Path, to: Path, replaced: Mapping[str, str]) -> None:
    """The folder again, with these texts replaced in its YAML: mounts and hosts that are not here."""
    shutil.copytree(folder, to)
    for file in to.rglob("*.yaml"):
        text = file.read_text("utf-8")
        for there, here in replaced.items():
            text = text.replace(there, here)
        file.write_text(text, "utf-8")


def secrets_of(folder: Path, mount: str, to: Path) -> None:
    """A fit value for every secret that the YAML of a folder refers to below a mount."""
    to.mkdir()
    for file in folder.rglob("*.yaml"):
        for name in re.findall(rf"\$\{{file:{re.escape(mount)}/([\w.-]+)}}", file.read_text("utf-8")):
            (to / name).write_text(RECORDS_KEY if "key" in name else "5up3r5ecret", "utf-8")


def checked(config: Path, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
    """What `mcpgov check` exits with, and says."""
    done = CliRunner(env=variables).invoke(build_cli(), ["check", "--config", str(config)])
    structlog.reset_defaults()
    return done.exit_code, done.output
