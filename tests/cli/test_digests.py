"""A value's digest is printed under every key, and a key is never printed at all."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.redact import Digester, key_id
from mcpgov.cli.digests import add_digests
from mcpgov.errors import StoreUnavailable

KEYS = (b"n" * 32, b"f" * 32)


def run(*arguments: str, keys: tuple[bytes, ...] = KEYS, stdin: str = "", broken: bool = False) -> Result:
    def find(_: Path | None) -> tuple[bytes, ...]:
        if broken:
            raise StoreUnavailable("the key cannot be read")
        return keys

    async def rotate(_: Path | None) -> tuple[str, str]:
        return key_id(find(None)[0]), "0badcafe"

    audit = typer.Typer()
    add_digests(audit, find, rotate)
    return CliRunner(env={"COLUMNS": "200"}).invoke(audit, arguments, input=stdin)


def test_the_digest_under_the_present_key_comes_first() -> None:
    done = run("hmac", "alice")
    assert done.stdout.splitlines() == [Digester(key).scalar("alice") for key in KEYS]
    assert "taken as text; --type" in done.stderr


@pytest.mark.parametrize(
    ("typed", "taken", "read"),
    [
        ("42", "number", 42),
        ("-1.50", "number", -1.5),
        ("true", "boolean", True),
        ("null", "null", None),
        ("hunter2", "text", "hunter2"),
        ('"quoted"', "text", '"quoted"'),
        ("[1]", "text", "[1]"),
        ("NULL", "text", "NULL"),
        ("9" * 5000, "text", "9" * 5000),
    ],
)
def test_what_a_value_is_is_guessed_from_json_and_said(typed: str, taken: str, read: str | float | None) -> None:
    done = run("hmac", "--json", "--", typed)
    first, former = map(json.loads, done.stdout.splitlines())
    digester = Digester(KEYS[0])
    assert first == {"digest": digester.scalar(read), "type": taken, "key": digester.key_id, "present": True}
    assert former["present"] is False
    assert f"taken as {taken}" in done.stderr


def test_arguments_are_digested_byte_by_byte() -> None:
    typed = '{"a": 1}'
    for arguments in (("hmac", typed), ("hmac", typed, "--type", "arguments")):
        assert run(*arguments).stdout.splitlines()[0] == Digester(KEYS[0]).fingerprint(typed.encode()).digest
    assert run("hmac", typed, "--type", "text").stdout.splitlines()[0] == Digester(KEYS[0]).scalar(typed)


def test_a_value_may_come_from_stdin() -> None:
    expected = Digester(KEYS[0]).scalar("hunter2")
    assert [
        run("hmac", "-", stdin=text).stdout.splitlines()[0] for text in ("hunter2", "hunter2\n", "hunter2\r\n")
    ] == [*(expected,) * 3]


def test_what_is_no_such_thing_is_refused() -> None:
    for typed, kind in (("x", "number"), ("1", "boolean"), ("true", "number"), ("", "null")):
        done = run("hmac", typed, "--type", kind)
        assert done.exit_code == 2
        assert f"this is no {kind} in JSON" in done.stderr


def test_without_a_key_there_is_nothing_to_search_with() -> None:
    done = run("hmac", "x", keys=())
    assert (done.exit_code, done.stdout) == (1, "")
    assert "There is no key yet" in done.stderr


def test_a_new_key_is_told_by_its_id() -> None:
    done = run("rotate-key")
    assert done.exit_code == 0
    assert f"key {key_id(KEYS[0])}, and will be with 0badcafe from the next start" in done.stdout


@pytest.mark.parametrize("verb", [("hmac", "x"), ("rotate-key",)])
def test_what_goes_wrong_is_told(verb: tuple[str, ...]) -> None:
    done = run(*verb, broken=True)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the key cannot be read" in done.stderr
