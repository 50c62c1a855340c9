"""Entries of the catalog: read or refused; what is exported comes back, what is published names no upstream."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mcpgov.catalog.entries import Entry, read_entry
from mcpgov.catalog.server_json import listed, parse_server_json, published, server_json
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import RemoteUpstream
from mcpgov.yaml_source import parse_yaml
from tests.fuzz.target import Target

SECRET = "s3cret-of-some-length-1x"
LOOKUP = EnvironmentAndFiles({"KEY": SECRET, "PAT": SECRET})
GATEWAY = "https://mcp.example.org"
AT = datetime(2026, 11, 21, tzinfo=UTC)
WORDS = (
    *("name: com.contoso/x", "title: ", "version: 1.0.0", "description: ", "upstream: https://host.internal/mcp?k=1"),
    *("private: true", "command: [", "env: {", "cwd: ", "connections:", "authType: ", "CustomKeys", "None", "OAuth2"),
    *("keys: {", "Authorization: ", "${env:KEY}", "${file:x}", "Bearer ${env:PAT}", "timeout: 90s", "backends: ["),
    *(
        "policies: [",
        "tools: {",
        "clientAuthType: ",
        "clientAudience: ",
        "AgenticIdentityToken",
        "ProjectManagedIdentity",
    ),
    *(
        "UserEntraToken",
        "audience: ",
        "status: deprecated",
        "status: deleted",
        "publisher: ",
        "categories: [",
        "server:",
    ),
    *("pin: ", "resolve: ", "http://127.0.0.1/", "https://[::1]/", "https://a@b/", "credentials:", "tokenUrl: "),
)


def judge(data: bytes) -> None:
    """One file."""
    text = data.decode("utf-8", "replace")
    try:
        entry = read_entry(parse_yaml(text, "x.yaml"), LOOKUP)
    except InvalidConfiguration as invalid:
        assert invalid.problems
        assert SECRET not in str(invalid), "a key is told"
        return
    assert SECRET not in repr(entry), "a key prints"
    exported = server_json(entry)
    assert SECRET not in json.dumps(exported), "a key is exported"
    parse_server_json(json.dumps(exported), "s.json")
    judge_public(entry)


def judge_public(entry: Entry) -> None:
    """What everybody sees of it."""
    told = json.dumps(published(entry, GATEWAY, "stamp")) + listed(entry, AT).document.decode()
    assert SECRET not in told, "a key is published"
    for one in entry.connections:
        if isinstance(one.connection.upstream, RemoteUpstream) and "host.internal" in one.connection.upstream.url:
            words = f"{entry.name} {entry.title} {entry.description} {entry.version} {entry.listing}"
            assert "host.internal" in words or "host.internal" not in told, "an upstream is published"


TARGET = Target(judge, WORDS, 4096)
