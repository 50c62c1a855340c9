"""What is done with the ledger beside the calls: checkpoints leave, and what is too old is removed."""

import asyncio
import importlib
import secrets
from pathlib import Path

import pytest

from mcpgov import app
from mcpgov.audit.checkpoints import FolderTarget, HttpTarget
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage
from mcpgov.upkeep import sending_checkpoints, target_of
from mcpgov.worker import Worker


def storage(folder: Path, text: str = "{}") -> Storage:
    return Storage(parse_settings(text, str(folder / "mcpgov.yaml")), importlib.import_module)


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
    monkeypatch.setattr("mcpgov.upkeep.LAST_CHECKPOINT", 0.05)
    (tmp_path / f"mcpgov-{secrets.token_hex(2)}").mkdir()
    (tmp_path / "mcpgov.yaml").write_text('audit: { checkpoints: ["https://127.0.0.1:1/log"] }\n')
    for name in ("catalog", "policies"):
        (tmp_path / name).mkdir()
    async with app.running(tmp_path / "mcpgov.yaml") as running:
        assert running.ledger.ready
