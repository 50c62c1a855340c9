"""server.json and YAML, either made of the other: nothing is lost, no secret leaves, and two views are never mixed."""

import json
import os
import sys
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpgov.catalog.entries import Entry, parse_entry
from mcpgov.catalog.server_json import (
    FILLED,
    parse_server_json,
    published,
    read_server_json,
    server_json,
    to_server_json,
    withheld,
)
from mcpgov.catalog.server_shape import OURS, SCHEMA, ServerJson, wrong_with
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Json
from mcpgov.yaml_source import Source, parse_yaml
from tests.catalog.server_shapes import MEMBERS, PACKAGES, REMOTES, remote, server, shapes

CORPUS = Path(os.environ.get("MCPGOV_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"), "registry")
Document = dict[str, Json]
EVERYTHING = """\
name: com.contoso/github
title: GitHub
description: Repositories
status: deprecated
publisher: Contoso
categories: [Developer tools]
registry: contoso-center
owner: platform
contacts: [{ name: Platform, email: platform@contoso.com, url: https://contoso.com }]
environments: [production]
pin: require
upstream: https://api.contoso-upstream.com/mcp/?tenant=a
policies: [company]
connections:
  github:
    authType: CustomKeys
    keys: { Authorization: "Bearer ${env:PAT}", X-Upstream: os.environ/UPSTREAM_KEY }
    backends: [https://backend.contoso-upstream.com]
    timeout: 20s
  github-apps:
    authType: OAuth2
    clientAuthType: OAuth2
    oauth:
      clientId: mcpgov
      clientSecret: "${file:/run/secrets/s}"
      tokenUrl: https://id.contoso.com/t
      authorizationUrl: https://id.contoso.com/a
server:
  repository: { url: https://github.com/contoso/mcp, source: github }
  websiteUrl: https://docs.contoso.com
  icons: [{ src: https://api.contoso-upstream.com/icon.png }]
  remotes: [{ type: streamable-http, url: "https://other.contoso-upstream.com/mcp", headers: [{ name: X-Upstream }] }]
  packages: [{ registryType: npm, identifier: upstream-package, version: 1.0.0, transport: { type: stdio } }]
  _meta: { com.contoso/x: { host: api.contoso-upstream.com } }
"""
LOCAL = """\
name: com.contoso/time
version: 2.0.0
description: ""
command: [mcp-server-time]
env: { KEY: "${env:KEY}", LOG_LEVEL: debug }
connections: { time: {} }
"""


class AnySecret(EnvironmentAndFiles):
    """Every reference is there."""

    def __init__(self) -> None:
        super().__init__({"PAT": "ghp_secret", "UPSTREAM_KEY": "abc", "KEY": "abc"})

    def file(self, path: str) -> str:
        assert path
        return "a-secret-of-some-length-1x"


def entry(text: str) -> Entry:
    return parse_entry(text, "x.yaml", AnySecret())


def back(tree: Document) -> Document:
    return parse_server_json(json.dumps(tree), "s.json")


def without_ours(tree: Document) -> Document:
    """What was there before we wrote into it."""
    meta = dict(cast("Document", tree["_meta"]))
    filled = cast("Document", meta.pop(OURS)).get(FILLED, [])
    plain = {**tree, "_meta": meta}
    return {key: value for key, value in plain.items() if key not in cast("list[str]", filled)}


@pytest.mark.parametrize(("name", "shape"), list(shapes()))
def test_a_server_json_comes_back_as_it_was(name: str, shape: Document) -> None:
    document = read_server_json(shape, name)
    reread = cast("Document", parse_yaml(yaml_text(document), f"{name}.yaml").value)
    assert reread == document
    written, told = to_server_json(reread)
    assert told == ()
    assert without_ours(written) == shape
    assert read_server_json(written, name) == document


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*REMOTES.values()]), max_size=3),
    st.lists(st.sampled_from([*PACKAGES.values()]), max_size=3),
    st.sets(st.sampled_from(sorted(MEMBERS.keys() - {"many", "empty"}))),
)
def test_any_mixture_of_shapes_comes_back(remotes: list[Json], packages: list[Json], members: set[str]) -> None:
    shape: Document = {**server("x"), "remotes": remotes, "packages": packages}
    for name in members:
        shape |= MEMBERS[name]
    document = cast("Document", parse_yaml(yaml_text(read_server_json(shape, "s")), "s.yaml").value)
    assert without_ours(to_server_json(document)[0]) == shape


@pytest.mark.parametrize(
    "text", [EVERYTHING, LOCAL, "name: a/b\nupstream: https://x.contoso.com\nconnections: { x: {} }\n"]
)
def test_an_entry_comes_back_as_it_was(text: str) -> None:
    made = server_json(entry(text))
    assert back(made) == parse_yaml(text, "x.yaml").value
    assert withheld(entry(text)) == ()
    plain = without_ours(made) | {key: made[key] for key in ("description", "version")}
    assert list(wrong_with(ServerJson, plain, Source("s", plain, {}, {}))) == []


def test_what_is_ours_stands_under_our_own_key() -> None:
    made = server_json(entry(LOCAL))
    assert made["$schema"] == SCHEMA
    assert made.keys() == {"$schema", "name", "description", "version", "_meta"}
    ours = cast("Document", cast("Document", made["_meta"])[OURS])
    assert ours["command"] == ["mcp-server-time"]
    assert ours[FILLED] == ["$schema", "description", "_meta"]


def test_a_remote_is_filled_in_with_the_names_of_the_headers_alone() -> None:
    made = server_json(entry(EVERYTHING.partition("server:")[0]))
    (said,) = cast("list[Document]", made["remotes"])
    assert said["url"] == "https://api.contoso-upstream.com/mcp/?tenant=a"
    assert [header["name"] for header in cast("list[Document]", said["headers"])] == ["Authorization", "X-Upstream"]
    assert "remotes" not in cast("Document", back(made).get("server", {}))


def test_a_literal_secret_never_leaves() -> None:
    text = EVERYTHING.replace("Bearer ${env:PAT}", "Bearer ghp_literal").replace(
        "${file:/run/secrets/s}", "of-some-length-1xyz"
    )
    made = entry(text)
    out = json.dumps(server_json(made))
    assert "ghp_literal" not in out
    assert "of-some-length" not in out
    assert "${env:MCP_GITHUB_AUTHORIZATION}" in out
    assert [line.partition(" ")[0] for line in withheld(made)] == [
        "connections.github.keys.Authorization",
        "connections.github-apps.oauth.clientSecret",
    ]


def test_everybody_sees_the_gateway_and_nothing_of_the_upstream() -> None:
    seen = published(entry(EVERYTHING), "https://gw.contoso.com/", "stamp")
    text = json.dumps(seen)
    for hidden in (
        "contoso-upstream",
        "upstream-package",
        "PAT",
        "UPSTREAM_KEY",
        "X-Upstream",
        "tenant",
    ):
        assert hidden not in text
    remotes = cast("list[Document]", seen["remotes"])
    assert [one["url"] for one in remotes] == [
        f"https://gw.contoso.com/mcp/{name}" for name in ("github", "github-apps")
    ]
    assert "Authorization" not in json.dumps([{**one, "headers": None} for one in remotes])
    assert seen["repository"] == {"url": "https://github.com/contoso/mcp", "source": "github"}
    assert "icons" not in seen
    assert cast("Document", seen["_meta"])[OURS] == {
        "publisher": "Contoso",
        "categories": ["Developer tools"],
        "registry": "contoso-center",
        "environments": ["production"],
        "authentication": ["CustomKeys", "OAuth2"],
        "stamp": "stamp",
    }
    plain = without_ours(seen)
    assert list(wrong_with(ServerJson, plain, Source("s", plain, {}, {}))) == []


def test_what_is_deleted_is_published_without_a_way_to_it() -> None:
    assert "remotes" not in published(entry(LOCAL + "status: deleted\n"), "https://gw.contoso.com", "s")


def test_what_another_gateway_published_is_believed_of_few_words() -> None:
    seen = published(entry(EVERYTHING), "https://gw.contoso.com", "stamp")
    document = read_server_json(seen, "s.json")
    assert (document["publisher"], "stamp" in document, "registry" in document) == ("Contoso", False, False)


def test_a_stranger_cannot_name_a_command_in_our_name() -> None:
    hostile: Document = {**server("x"), "remotes": [remote()], "_meta": {OURS: {"command": ["sh"], "private": True}}}
    assert read_server_json(hostile, "s.json")["command"] == ["sh"]  # from a file of the operator's own
    assert read_server_json(hostile, "s.json", ours=False).keys() == {"name", "description", "version", "server"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"name": "a/b", "name": "c/d"}', "[" * 100_000, '{"a": 1e999}', '"\\ud800"', "\ud800"]
)
def test_what_is_no_server_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfiguration):
        parse_server_json(text, "s.json")


def test_our_own_key_has_to_hold_a_mapping() -> None:
    with pytest.raises(InvalidConfiguration, match="is no mapping"):
        read_server_json({**server("x"), "_meta": {OURS: []}}, "s.json")


def test_every_server_of_the_corpus_comes_back() -> None:
    files = sorted(CORPUS.rglob("*.json"))
    for file in files:
        shape = cast("Document", json.loads(file.read_text("utf-8")))
        assert without_ours(to_server_json(read_server_json(shape, file.name))[0]) == shape, file
    if not files:
        sys.stdout.write("\nleft out: a corpus of server.json, which is not at $MCPGOV_CORPORA/registry\n")
