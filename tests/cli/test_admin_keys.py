"""An admin key is made once, shown once, and written down before it holds."""

import json
import shlex
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from typer.testing import CliRunner

from mcpgov.admin.access import AdminKey, Role
from mcpgov.cli.admin_keys import add_admin
from mcpgov.identity.api_key import digest


class Kept:
    """Where keys are kept."""

    def __init__(self) -> None:
        self.keys: list[AdminKey] = []

    async def create(self, key: AdminKey, /) -> None:
        self.keys.append(key)

    async def list(self) -> Sequence[AdminKey]:
        return self.keys


def run(kept: Kept, *arguments: str) -> tuple[int, str, str]:
    @asynccontextmanager
    async def open_keys(_: Path | None) -> AsyncGenerator[Kept]:
        yield kept

    keys = typer.Typer()
    add_admin(keys, open_keys, lambda _: None)
    done = CliRunner(env={"COLUMNS": "120"}).invoke(keys, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def test_a_key_is_shown_once_and_kept_as_its_hash() -> None:
    kept = Kept()
    code, shown, told = run(kept, "admin", "alice", "--role", "viewer")
    [key] = kept.keys
    assert code == 0
    assert (key.name, key.role, key.expires_at) == ("alice", Role.VIEWER, None)
    assert shown.strip().startswith("mcpgov_admin_")
    assert digest(shown.strip()) == key.digest
    assert "the only time" in told


def test_a_key_may_end_and_be_told_as_json() -> None:
    kept = Kept()
    code, shown, _ = run(kept, "admin", "bob", "--role", "admin", "--expires", "90d", "--json")
    told, [key] = json.loads(shown), kept.keys
    assert code == 0
    assert (told["id"], told["role"], digest(told["key"])) == (key.id, "admin", key.digest)
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - datetime.now(UTC) <= timedelta(days=90)


def test_what_cannot_be_made_is_told_and_nothing_is_kept() -> None:
    kept = Kept()
    for arguments in (("alice",), ("alice", "--role", "king"), ("", "--role", "admin")):
        assert run(kept, "admin", *arguments)[0] == 2
    assert kept.keys == []


def test_admin_keys_are_listed_without_what_opens_anything() -> None:
    kept = Kept()
    _, alice, _ = run(kept, "admin", "alice", "--role", "viewer")
    kept.keys.append(AdminKey("revoked1", "d", "bob\x1b[2J", Role.ADMIN, datetime.now(UTC), None, datetime.now(UTC)))
    code, shown, _ = run(kept, "admins")
    assert code == 0
    rows = shown.splitlines()[1:]
    for row, key, words in zip(
        rows, kept.keys, (("alice", "viewer", "in force"), ("bob\\x1b", "revoked")), strict=True
    ):
        assert row.startswith(key.id)
        assert all(word in row for word in words)
    listed = json.loads(run(kept, "admins", "--json")[1])
    assert [(one["id"], one["state"]) for one in listed] == [(kept.keys[0].id, "in force"), ("revoked1", "revoked")]
    assert alice.strip() not in shown + str(listed)


def test_a_key_may_be_minted_here_and_kept_by_its_digest_elsewhere() -> None:
    here, there = Kept(), Kept()
    code, shown, told = run(here, "admin", "the first", "--role", "admin", "--expires", "90d", "--mint")
    assert (code, here.keys) == (0, [])
    line = shlex.split(told.partition("run: ")[2])
    assert shown.strip() not in told
    assert line[:3] == ["mcpgov", "keys", "admin"]
    code, shown_there, told = run(there, *line[2:])
    [key] = there.keys
    assert (code, shown_there) == (0, "")
    assert "is kept" in told
    assert (key.name, key.role, key.digest) == ("the first", Role.ADMIN, digest(shown.strip()))
    assert key.expires_at is not None


def test_a_digest_that_is_kept_already_changes_nothing_and_revives_nothing() -> None:
    kept = Kept()
    proof = json.loads(run(kept, "admin", "me", "--role", "admin", "--mint", "--json")[1])["digest"]
    again = ("admin", "me", "--role", "admin", "--digest", proof)
    assert run(kept, *again)[0] == 0
    [key] = kept.keys
    code, _, told = run(kept, *again)
    assert (code, kept.keys, "there already: in force" in told) == (0, [key], True)
    kept.keys = [replace(key, revoked_at=datetime.now(UTC))]
    code, _, told = run(kept, *again)
    assert (code, len(kept.keys), "there already: revoked" in told) == (0, 1, True)
    kept.keys = [replace(key, digest="0" * 64)]
    code, _, told = run(kept, *again)
    assert (code, len(kept.keys), "another key" in told) == (1, 1, True)


def test_a_key_in_place_of_its_digest_is_refused_and_not_repeated() -> None:
    kept = Kept()
    key = run(kept, "admin", "me", "--role", "admin", "--mint")[1].strip()
    for given in (key, f"{key[13:21]}:{key}", "abcdefgh:" + "0" * 63, ":", "abcdefgh:" + "G" * 64):
        code, shown, told = run(kept, "admin", "me", "--role", "admin", "--digest", given)
        assert (code, kept.keys) == (2, [])
        assert key not in shown + told
    assert run(kept, "admin", "me", "--role", "admin", "--mint", "--digest", "abcdefgh:" + "0" * 64)[0] == 2
