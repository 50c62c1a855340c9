"""A stranger's server.json: read or refused; what is made of it is an entry, starts nothing and holds no reference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.server_json import parse_server_json, to_server_json
from mcpgov.catalog.ways import Choice, reached
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.errors import InvalidConfiguration
from mcpgov.settings_file import stood_in
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from mcpgov.models import Json

WORDS = (
    *('"$schema":"https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"', '"name":"com.c/x"'),
    *('"description":"d"', '"version":"1.0.0"', '"title":"t"', '"remotes":[{"type":"streamable-http","url":"https://'),
    *('"headers":[{"name":"X-Key","isSecret":true}]', '"packages":[{"registryType":"npm","identifier":"p"', '"sse"'),
    *('"transport":{"type":"stdio"}', '"environmentVariables":[', '"runtimeArguments":[', '"packageArguments":['),
    *('"value":"{port}"', '"variables":{"port":{"default":"1"}}', '"_meta":{"dev.mcpgov/catalog":{', '"command":["x"]'),
    *('"upstream":"https://a.example/mcp"', "${env:HOME}", "${file:/etc/passwd}", '"repository":{"url":"https://'),
    *('"icons":[{"src":"https://', '"websiteUrl":"https://', '"isRequired":true', '"type":"positional"', '"choices":['),
)


def judge(data: bytes) -> None:
    """One file."""
    text = data.decode("utf-8", "replace")
    for ours in (True, False):
        try:
            document = parse_server_json(text, "s.json", ours=ours)
        except InvalidConfiguration as invalid:
            assert invalid.problems
            continue
        exported, _ = to_server_json(document)
        again = to_server_json(parse_server_json(json.dumps(exported), "s.json"))[0]
        assert ours or repr(again) == repr(exported), "exported as another"
        for choice in (Choice(), Choice(private=True, local=True, variables={"port": "1"})):
            try:
                made = reached(document, choice).document
            except Unfit as unfit:
                assert unfit.mend
                continue
            assert choice.local or "command" not in made, "a stranger's program would be started"
            known(made)


def known(document: dict[str, Json]) -> None:
    """What is made of it, read as the file that it becomes."""
    text = yaml_text(document)
    assert "${file:" not in json.dumps({**document, "server": None}), "a stranger names a file of ours"
    try:
        parse_entry(text, "x.yaml", EnvironmentAndFiles(stood_in({})))
    except InvalidConfiguration as invalid:
        assert invalid.problems


TARGET = Target(judge, WORDS, 4096)
