"""A gateway with which nothing is wrong, as the doctor sees it, and ways to plant something."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mcpgov.doctor.checks import judged
from mcpgov.doctor.facts import (
    At,
    CertificateFacts,
    Condition,
    Facts,
    FileFacts,
    Finding,
    FolderFacts,
    KeyFacts,
    Kind,
    Machine,
    ServerFacts,
    StoreFacts,
)
from mcpgov.identity.api_key import KeyRecord
from mcpgov.settings import parse_settings
from mcpgov.yaml_source import parse_yaml

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = KeyRecord("3fGh81Kx", "ab", "ci-agent", "payments", NOW - timedelta(days=1))
FOLDER = FolderFacts("/var/lib/mcpgov")
SERVER_FILE = "name: com.contoso/github\nupstream: https://mcp.contoso.com/mcp\n"
AT_SERVER = At(parse_yaml(SERVER_FILE, "catalog/github.yaml"), ("upstream",))
SERVER = ServerFacts(AT_SERVER, "the server", "https://mcp.contoso.com/mcp", "", 0.3, NOW + timedelta(days=90))
POSTGRES = (
    'audit: { store: "postgresql://u:p@db/x" }\nsecrets: { key: "qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY=" }\n'
)


def healthy(text: str = "listen: 127.0.0.1:8080\n", **planted: Any) -> Facts:
    """A gateway with these settings, and with what is planted in place of what is good."""
    source = parse_yaml(text, "mcpgov.yaml")
    store = StoreFacts(
        At(source, ("audit", "store")), "/var/lib/mcpgov/mcpgov.db", 6, 6, "", FOLDER, Condition(newest=NOW)
    )
    files = (
        FileFacts("mcpgov.yaml", Kind.CONFIGURATION, 0o644),
        FileFacts("mcpgov.db", Kind.STORE, 0o600),
        FileFacts("mcpgov.db.key", Kind.KEY, 0o400),
        FileFacts("/run/secrets/github", Kind.NAMED, 0o440),
    )
    facts = Facts(
        source=source,
        settings=parse_settings(text, "mcpgov.yaml"),
        now=NOW,
        machine=Machine((3, 13)),
        files=files,
        stores=(replace(store, **planted.pop("store", {})),),
        servers=(replace(SERVER, **planted.pop("server", {})),),
        keys=KeyFacts((KEY,), 1),
    )
    return replace(facts, **planted)


def presented(text: str, *keys: str, days: int) -> CertificateFacts:
    """What the listener whose `tls` stands at `keys` presents: a certificate that ends in so many days."""
    at = At(parse_yaml(text, "mcpgov.yaml"), (*keys, "certificate"))
    return CertificateFacts(at, "/etc/mcpgov/server.crt", NOW + timedelta(days=days))


def only(text: str, planted: Mapping[str, Any]) -> Finding:
    """The one thing that is found."""
    (found,) = judged(healthy(text, **planted))
    return found
