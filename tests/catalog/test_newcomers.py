"""A name stands for one server, and a variable is sent to one."""

import pytest

from mcpgov.catalog.entries import Entry, parse_entry
from mcpgov.catalog.newcomers import HERE, Newcomers, place_of
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.models import Json
from mcpgov.settings_file import stood_in

Document = dict[str, Json]


def document(connection: str, url: str = "https://api.contoso.com/mcp", name: str = "com.contoso/github") -> Document:
    return {"name": name, "version": "1.0.0", "upstream": url, "connections": {connection: {}}}


def keyed(connection: str, header: str, variable: str, name: str = "com.contoso/github") -> Document:
    keys: Document = {header: f"${{env:{variable}}}"}
    return {**document(connection, name=name), "connections": {connection: {"authType": "CustomKeys", "keys": keys}}}


def there(*documents: Document) -> list[Entry]:
    lookup = EnvironmentAndFiles(stood_in({}))
    return [parse_entry(yaml_text(one), "x.yaml", lookup) for one in documents]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/mcp",
        "http://api.contoso.com/mcp",
        "https://api.contoso.com:8443/mcp",
        "https://api.contoso.com.evil.example/",
    ],
)
def test_a_version_that_leads_elsewhere_is_refused_with_both_places(url: str) -> None:
    known = there(document("a"))
    with pytest.raises(Unfit) as caught:
        Newcomers(known).let_in(document("b", url))
    theirs = place_of(document("b", url))
    assert str(caught.value) == f"leads to {theirs}, and com.contoso/github in the catalog to https://api.contoso.com"
    assert "--other-host" in caught.value.mend
    Newcomers(known, other_host=True).let_in(document("b", url))


def test_a_version_that_leads_where_another_does_is_let_in() -> None:
    known = there(document("a"), {**document("b", "https://eu.contoso.com/"), "version": "2.0.0", "status": "deleted"})
    for url in ("https://API.contoso.com:443/v2", "https://eu.contoso.com/mcp"):
        Newcomers(known).let_in(document("c", url))
    Newcomers(known).let_in(document("c", "https://evil.example", "com.contoso/other"))


@pytest.mark.parametrize("backends", [["https://evil.example"], {"eu": "https://evil.example/mcp"}])
def test_a_version_one_of_whose_backends_is_elsewhere_is_refused(backends: Json) -> None:
    stolen: Document = {**document("b"), "connections": {"b": {"backends": backends}}}
    with pytest.raises(Unfit, match=r"leads to https://evil\.example, and"):
        Newcomers(there(document("a"))).let_in(stolen)
    Newcomers(there(stolen)).let_in({**document("c", "https://evil.example"), "version": "2.0.0"})


def test_a_program_of_this_machine_is_another_place() -> None:
    started: Document = {"name": "com.contoso/github", "command": ["x"], "connections": {"b": {}}}
    assert place_of(started) == HERE
    assert place_of({"upstream": "x"}) == "nowhere"
    with pytest.raises(Unfit, match="leads to a program on this machine"):
        Newcomers(there(document("a"))).let_in(started)
    Newcomers(there({**started, "connections": {"a": {}}})).let_in(started)


def test_no_newcomer_is_sent_what_another_server_is_sent() -> None:
    ours = keyed("git-hub", "Authorization", "MCP_GIT_HUB_AUTHORIZATION")
    theirs = keyed("git", "Hub-Authorization", "MCP_GIT_HUB_AUTHORIZATION", "com.evil/git")
    with pytest.raises(
        Unfit, match=r"would be sent MCP_GIT_HUB_AUTHORIZATION, which com\.contoso/github is sent"
    ) as caught:
        Newcomers(there(ours)).let_in(theirs)
    assert "--connection" in caught.value.mend
    newcomers = Newcomers(())
    newcomers.let_in(ours)
    newcomers.let_in(ours)
    with pytest.raises(Unfit):
        newcomers.let_in(theirs)


def test_what_is_there_is_known_by_name_and_version() -> None:
    newcomers = Newcomers(there(document("a")))
    assert newcomers.has(document("b"))
    assert not newcomers.has({**document("b"), "version": "2.0.0"})
    assert not newcomers.has({"name": "com.contoso/github"})
