"""What the schema of server.json allows is let be, and what it does not is refused with its place."""

import pytest

from mcpgov.catalog.server_json import read_server_json
from mcpgov.catalog.server_shape import OURS, PUBLISHED, members, web_address
from mcpgov.credential.references import Unfit
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Json
from tests.catalog.server_shapes import named, package, positional, remote, server, shapes

Document = dict[str, Json]


def wrong(**more: Json) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        read_server_json({**server("x"), **more}, "s.json")
    return [str(problem).removeprefix("s.json: ") for problem in caught.value.problems]


@pytest.mark.parametrize(("name", "shape"), list(shapes()))
def test_what_registries_hold_is_let_be(name: str, shape: Document) -> None:
    assert read_server_json(shape, name)["name"] == shape["name"]


def test_there_are_at_least_sixty_shapes() -> None:
    assert len(dict(shapes())) >= 60


def test_the_plain_members_keep_the_rules_of_the_schema() -> None:
    assert wrong(name="contoso") == [
        "name: name is not a server name of the MCP registry (write one like com.contoso/github)"
    ]
    assert "name: name must have at most 200 characters" in wrong(name="a/" + "b" * 199)[0]
    assert wrong(description="") == ["description: description must have at least 1 character"]
    assert wrong(description="a" * 101) == ["description: description must have at most 100 characters (shorten it)"]
    assert "one line" in wrong(title="a\nb")[0]
    for version in ("latest", "^1.2.3", "~1.2", ">=1.2.3", "1.x", "1.*", "1 || 2", ""):
        assert "not a range" in wrong(version=version)[0]
    with pytest.raises(InvalidConfiguration, match="description is missing"):
        read_server_json({"name": "a/b", "version": "1.0.0"}, "s.json")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"remotes": [remote(kind="http")]}, "remotes[0].type"),
        ({"remotes": [remote("ftp://contoso.com")]}, "remotes[0].url"),
        ({"remotes": [{"type": "sse"}]}, "remotes[0]: url is missing"),
        ({"remotes": [remote(headers=[{"value": "x"}])]}, "remotes[0].headers[0]: name is missing"),
        ({"remotes": [remote(variables={"a": {"format": "date"}})]}, "remotes[0].variables.a.format"),
        ({"remotes": [remote(headers=[{"name": "a", "isSecret": "yes"}])]}, "remotes[0].headers[0].isSecret"),
        ({"remotes": {}}, "remotes: remotes must be a list"),
        ({"packages": [{"identifier": "a"}]}, "packages[0]: registryType is missing"),
        ({"packages": [package("npm", "a", version="^1.0.0")]}, "packages[0].version"),
        ({"packages": [package("mcpb", "a", fileSha256="F" * 64)]}, "packages[0].fileSha256"),
        (
            {"packages": [package("npm", "a", packageArguments=[{"type": "positional"}])]},
            "packages[0].packageArguments[0]",
        ),
        ({"packages": [package("npm", "a", runtimeArguments=[{"type": "named"}])]}, "packages[0].runtimeArguments[0]"),
        ({"packages": [package("npm", "a", transport={"type": "sse"})]}, "packages[0].transport"),
        ({"icons": [{"src": "http://contoso.com/a.png"}]}, "icons[0].src"),
        ({"icons": [{"src": "https://contoso.com/a.png", "sizes": ["big"]}]}, "icons[0].sizes[0]"),
        ({"icons": [{"src": "https://contoso.com/a.gif", "mimeType": "image/gif"}]}, "icons[0].mimeType"),
        ({"repository": {"url": "https://github.com/a/b"}}, "repository: source is missing"),
        ({"websiteUrl": "javascript:alert(1)"}, "websiteUrl"),
        ({"websiteUrl": "https://[::1"}, "websiteUrl"),
        ({"_meta": {PUBLISHED: {"a": "b" * 4096}}}, "_meta"),
        ({"_meta": {PUBLISHED: "text"}}, "_meta"),
    ],
)
def test_a_member_that_breaks_a_rule_is_named(more: Document, said: str) -> None:
    assert any(line.startswith(said) for line in wrong(**more)), wrong(**more)


def test_every_problem_is_told_at_once_and_none_repeats_a_value() -> None:
    told = wrong(version="^hunter2", remotes=[remote("hunter2")], packages=[package("npm", "a", version="hunter2 x")])
    assert len(told) == 3
    assert "hunter2" not in "".join(told)


def test_arguments_that_say_what_they_are_pass() -> None:
    fine = package("npm", "a", packageArguments=[positional(""), named("--x")])
    assert read_server_json({**server("x"), "packages": [fine]}, "s.json")


def test_our_own_key_and_the_entrys_members_have_no_place_below_server() -> None:
    assert members({"title": "a", "icons": []}) == {"title"}
    assert OURS == "dev.mcpgov/catalog"


def test_an_address_for_people_holds_no_user_name() -> None:
    assert web_address("http://contoso.com/x") == "http://contoso.com/x"
    for url in ("https://user@contoso.com", "contoso.com", "https://contoso.com/a b", "mailto:a@b.c"):
        with pytest.raises(Unfit):
            web_address(url)
