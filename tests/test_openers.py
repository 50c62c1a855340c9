"""What the verbs open: the store that is named, or the one of the settings."""

import importlib
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.credential.tokens import AzureIdentity, HostIdentity
from mcpgov.errors import StoreUnavailable
from mcpgov.openers import Openers
from mcpgov.settings_file import no_vaults
from mcpgov.store.sent_checkpoints import open_sqlite_sent


def nobody(azure: AzureIdentity, tls: ssl.SSLContext) -> HostIdentity:
    raise AssertionError(azure, tls)


def openers() -> Openers:
    return Openers(importlib.import_module, no_vaults, lambda: datetime.now(UTC), nobody)


def test_a_store_is_named_by_its_path_or_url_or_by_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    opens = openers()
    assert opens.find_store(config) == tmp_path / "ledger.db"
    assert opens.storage_named(None, config).file == tmp_path / "ledger.db"
    assert opens.storage_named(str(tmp_path / "other.db"), config).file == tmp_path / "other.db"
    assert opens.storage_named(f"sqlite:///{tmp_path}/other.db", config).file == tmp_path / "other.db"


def test_a_store_that_nobody_wrote_to_has_no_verifier_key(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    (tmp_path / "catalog").mkdir()
    assert openers().find_verifier_key(None, config) is None
    assert openers().find_verifier_key(str(tmp_path / "ledger.db"), config) is None


async def test_what_a_verb_did_stands_in_the_ledger(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    opens = openers()
    await opens.note_verified(config, {"result": "ok"})
    former, new = await opens.rotate_digest_key(config)
    assert former != new
    events = [call.reason for call in opens.reader(config).latest(10)]
    assert [event for event in events if event != "writers"] == ["verified", "digest-key-rotated"]
    assert opens.digest_keys(config)[0] != opens.digest_keys(config)[1]
    assert opens.export_states(config) == []
    assert opens.purging(config).days == 400


def test_checkpoints_are_read_from_the_database_that_is_named(tmp_path: Path) -> None:
    open_sqlite_sent(tmp_path / "worm.db").put("log/w/1.note", "one", 1)
    assert list(openers().received(f"sqlite:///{tmp_path}/worm.db")) == ["one"]
    for wrong in ("https://worm.example", "postgresql://db", "sqlite:///"):
        with pytest.raises(ValueError, match="is not"):
            openers().received(wrong)
    with pytest.raises(StoreUnavailable, match="the database of checkpoints"):
        list(openers().received("postgresql://auditor:hunter2@127.0.0.1:1/worm"))
