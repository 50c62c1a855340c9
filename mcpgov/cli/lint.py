"""`mcpgov policy lint`: says of each policy file whether it loads, and what it needs if not.

Files are looked at as they are, without settings: what they draw in from elsewhere is taken as given. Nothing that a
file or a folder may hold ends the verb: what cannot be read is said like everything else.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpgov.cli.printable import printable
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.policy_files import lint_alone
from mcpgov.reload import TESTS
from mcpgov.settings_file import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.policy_files import Linted

ENDINGS: Final = (".yaml", ".yml", ".xml")
_WIDTH: Final = 9


def add_lint(policy: typer.Typer) -> None:
    """Add the verb `lint`."""

    @policy.command(
        epilog="Examples:  mcpgov policy lint  ·  mcpgov policy lint ./apim-policies"
        "  ·  mcpgov policy lint a.xml --json"
    )
    def lint(
        paths: Annotated[
            list[Path] | None, typer.Argument(help="Files, or folders with .xml and .yaml. Default: ./policies.")
        ] = None,
        *,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    ) -> None:
        """Say of each file whether it loads, what it needs if not, and what API Management would do otherwise.

        Folders are searched to the bottom. Named values and fragments that are not there are taken as given. Exits 1
        when a file does not load.
        """
        texts, unread = policy_texts(paths or [Path("policies")])
        linted = lint_alone(texts)
        if as_json:
            said = [described(file) for file in linted] + [of_unread(problem) for problem in unread]
            typer.echo(json.dumps(sorted(said, key=lambda file: str(file["file"])), indent=2))
        elif not linted and not unread:
            typer.echo("There is no .xml or .yaml file here. Name a file or a folder.", err=True)
        else:
            show_linted(linted, unread)
        if unread or not linted or any(map(needs, linted)):
            raise typer.Exit(1)


def policy_texts(paths: Sequence[Path]) -> tuple[dict[Path, str], list[Problem]]:
    """The text of every policy file below `paths`, and what cannot be read."""
    unread: list[Problem] = []
    texts: dict[Path, str] = {}
    for path in sorted({place for one in paths for place in below(one, unread)}):
        try:
            texts[path] = read_text(path)
        except InvalidConfiguration as invalid:
            unread += invalid.problems
    return texts, unread


def below(path: Path, unread: list[Problem]) -> Iterator[Path]:
    """The policy files in a folder and those below it, in no order; a file itself, whatever its name.

    Links to folders are not followed: they may lead in a circle. What cannot be looked into is added to `unread`.
    """
    folders = [os.fspath(path)]
    if not is_folder(path):
        yield path
        return
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.name.endswith(ENDINGS) and not entry.name.endswith(TESTS):
                        yield Path(entry.path)
        except OSError as error:
            unread.append(Problem(folder, 0, 0, f"cannot be read: {error.strerror}"))


def is_folder(path: Path) -> bool:
    """Whether there is a folder; not where that cannot be said."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # it may not be asked, or is no path at all
        return False


def described(file: Linted) -> dict[str, Any]:
    """One file, for machines."""
    return {
        "file": file.file,
        "loads": not needs(file),
        "fragment": file.is_fragment,
        "problems": [asdict(problem) for problem in needs(file)],
        "remarks": [asdict(problem) for problem in file.remarks],
        "given": list(file.given),
    }


def of_unread(problem: Problem) -> dict[str, Any]:
    """A file that cannot be read, for machines."""
    said = {"problems": [asdict(problem)], "remarks": list[Any](), "given": list[str]()}
    return {"file": problem.file, "loads": False, "fragment": False, **said}


def needs(file: Linted) -> tuple[Problem, ...]:
    """What keeps a file from being loaded; its name is part of it."""
    return (*((file.misnamed,) if file.misnamed else ()), *file.problems)


def show_linted(linted: Sequence[Linted], unread: Sequence[Problem]) -> None:
    """One block for each file, and how many load."""
    for file in linted:
        loads = "is a fragment" if file.is_fragment else "loads"
        typer.echo(f"{printable(file.file)}: {'does not load' if needs(file) else loads}")
        for problem in needs(file):
            show_line("needs", problem, file)
        if file.given:
            typer.echo(f"    {'given':<{_WIDTH}}{printable(', '.join(file.given))}")
        for problem in file.remarks:
            show_line("differs", problem, file)
    for problem in unread:
        typer.echo(printable(str(problem)))
    good = sum(not needs(file) for file in linted)
    typer.echo(f"\nFiles that load: {good} of {len(linted) + len(unread)}.")


def show_line(word: str, problem: Problem, file: Linted) -> None:
    """One thing about a file; where it stands, without the name that the block begins with."""
    place = f"{problem.line}:{problem.column}: " if problem.line else ""
    if problem.file != file.file:  # it stands in a fragment
        place = f"{problem.file}:{place}" if place else f"{problem.file}: "
    mend = f" ({problem.mend})" if problem.mend else ""
    typer.echo(f"    {word:<{_WIDTH}}{printable(f'{place}{problem.message}{mend}')}")
