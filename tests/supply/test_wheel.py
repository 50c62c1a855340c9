"""What is published works where nothing else of this repository is: it starts, and is typed for whoever imports it."""

import base64
import os
import secrets
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mcpgov import __version__
from tests.supply.installed import build, install
from tests.supply.locks import ROOT

SHARED = {"policies": "mcpgov/policies", "schemas": "mcpgov/schemas"}  # folders that travel inside the package
ABOUT = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}  # not with this checkout
CONSUMER = """\
from mcpgov import __version__
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.settings import Settings, parse_settings


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        settings: Settings = parse_settings(text, "mcpgov.yaml")
    except InvalidConfiguration as invalid:
        return invalid.problems
    print(__version__, settings.listen.port, Reason.RATE_LIMITED.value)
    return ()
"""
MISTAKEN = """
port: str = parse_settings("", "mcpgov.yaml").listen.port
Reason.NO_SUCH_REASON
problems_of(b"")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution and the wheel."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def programs(made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs where the wheel is installed."""
    return install(made[1], tmp_path_factory.mktemp("user") / "environment")


def run(programs: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The console script, in `folder`, with nothing of this checkout in its way."""
    environment = {**ALONE, "PATH": f"{programs}:/usr/bin:/bin", "COLUMNS": "200", "HOME": str(folder)}
    command = [str(programs / "mcpgov"), *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def tree(folder: Path) -> set[str]:
    """The files below a folder, relative to it; what Python caches is none."""
    found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {str(file.relative_to(folder)) for file in found}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(made: tuple[Path, Path]) -> None:
    packaged = {f"mcpgov/{file}" for file in tree(ROOT / "mcpgov")}
    packaged |= {f"{place}/{file}" for name, place in SHARED.items() for file in tree(ROOT / name)}
    about = {f"mcpgov-{__version__}.dist-info/{name}" for name in ABOUT}
    with zipfile.ZipFile(made[1]) as wheel:
        assert set(wheel.namelist()) == packaged | about
        kinds = {Path(name).suffix for name in wheel.namelist()}
    assert kinds >= {".py", ".typed", ".html", ".css", ".yaml", ".xml", ".json"}


def test_the_source_holds_what_the_wheel_is_made_of(made: tuple[Path, Path]) -> None:
    with tarfile.open(made[0]) as source:
        names = {member.name.partition("/")[2] for member in source.getmembers() if member.isfile()}
    assert {f"{name}/{file}" for name in ("mcpgov", *SHARED) for file in tree(ROOT / name)} <= names
    assert {name for name in names if name.startswith(("tests/", "docs/", "deploy/", "."))} <= {".gitignore"}


def test_two_builds_of_one_tree_are_alike_to_the_byte(made: tuple[Path, Path], tmp_path: Path) -> None:
    again = build(ROOT, tmp_path)
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in made]


def test_it_runs_from_where_it_was_installed_and_says_what_it_can_do(programs: Path, tmp_path: Path) -> None:
    assert run(programs, tmp_path, "--version").stdout == f"mcpgov {__version__}\n"
    told = run(programs, tmp_path, "--help")
    assert told.returncode == 0
    assert {"demo", "serve", "doctor", "backup", "store"} <= set(told.stdout.split())
    where = [programs / "python", "-c", "import mcpgov; print(mcpgov.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(programs.parent))


def test_the_demo_tells_its_story_and_leaves_nothing(programs: Path, tmp_path: Path) -> None:
    told = run(programs, tmp_path, "demo", "--once")
    assert told.returncode == 0, told.stderr
    assert "Kyoto has 1,464,000 inhabitants." in told.stdout
    assert "The audit log" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_begun_checked_and_given_a_key_and_a_store(programs: Path, tmp_path: Path) -> None:
    for words in (("init",), ("check",), ("keys", "create", "agent"), ("store", "migrate"), ("audit", "verify")):
        done = run(programs, tmp_path, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert {"mcpgov.yaml", "mcpgov.db", "schemas/policy.schema.json"} <= tree(tmp_path)


def test_what_an_extra_brings_is_asked_for_by_name(programs: Path, tmp_path: Path) -> None:
    store = "postgresql://mcpgov:secret@127.0.0.1:9/mcpgov"
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(f"audit: {{ store: '{store}' }}\nsecrets: {{ key: '{key}' }}\n")
    done = run(programs, tmp_path, "serve")
    assert done.returncode == 1
    assert "pip install 'mcpgov[postgres]'" in done.stdout + done.stderr


def checked(programs: Path, folder: Path, text: str) -> list[str]:
    """What pyright, as strict as it can be, says of a program that imports what is installed."""
    (folder / "consumer.py").write_text(text)
    (folder / "pyrightconfig.json").write_text('{ "typeCheckingMode": "strict" }')
    command = [sys.executable, "-m", "pyright", "--pythonpath", str(programs / "python"), "-p", str(folder)]
    done = subprocess.run(command, cwd=folder, env=ALONE, capture_output=True, text=True, check=False, timeout=300)
    return [line.strip() for line in done.stdout.splitlines() if "consumer.py:" in line or " errors, " in line]


def test_a_program_that_imports_it_is_typed_by_the_wheel(programs: Path, tmp_path: Path) -> None:
    assert checked(programs, tmp_path, CONSUMER) == ["0 errors, 0 warnings, 0 informations"]
    mistakes = checked(programs, tmp_path, CONSUMER + MISTAKEN)
    first = CONSUMER.count("\n") + 2
    assert {int(line.split(":")[1]) for line in mistakes if " error: " in line} == {first, first + 1, first + 2}
