"""`mcpgov audit hmac | rotate-key`: find a value by its digest, and give digests another key.

A value that is looked for is often a secret: with `-` it is read from stdin, and stays out of the shell's history and
the list of processes. Neither verb prints a key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mcpgov.audit.redact import Digester
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    FindKeys = Callable[[Path | None], tuple[bytes, ...]]
    Rotate = Callable[[Path | None], Awaitable[tuple[str, str]]]

STDIN = "-"


class ValueType(StrEnum):
    """What a value is, for its digest."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    ARGUMENTS = "arguments"


def add_digests(audit: typer.Typer, find_keys: FindKeys, rotate: Rotate) -> None:
    """Add the verbs. `find_keys` gives the keys, the present one first, `rotate` the former's id and the new one's."""
    add_hmac(audit, find_keys)
    add_rotate(audit, rotate)


def add_hmac(audit: typer.Typer, find_keys: FindKeys) -> None:
    """Add the verb `hmac`."""

    @audit.command(
        "hmac",
        epilog="Examples:  mcpgov audit hmac alice@contoso.com  ·  mcpgov audit hmac - < value.txt"
        "  ·  mcpgov audit hmac 42 --type text  ·  mcpgov audit query text=$(mcpgov audit hmac alice | head -1)",
    )
    def digest(
        value: Annotated[str, typer.Argument(metavar="VALUE", help="The value; `-` reads it from stdin.")],
        kind: Annotated[
            ValueType | None,
            typer.Option("--type", help="What it is; else what it would be in JSON, and text if nothing."),
        ] = None,
        config: Config = None,
        *,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead.")] = False,
    ) -> None:
        """Print the digest of a value under each key, the present one first, to search the ledger with."""
        given = typed_in() if value == STDIN else value
        taken = kind or guessed(given)
        with told():
            keys = find_keys(config)
        if not keys:
            typer.echo("There is no key yet; it is made when the gateway starts (mcpgov serve).", err=True)
            raise typer.Exit(1)
        typer.echo(f"taken as {taken}" + ("" if kind else "; --type says otherwise"), err=True)
        for at, key in enumerate(keys):
            digester = Digester(key)
            made = digest_of(given, taken, digester)
            shown = {"digest": made, "type": taken, "key": digester.key_id, "present": at == 0}
            typer.echo(json.dumps(shown) if as_json else made)


def add_rotate(audit: typer.Typer, rotate: Rotate) -> None:
    """Add the verb `rotate-key`."""

    @audit.command("rotate-key", epilog="Examples:  mcpgov audit rotate-key")
    def rotate_key(config: Config = None) -> None:
        """Make a new key for digests, in a file beside the store. `hmac` goes on to find what the former ones made."""
        with told():
            former, new = asyncio.run(rotated(rotate, config))
        typer.echo(f"Digests were made with key {former}, and will be with {new} from the next start of the gateway.")


async def rotated(rotate: Rotate, config: Path | None) -> tuple[str, str]:
    """What `rotate` gives back, as a coroutine."""
    return await rotate(config)


def typed_in() -> str:
    """What stands on stdin, without the end of its last line."""
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def guessed(value: str) -> ValueType:
    """What a value would be in JSON: an object is arguments, and what is no JSON is text."""
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return ValueType.TEXT
    if isinstance(read, dict):
        return ValueType.ARGUMENTS
    if read is None or isinstance(read, bool):
        return ValueType.NULL if read is None else ValueType.BOOLEAN
    return ValueType.NUMBER if isinstance(read, int | float) else ValueType.TEXT


def digest_of(value: str, kind: ValueType, digester: Digester) -> str:
    """The digest of a value as one of a kind. Raises typer.BadParameter for one that is no such thing."""
    if kind is ValueType.TEXT:
        return digester.scalar(value)
    if kind is ValueType.ARGUMENTS:  # the very bytes: what is spaced otherwise has another digest
        return digester.fingerprint(value.encode("utf-8", "surrogatepass")).digest
    if guessed(value) is not kind:
        raise typer.BadParameter(f"this is no {kind} in JSON")
    return digester.scalar(json.loads(value))


@contextlib.contextmanager
def told() -> Generator[None]:
    """What goes wrong is told on stderr and ends the verb with 1."""
    try:
        yield
    except (InvalidConfiguration, StoreUnavailable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
