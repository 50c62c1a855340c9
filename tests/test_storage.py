"""The store that the settings name: what is kept in it, the keys beside it, and checkpoints that leave."""

import importlib
from pathlib import Path

from mcpgov.settings import parse_settings
from mcpgov.storage import Storage

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
