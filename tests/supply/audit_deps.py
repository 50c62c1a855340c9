"""Judges what mcpgov is made of: offline by what the project knows, online by what the advisories of today say.

python -m tests.supply.audit_deps [--online | --offline] [--json]

Rules, offline: every lock pins names with hashes and names no place; nothing that is locked is below its floor, the
first version without a known hole (requirements/floors.toml); licences are allowed ones; no package that is installed,
and no wheel of ours, brings a file that Python would run by itself (a .pth, as stolen releases of other projects had
one) or that an installer would (setup.py). Online: pip-audit finds nothing. Where its service cannot be reached that is
said in one line, and is a failure only with --online.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path, PurePosixPath
from typing import Any, Final

from packaging.version import Version

from tests.supply import licences
from tests.supply.locks import LOCKS, ROOT, Pin, faults, lock, pins

RUN_UNASKED: Final = frozenset({"setup.py", "sitecustomize.py", "usercustomize.py"})
OURS: Final = ("mcpgov/", "mcpgov-")
PIP_AUDIT: Final = (
    *(sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "requirements" / "all.txt")),
    *("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "10", "--format", "json"),
)


@dataclass(frozen=True, slots=True)
class Floor:
    """The first version of a package without a known hole."""

    package: str
    at_least: str
    advisory: str
    because: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What pip-audit found. `silent` says why it could not judge everything."""

    findings: tuple[str, ...] = ()
    silent: str = ""


def floors() -> list[Floor]:
    """The table in requirements/floors.toml."""
    table = tomllib.loads((ROOT / "requirements" / "floors.toml").read_text("utf-8"))
    return [Floor(package, **row) for package, row in table.items()]


def below(locked: Iterable[Pin], known: Iterable[Floor]) -> Iterator[str]:
    """The pins that are older than their floor."""
    least = {floor.package: floor for floor in known}
    for pin in locked:
        floor = least.get(pin.name)
        if floor and Version(pin.version) < Version(floor.at_least):
            mended = f"{floor.at_least} mends {floor.advisory} ({floor.because})"
            yield f"{pin.name} {pin.version} has a known hole: {mended}"


def runs_unasked(names: Iterable[str]) -> Iterator[str]:
    """The files that Python or an installer would run without being asked: at the top of what is unpacked."""
    for path in map(PurePosixPath, names):
        if len(path.parts) == 1 and (path.suffix == ".pth" or path.name in RUN_UNASKED):
            yield path.name


def installed(package: str) -> list[str]:
    """The files that an installed package has; none where it is for another system."""
    try:
        return [file.as_posix() for file in files(package) or ()]
    except PackageNotFoundError:
        return []


def built() -> list[str]:
    """The files of the wheel that this checkout makes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        return zipfile.ZipFile(wheel).namelist()


def of_wheel(names: Iterable[str]) -> Iterator[str]:
    """What is wrong with the files of our own wheel."""
    listed = list(names)
    yield from (f"the wheel brings {name}, which would be run unasked" for name in runs_unasked(listed))
    yield from (f"the wheel brings {name}, which is none of ours" for name in listed if not name.startswith(OURS))


def offline() -> Iterator[str]:
    """Everything that is wrong, by what the project itself knows."""
    for name in LOCKS:
        yield from (f"requirements/{name}.txt {fault}" for fault in faults(lock(name)))
    runs = pins(lock("all"))
    yield from below(runs, floors())
    yield from licences.faults(runs, licences.licences())
    for package in sorted({pin.name for pin in runs}):
        unasked = runs_unasked(installed(package))
        yield from (f"{package} brings {name}, which Python would run unasked" for name in unasked)
    yield from of_wheel(built())


def ask_pip_audit() -> Advice:
    """What pip-audit says of the lock of what runs, every extra with it."""
    ran = subprocess.run(PIP_AUDIT, check=False, capture_output=True, text=True)
    return read_advice(ran.stdout, ran.stderr)


def read_advice(said: str, complained: str) -> Advice:
    """The answer of pip-audit, or its last words. A service that knows none of the packages finds no hole in them, and
    pip-audit then ends well: what it skipped was not judged.
    """
    try:
        packages: list[Mapping[str, Any]] = json.loads(said)["dependencies"]
    except (ValueError, KeyError):
        return Advice(silent=(complained.strip().splitlines() or ["it said nothing"])[-1])
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    holes = (
        f"{package['name']} {package['version']} has a known hole: {hole['id']}"
        f" (mended in {', '.join(hole['fix_versions']) or 'no version yet'})"
        for package in packages
        for hole in package.get("vulns", ())
    )
    return Advice(tuple(holes), f"its service knows nothing of {len(skipped)} packages" if skipped else "")


def judge(words: list[str], known: Iterable[str], ask: Callable[[], Advice]) -> tuple[str, int]:
    """What is printed, and the exit code: 0 for nothing wrong, 1 for a finding, 2 where --online could not ask."""
    parser = argparse.ArgumentParser(prog="scripts/audit-deps")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--online", action="store_true", help="fail where pip-audit cannot be reached")
    which.add_argument("--offline", action="store_true", help="do not ask pip-audit")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = parser.parse_args(words)
    advice = Advice(silent="not asked") if wanted.offline else ask()
    findings = [*known, *advice.findings]
    code = 1 if findings else 2 if wanted.online and advice.silent else 0
    if wanted.json:
        told = {"findings": findings, "advisories": "asked" if not advice.silent else advice.silent}
        return json.dumps(told, indent=2), code
    asked = f"pip-audit was left out: {advice.silent}" if advice.silent else "pip-audit was asked"
    return "\n".join([*findings, f"audit-deps: {len(findings)} findings; {asked}"]), code


def main() -> int:
    """Judge and print; gives back the exit code."""
    said, code = judge(sys.argv[1:], offline(), ask_pip_audit)
    sys.stdout.write(said + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
