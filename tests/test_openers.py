"""What the verbs open: the store that is named, or the one of the settings."""

import getpass
import importlib
import sqlite3
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.accounts import local_user
from mcpgov.admin.access import AdminKey, Role
from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.credential.references import Unfit
from mcpgov.credential.tokens import AccessToken, AzureIdentity
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, Refusal, StoreUnavailable
from mcpgov.identity.api_key import KeyRecord
from mcpgov.openers import Openers
from mcpgov.settings_file import no_vaults
from mcpgov.store.sent_checkpoints import open_sqlite_sent

GUID = "11111111-1111-2222-3333-444444444444"


def openers() -> Openers:
    return Openers(importlib.import_module, no_vaults, lambda: datetime.now(UTC))


def test_a_store_is_named_by_its_path_or_url_or_by_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    opens = openers()
    assert opens.find_store(config) == tmp_path / "ledger.db"
    assert opens.storage_named(None, config).file == tmp_path / "ledger.db"
    assert opens.storage_named(str(tmp_path / "other.db"), config).file == tmp_path / "other.db"
    assert opens.storage_named(f"sqlite:///{tmp_path}/other.db", config).file == tmp_path / "other.db"


async def test_pins_are_opened_only_where_a_gateway_has_started(tmp_path: Path) -> None:
    config, store = tmp_path / "mcpgov.yaml", tmp_path / "ledger.db"
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    with pytest.raises(
        InvalidConfiguration, match=r"ledger.db: the store is not there yet \(start the gateway once with"
    ):
        await openers().pins(config).__aenter__()
    assert not store.exists()
    older = sqlite3.connect(store)
    older.execute("PRAGMA user_version = 5")
    older.close()
    with pytest.raises(
        InvalidConfiguration, match=r"ledger.db: the store knows no pins yet \(start the gateway once with"
    ):
        await openers().pins(config).__aenter__()


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
    calls = [call for call in opens.reader(config).latest(10) if call.reason != "writers"]
    assert [call.reason for call in calls] == ["verified", "digest-key-rotated"]
    assert calls[1].get("mcpgov.control.principal") == f"local:{getpass.getuser()}"
    assert opens.digest_keys(config)[0] != opens.digest_keys(config)[1]
    assert opens.export_states(config) == []
    assert opens.purging(config).days == 400


async def test_what_a_verb_does_elsewhere_says_who_ran_it(tmp_path: Path) -> None:
    config, now = tmp_path / "mcpgov.yaml", datetime.now(UTC)
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    opens = openers()
    async with opens.notes(config) as write:
        await write(ControlRecord(ControlEvent.CATALOG_PUBLISHING, now, {"api_center": "contoso-tools"}))
    (written,) = opens.reader(config).calls(CallFilter(reason="catalog-publishing"))
    assert written.get("mcpgov.control.principal") == local_user()


async def test_a_key_that_a_verb_made_says_who_ran_it(tmp_path: Path) -> None:
    config, now = tmp_path / "mcpgov.yaml", datetime.now(UTC)
    config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
    opens = openers()
    async with opens.keys(config) as keys:
        await keys.create(KeyRecord("k1", "d", "ci", "", now))
    async with opens.admin_keys(config) as admin_keys:
        await admin_keys.create(AdminKey("a1", "d", "alice", Role.VIEWER, now))
    for event in ("key-created", "admin-key-created"):
        (made,) = opens.reader(config).calls(CallFilter(reason=event))
        assert made.get("mcpgov.control.principal") == local_user()


def test_the_places_of_checkpoints_that_can_be_read_are_folders_and_databases(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    places = ["file:///mnt/the%20worm", "https://worm.example/log", f"sqlite:///{tmp_path}/worm.db"]
    config.write_text(f"audit: {{ checkpoints: {places} }}\n")
    assert openers().places(config) == ["/mnt/the worm", places[2]]


def test_checkpoints_are_read_from_the_database_that_is_named(tmp_path: Path) -> None:
    open_sqlite_sent(tmp_path / "worm.db").put("log/w/1.note", "one", 1)
    assert list(openers().received(f"sqlite:///{tmp_path}/worm.db")) == ["one"]
    for wrong in ("https://worm.example", "postgresql://db", "sqlite:///"):
        with pytest.raises(ValueError, match="is not"):
            openers().received(wrong)
    with pytest.raises(StoreUnavailable, match="the database of checkpoints"):
        list(openers().received("postgresql://auditor:hunter2@127.0.0.1:1/worm"))


class Host:
    """A host whose token is always the same."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, azure: AzureIdentity, tls: ssl.SSLContext) -> "Host":
        assert azure.tenant_id == GUID
        assert tls
        return self

    async def token(self, scope: str, client_id: str) -> AccessToken:
        self.asked.append((scope, client_id))
        raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token.", detail="nobody is there")


async def test_an_api_center_is_asked_as_who_the_settings_say_that_mcpgov_is(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text(f"azure: {{ tenant_id: {GUID}, managed_identity: {GUID} }}\n")
    (tmp_path / "catalog").mkdir()
    host = Host()
    opens = Openers(importlib.import_module, no_vaults, lambda: datetime.now(UTC), host)
    with pytest.raises(Unfit, match="nobody is there"):
        await opens.registry(config, private=False)("https://c.data.x.azure-apicenter.ms/workspaces/default")
    assert host.asked == [("https://azure-apicenter.net/.default", GUID)]
    with pytest.raises(Refusal):
        openers().registry(config, private=False)


async def test_another_registry_is_asked_as_nobody(tmp_path: Path) -> None:
    config = tmp_path / "mcpgov.yaml"
    config.write_text("listen: 127.0.0.1:9\n")
    (tmp_path / "catalog").mkdir()
    with pytest.raises(Unfit, match="not public"):
        await openers().registry(config, private=False)("https://127.0.0.1:1/v0.1/servers")
