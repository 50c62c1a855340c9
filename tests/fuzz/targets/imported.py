"""What others list: a client's mcp.json, a page of a registry. One bad server never hides the others.

A case is a letter, which says what kind of file it is, and the file.
"""

from __future__ import annotations

import json

from mcpgov.catalog.client_files import read_client_file, read_relaxed
from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.importers import Asked, Page, read_page
from mcpgov.catalog.ways import Choice
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.errors import InvalidConfiguration
from mcpgov.settings_file import stood_in
from tests.fuzz.target import Target

WORDS = (
    *('{"servers":{"x":{', '{"mcpServers":{', '"type":"http"', '"url":"https://a.example/mcp"', '"command":"npx"'),
    *(
        '"args":["-y","p"]',
        '"env":{"KEY":"${input:k}"}',
        '"headers":{"Authorization":"Bearer x"}',
        "//",
        "/*",
        "*/",
        ",}",
    ),
    *('{"servers":[{"server":{"name":"a/b","description":"d","version":"1"', '"metadata":{"nextCursor":"c"}', "}}]}"),
    *('"_meta":{"io.modelcontextprotocol.registry/official":{"status":"deleted","isLatest":false}}', "${env:HOME}"),
    *(
        '"remotes":[{"type":"streamable-http","url":"https://a.example/mcp"}]',
        '"envFile":".env"',
        '"cwd":"/"',
        "--token",
    ),
)


def judge(data: bytes) -> None:
    """One file."""
    body = data[1:]
    text = body.decode("utf-8", "replace")
    try:
        page = (
            read_page(body, Asked("https://registry.example", every=bool(sum(data[:1]) & 2)))
            if sum(data[:1]) & 1
            else (read_client_file(text, "mcp.json"))
        )
    except Unfit as unfit:
        assert unfit.mend
    else:
        judge_page(page)
    try:
        relaxed = read_relaxed(text)
    except Unfit:
        return
    assert repr(read_relaxed(json.dumps(relaxed))) == repr(relaxed), "plain JSON is read as another"


def judge_page(page: Page) -> None:
    """Each server of it becomes an entry, or is refused with a reason."""
    assert all(one.why for one in page.refused)
    for found in page.found:
        for choice in (Choice(), Choice(private=True, local=True)):
            try:
                made = found.draft(choice).document
            except Unfit as unfit:
                assert unfit.mend
                continue
            assert choice.local or "command" not in made, "a stranger's program would be started"
            try:
                parse_entry(yaml_text(made), "x.yaml", EnvironmentAndFiles(stood_in({})))
            except InvalidConfiguration as invalid:
                assert invalid.problems


TARGET = Target(judge, WORDS, 4096)
