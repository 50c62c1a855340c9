"""What a gateway is like is found out from its files, its store and its servers, and nothing is changed by looking."""

import importlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcpgov.app import openers
from mcpgov.doctor.checks import judged
from mcpgov.doctor.facts import Facts
from mcpgov.doctor.visit import Visit, Visitor
from mcpgov.errors import InvalidConfiguration
from mcpgov.examining import Examination
from mcpgov.models import RemoteUpstream
from mcpgov.settings_file import no_vaults
from mcpgov.store.database import connect, create_database, digest_key, signing_key
from tests.backup.saved import furnished
from tests.peers.tls import throw_away_tls

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ENTRY = """\
name: com.contoso/github
upstream: https://api.contoso.com/mcp?key=in-the-query
connections:
  github: { authType: CustomKeys, keys: { Authorization: "Bearer ${file:secret}" }, backends: [https://b.contoso.com] }
"""
ISSUER = """\
identity: { oidc: [{ issuer: "https://login.contoso.com/a", audiences: [a] }] }
limits: { connections: 16 }
"""


class Met(Visitor):
    """A visitor that goes nowhere."""

    async def visit(self, upstream: RemoteUpstream) -> Visit:
        return Visit("is down" if "api" in upstream.url else "", 0.0)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    furnished(tmp_path, ISSUER)
    (tmp_path / "catalog" / "city.yaml").write_text(ENTRY)
    for place in ("policies/default.test.yaml", "policies/old.xml"):
        (tmp_path / place).unlink()
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "secret").chmod(0o600)
    for file in tmp_path.rglob("*.yaml"):
        file.chmod(0o644)
    return tmp_path / "mcpgov.yaml"


def examine(config: Path, **fields: Any) -> Facts:
    visitor = Met(lambda: NOW)
    return Examination(config, importlib.import_module, no_vaults, lambda: datetime.now(UTC), visitor, **fields).facts()


def found(config: Path, **fields: Any) -> list[str]:
    """What the doctor finds, but for what this machine's own disk is."""
    ours = ("store-in-memory", "flush-slow", "disk-filling", "clock-set-back", "python-too-old")
    return [finding.check for finding in judged(examine(config, **fields)) if finding.check not in ours]


def test_every_server_is_met_once_and_shown_without_its_query(config: Path) -> None:
    facts = examine(config)
    assert [(one.url, one.fault) for one in facts.servers] == [
        ("https://api.contoso.com/mcp", "is down"),
        ("https://b.contoso.com", ""),
        ("https://login.contoso.com/a/.well-known/openid-configuration", ""),
    ]
    assert "in-the-query" not in repr(facts)
    assert "s3cret" not in repr(facts)


def test_a_store_its_keys_and_this_machine_are_found_out(config: Path, tmp_path: Path) -> None:
    facts = examine(config)
    (store,) = facts.stores
    assert (store.place, store.found, store.wanted, store.fault) == (str(tmp_path / "mcpgov.db"), 6, 6, "")
    assert store.condition.proved
    assert facts.keys is not None
    assert {one.place.rpartition("/")[2] for one in facts.files} >= {
        *("mcpgov.yaml", "city.yaml", "default.yaml", "secret", "mcpgov.db", "mcpgov.db.key", "mcpgov.db.signing-key"),
    }
    assert set(facts.versions) == {"mcpgov", "python", "sqlite", "system", "schema"}


def test_a_healthy_gateway_gives_no_finding_offline_and_is_left_as_it_was(config: Path, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert found(config, offline=True) == []
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_offline_nobody_is_asked(config: Path) -> None:
    config.write_text(
        ISSUER + 'audit: { store: "postgresql://u:p@db.contoso.com/x" }\ncounters: redis://cache.contoso.com\n'
        'secrets: { key: "qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY=" }\n'
    )
    facts = examine(config, offline=True)
    assert (facts.servers, facts.redis, facts.keys) == ((), "", None)
    assert facts.stores[0].fault == ""


def test_a_store_and_a_redis_that_do_not_answer_are_told(config: Path) -> None:
    config.write_text(
        ISSUER + 'audit: { store: "postgresql://u:hunter2@127.0.0.1:9/x" }\ncounters: redis://127.0.0.1:9\n'
        'secrets: { key: "qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY=" }\n'
    )
    facts = examine(config)
    assert facts.stores[0].fault.startswith("PostgreSQL: ")
    assert facts.redis.startswith("Redis did not count")
    assert "hunter2" not in repr(facts)
    assert {"store-unavailable", "redis-unavailable", "unreachable"} <= set(found(config))


def test_keys_that_are_gone_from_beside_a_store_are_told(config: Path, tmp_path: Path) -> None:
    (tmp_path / "mcpgov.db.signing-key").unlink()
    assert found(config, offline=True) == ["key-file-missing"]


def test_a_store_of_a_newer_release_is_told(config: Path, tmp_path: Path) -> None:
    with closing(connect(tmp_path / "mcpgov.db")) as database:
        database.execute("PRAGMA user_version = 99")
    (told,) = [finding for finding in judged(examine(config, offline=True)) if finding.check == "store-unavailable"]
    assert "schema 99, which a newer mcpgov wrote" in told.problem.message


def test_files_that_cannot_be_put_in_force_are_told_as_a_start_would(config: Path) -> None:
    config.write_text("lisen: x\n")
    with pytest.raises(InvalidConfiguration, match="did you mean listen"):
        examine(config)


def test_more_workers_than_can_share_a_memory_are_refused_as_a_start_would(config: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="4 workers would each count limits for themselves"):
        examine(config, workers=4)


def test_what_our_listeners_present_is_looked_at_and_who_can_read_the_key(config: Path, tmp_path: Path) -> None:
    throw_away_tls(tmp_path, ends=timedelta(days=40))
    pair = "{ certificate: server.crt, key: server.key }"
    config.write_text(f"{ISSUER}tls: {pair}\nadmin: {{ tls: {pair} }}\n")
    (tmp_path / "server.key").chmod(0o644)
    facts = examine(config, offline=True)
    assert [(one.at.path, one.place) for one in facts.certificates] == [
        (("tls", "certificate"), str(tmp_path / "server.crt")),
        (("admin", "tls", "certificate"), str(tmp_path / "server.crt")),
    ]
    assert {one.expires - datetime.now(UTC) > timedelta(days=39) for one in facts.certificates} == {True}
    assert set(found(config, offline=True)) == {"readable-by-others"}


def test_a_further_store_and_a_gateway_that_never_ran_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(
        "audit: { sinks: ['sqlite:///b.db'] }\nidentity: { allow_anonymous: true }\nlimits: { connections: 16 }\n"
    )
    (tmp_path / "mcpgov.yaml").chmod(0o600)
    assert found(tmp_path / "mcpgov.yaml") == []
    create_database(tmp_path / "b.db")
    digest_key(tmp_path / "b.db")
    signing_key(tmp_path / "b.db")
    facts = openers().examination(tmp_path / "mcpgov.yaml", 1, offline=True).facts()
    assert [(one.at.path, one.found) for one in facts.stores] == [(("audit", "store"), 0), (("audit", "sinks", 0), 6)]
