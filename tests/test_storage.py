"""The store that the settings name: what is kept in it, the keys beside it, and checkpoints that leave."""

import importlib
import secrets
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlRecord
from mcpgov.audit.redact import key_id
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage
from tests.audit.calls import NOW

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


class Written:
    """What is written down."""

    def __init__(self) -> None:
        self.records: list[ControlRecord] = []

    async def __call__(self, record: ControlRecord) -> None:
        self.records.append(record)


async def test_a_rotated_key_takes_the_place_of_the_former_and_what_is_sealed_stays(tmp_path: Path) -> None:
    made, write = storage(tmp_path), Written()
    assert made.digest_keys == ()
    first, material = made.argument_key, made.material
    former, new = await made.rotate_digest_key(write, NOW)
    await made.rotate_digest_key(write, NOW)
    third, second, oldest = made.digest_keys
    assert (former, new, oldest) == (key_id(first), key_id(second), first)
    assert (made.argument_key, made.material) == (third, material)
    assert [dict(record.details) for record in write.records] == [
        {"former_key": former, "key": new},
        {"former_key": new, "key": key_id(third)},
    ]


async def test_a_key_from_the_settings_is_rotated_there(tmp_path: Path) -> None:
    beside = storage(tmp_path).argument_key
    other = secrets.token_urlsafe(32)
    former = storage(tmp_path, f'secrets: {{ key: "{KEY}" }}')
    made = storage(tmp_path, f'secrets: {{ key: "{other}", former_keys: ["{KEY}"] }}')
    assert made.digest_keys[1:] == former.digest_keys == (former.argument_key, beside)
    with pytest.raises(InvalidConfiguration, match=r"secrets\.former_keys"):
        await made.rotate_digest_key(Written(), NOW)


async def test_a_server_is_loaded_only_when_it_is_named(tmp_path: Path) -> None:
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
    with made.pins() as pins, pytest.raises(StoreUnavailable):  # nobody is there
        await pins.changed(0)
    assert "postgres_pins" in asked
