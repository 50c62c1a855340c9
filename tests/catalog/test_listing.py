"""What a list shows of a server is read from its file, and a word that is none is refused with its line."""

import pytest

from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.listing import Contact, Listing, Status
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.pinning.mode import PinMode

ONE = "name: com.contoso/x\nupstream: https://x.contoso.com/mcp\nconnections: { x: {} }\n"


def listing(more: str) -> Listing:
    return parse_entry(ONE + more, "x.yaml", EnvironmentAndFiles({})).listing


def problems(more: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        listing(more)
    return [str(problem).removeprefix("x.yaml:") for problem in caught.value.problems]


def test_nothing_said_is_active_and_trusted_on_first_use() -> None:
    assert listing("") == Listing(Status.ACTIVE, pin=PinMode.TRUST_ON_FIRST_USE)


def test_all_of_it_is_read() -> None:
    said = listing(
        "status: deprecated\npublisher: Contoso\ncategories: [Tools, Data]\nregistry: center\nowner: platform\n"
        "contacts: [{ name: Platform, email: platform@contoso.com }]\nenvironments: [production]\npin: require\n"
        "server: { repository: { url: https://github.com/a/b, source: github }, x-contoso: [1] }\n"
    )
    assert (said.status, said.publisher, said.categories) == (Status.DEPRECATED, "Contoso", ("Tools", "Data"))
    assert (said.registry, said.owner, said.environments) == ("center", "platform", ("production",))
    assert said.contacts == (Contact("Platform", "platform@contoso.com"),)
    assert said.pin is PinMode.REQUIRE
    assert said.server == {"repository": {"url": "https://github.com/a/b", "source": "github"}, "x-contoso": [1]}
    assert hash(said) == hash(said)


def test_what_is_deleted_serves_nothing() -> None:
    entry = parse_entry(f"{ONE}status: deleted\n", "x.yaml", EnvironmentAndFiles({}))
    assert entry.connections == ()
    assert entry.listing.status is Status.DELETED


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "status: gone\n",
            "4:9: status is none of active, deprecated, deleted (known here: active, deleted, deprecated)",
        ),
        ("pin: requires\n", "4:6: pin is none of require, trust-on-first-use, off (did you mean require?)"),
        ("pin: [off]\n", "4:6: pin is none of"),
        ("publisher: ''\n", "4:12: publisher must have at least 1 character"),
        ('owner: "a\\nb"\n', "4:8: owner holds a line break or a control character (write it in one line)"),
        ("categories: [a, A]\n", "4:13: categories names one twice (keep one of them)"),
        ("contacts: [{ email: a@b.c }]\n", "4:12: name is missing (add name:)"),
        ("contacts: [{ name: a, email: nobody }]\n", "4:30: email is not an e-mail address"),
        ("contacts: [{ name: a, url: x }]\n", "4:28: url is not a URL"),
        ("server: text\n", "4:9: server must be a mapping"),
        ("server: {}\n", "4:9: server is empty"),
        ("server: { title: a }\n", "4:11: title belongs to the entry itself (move it up, out of server:)"),
        ("server: { _meta: { dev.mcpgov/catalog: {} } }\n", "4:18: _meta holds dev.mcpgov/catalog"),
        ("server: { icons: [{ src: 'http://a.b/c.png' }] }\n", "4:26: src is not an https URL"),
        ("server:\n  repository: { source: github }\n", "5:15: url is missing (add url:)"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(more: str, said: str) -> None:
    assert any(line.startswith(said) for line in problems(more)), problems(more)
