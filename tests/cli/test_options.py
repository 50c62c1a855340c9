"""A verb with many options gets them as one value."""

from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.options import with_options


@dataclass(frozen=True)
class Asked:
    name: Annotated[str, typer.Option(help="Its name.")]
    size: Annotated[int, typer.Option(help="Its size.")] = 3
    word: Annotated[list[str], typer.Option(help="Words.")] = field(default_factory=list[str])
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False


def ask(asked: Asked) -> None:
    """Say what was asked."""
    typer.echo(repr(asked))


def typed(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(with_options(Asked, ask))
    return CliRunner().invoke(app, arguments)


def test_every_option_reaches_its_field() -> None:
    result = typed("--name", "a", "--size", "5", "--word", "x", "--word", "y", "--json")
    assert result.stdout.strip() == repr(Asked("a", 5, ["x", "y"], True))


def test_what_is_not_given_has_its_default() -> None:
    assert typed("--name", "a").stdout.strip() == repr(Asked("a", 3, [], False))


def test_an_option_without_a_default_is_required() -> None:
    result = typed()
    assert result.exit_code == 2
    assert "--name" in result.stderr


def test_help_says_what_the_verb_and_its_options_are_for() -> None:
    shown = typed("--help").stdout
    assert "Say what was asked." in shown
    assert "Its size." in shown
