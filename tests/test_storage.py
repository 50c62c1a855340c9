"""The store that the settings name: what is kept in it, the keys beside it, and checkpoints that leave."""

import asyncio
import importlib
import secrets
from pathlib import Path

import pytest

from mcpgov import app
from mcpgov.audit.checkpoints import FolderTarget, HttpTarget
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage, sending_checkpoints, target_of
from mcpgov.worker import Worker

KEY = "qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY="


def storage(folder: Path, text: str = "{}") -> Storage:
    return Storage(parse_settings(text, str(folder / "mcpgov.yaml")), importlib.import_module)


def test_without_a_secret_keys_lie_beside_the_store_and_stay(tmp_path: Path) -> None:
    first, again = storage(tmp_path), storage(tmp_path)
    assert first.file == tmp_path / "mcpgov.db"
    assert first.verifier_key() is None
    assert first.argument_key == again.argument_key == first.material == again.material
    assert str(first.signer().key) == str(again.signer().key) == str(first.verifier_key())


def test_with_a_secret_every_use_has_a_key_of_its_own_and_no_file(tmp_path: Path) -> None:
    made = storage(tmp_path, f'secrets: {{ key: "{KEY}" }}')
    assert len({made.material, made.argument_key}) == 2
    assert str(made.verifier_key()) == str(made.signer().key)
    assert list(tmp_path.iterdir()) == []


def test_a_server_is_loaded_only_when_it_is_named(tmp_path: Path) -> None:
    asked: list[str] = []

    def load(module: str) -> object:
        asked.append(module.rpartition(".")[2])
        return importlib.import_module(module)

    store = "postgresql://mcpgov:pw-of-the-database@127.0.0.1:1/mcpgov?sslmode=disable"
    text = f'audit: {{ store: "{store}" }}\nsecrets: {{ key: "{KEY}" }}'
    made = Storage(parse_settings(text, str(tmp_path / "mcpgov.yaml")), load)
    assert made.file is None
    opened = made.open()
    opened.keys.close()
    assert {"postgres_ledger", "postgres_keys", "postgres_vault", "postgres_pool"} == set(asked)
    assert "pw-of-the-database" not in repr(made)


def test_a_place_is_a_folder_or_a_url(tmp_path: Path) -> None:
    assert isinstance(target_of(f"file://{tmp_path}/with%20space"), FolderTarget)
    assert isinstance(target_of("https://worm.example/log"), HttpTarget)


async def test_the_last_checkpoint_leaves_when_the_ledger_has_closed(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text(f'audit: {{ checkpoints: ["file://{tmp_path}/worm"] }}\n')
    for name in ("catalog", "policies", "worm"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml"):
        pass
    assert list((tmp_path / "worm").rglob("*.note"))


async def test_a_worker_that_is_not_the_first_sends_its_last_checkpoint_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text(
        f'audit: {{ checkpoints: ["file://{tmp_path}/worm"] }}\ncounters: per-worker\n'
    )
    for name in ("catalog", "policies", "worm"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml", worker=Worker(1, 2)):
        pass
    assert len(list((tmp_path / "worm").rglob("*.note"))) == 1


async def test_without_a_place_nothing_is_sent(tmp_path: Path) -> None:
    async with sending_checkpoints(storage(tmp_path), app.utc_now) as lag:
        assert len(asyncio.all_tasks()) == 1
        assert lag() == {}


async def test_what_tells_the_lag_names_every_place(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/worm"
    (tmp_path / "worm").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(f'admin: {{}}\naudit: {{ checkpoints: ["{place}"] }}\n')
    (tmp_path / "catalog").mkdir()
    async with app.running(tmp_path / "mcpgov.yaml") as running:
        assert running.telemetry.prometheus is not None
        assert f'mcpgov_checkpoint_lag_seconds{{place="{place}"}}'.encode() in running.telemetry.prometheus.text()


async def test_a_place_that_is_down_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpgov.storage.LAST_CHECKPOINT", 0.05)
    (tmp_path / f"mcpgov-{secrets.token_hex(2)}").mkdir()
    (tmp_path / "mcpgov.yaml").write_text('audit: { checkpoints: ["https://127.0.0.1:1/log"] }\n')
    for name in ("catalog", "policies"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml") as running:
        assert running.ledger.ready
