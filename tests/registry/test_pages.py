"""What a caller may see of the catalog stands on its pages once and in order, whatever comes or goes in between."""

import json
from datetime import timedelta
from random import Random
from typing import Any, cast

from mcpgov.catalog.server_shape import ServerJson, wrong_with
from mcpgov.policy.glob import compile_wildcards
from mcpgov.registry.asked import Asked, cursor_of, parse_asked
from mcpgov.registry.pages import OFFICIAL, Reach, Shelf, page, rank, version_item, versions_page
from mcpgov.yaml_source import Source
from tests.registry.shelves import EVERYBODY, TOLD, WRITTEN, only, pages, shelf, text, walked

NAMES = [f"com.contoso/s{number:02}" for number in range(25)]
MANY = shelf(*(text(name) for name in NAMES))
VERSIONS = (
    text("com.contoso/git", "1.9.0", connection="git-old"),
    text("com.contoso/git", "1.10.0", connection="git", more="title: Repositories\n"),
    text("com.contoso/git", "2.0.0-beta.2", connection="git-beta"),
    text("com.contoso/git", "2.0.0", connection="git-next", more="status: deleted\n"),
    text("com.contoso/old", "1.0.0", more="status: deprecated\n"),
    text("org.other/gone", "1.0.0", more="status: deleted\n"),
)
GIT = shelf(*VERSIONS)


def item(servers: Shelf, name: str, version: str, reach: Reach = EVERYBODY, query: bytes = b"") -> Any:
    return version_item(servers, reach, (name, version), parse_asked(query), TOLD)


def test_every_server_is_on_one_page_and_in_order() -> None:
    for limit in (1, 2, 24, 25, 26, 100):
        assert [one.partition(" ")[0] for found in pages(MANY, f"limit={limit}") for one in found] == NAMES
    assert len(pages(MANY, "limit=25")) == 1


def test_a_search_goes_on_over_pages_that_do_not_repeat_it() -> None:
    found = [f"{name} 1.0.0" for name in NAMES[:10]]
    assert pages(MANY, "limit=3&search=S0") == [found[:3], found[3:6], found[6:9], found[9:]]
    assert pages(GIT, "search=repositories") == [["com.contoso/git 1.10.0"]]
    assert pages(GIT, "search=upstream") == [[]]
    assert pages(shelf(), "") == [[]]


def test_versions_follow_each_other_by_meaning_and_one_is_the_latest() -> None:
    git = ["com.contoso/git 1.9.0", "com.contoso/git 1.10.0", "com.contoso/git 2.0.0-beta.2"]
    for limit in (1, 2, 100):
        assert walked(GIT, f"limit={limit}") == [*git, "com.contoso/old 1.0.0"]
        latest = [git[2], "com.contoso/old 1.0.0"]
        assert walked(GIT, f"limit={limit}&version=latest") == latest
    assert pages(GIT, "version=1.0.0") == [["com.contoso/old 1.0.0"]]
    assert pages(GIT, "include_deleted=true&version=latest")[0][-1] == "org.other/gone 1.0.0"


def test_semantic_versions_are_ranked_as_their_specification_says() -> None:
    order = [
        "nightly",
        "0.9",
        "1.0.0-1",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta",
        "1.0.0",
        "v1.0.1",
        "1.2",
        "1.10",
    ]
    assert sorted(order, key=rank) == order
    assert rank("1.0") == rank("1.0.0") == rank("1.0.0+build")
    assert rank("1." + "9" * 5000) == rank("nightly")


def test_what_was_deleted_is_there_for_who_asks() -> None:
    assert item(GIT, "org.other/gone", "latest") is None
    assert item(GIT, "org.other/gone", "1.0.0") is None
    gone = item(GIT, "org.other/gone", "latest", query=b"include_deleted=true")
    assert gone["_meta"][OFFICIAL] == {
        "status": "deleted",
        "statusChangedAt": "2026-11-01T12:30:15Z",
        "publishedAt": "2026-11-01T12:30:15Z",
        "updatedAt": "2026-11-01T12:30:15Z",
        "isLatest": True,
    }
    assert "remotes" not in gone["server"]
    assert versions_page(GIT, EVERYBODY, "org.other/gone", Asked(), TOLD) is None


def test_what_changed_since_a_time_includes_what_was_deleted() -> None:
    servers = Shelf((*GIT, *shelf(text("com.contoso/new"), written=WRITTEN + timedelta(hours=1))))
    since = "updated_since=2026-11-01T13:00:00Z"
    assert pages(servers, since) == [["com.contoso/new 1.0.0"]]
    assert walked(servers, "limit=2&updated_since=2026-11-01T12:30:15Z")[-1] == "org.other/gone 1.0.0"


def test_the_versions_of_a_server_are_told_with_the_latest_first() -> None:
    answer = cast("Any", versions_page(GIT, EVERYBODY, "com.contoso/git", Asked(), TOLD))
    told = [(one["server"]["version"], one["_meta"][OFFICIAL]["isLatest"]) for one in answer["servers"]]
    assert told == [("2.0.0-beta.2", True), ("1.10.0", False), ("1.9.0", False)]
    assert answer["metadata"] == {"count": 3}
    assert versions_page(GIT, EVERYBODY, "com.contoso", Asked(), TOLD) is None
    assert item(GIT, "com.contoso/git", "1.11.0") is None


def test_a_scoped_caller_sees_its_own_connections_and_no_sign_of_others() -> None:
    assert pages(GIT, "include_deleted=true", only("git", "nothing")) == [["com.contoso/git 1.10.0"]]
    assert item(GIT, "com.contoso/git", "latest", only("git"))["server"]["version"] == "1.10.0"
    assert item(GIT, "com.contoso/git", "1.9.0", only("git")) is None
    assert pages(GIT, "include_deleted=true", only("git-n*")) == [["com.contoso/git 2.0.0"]]
    two = text("com.contoso/two") + "  other: { clientAuthType: OAuth2, authType: None }\n"
    server = item(shelf(two), "com.contoso/two", "latest", only("two"))["server"]
    assert [one["url"] for one in server["remotes"]] == ["https://mcp.contoso.com/mcp/two"]
    assert server["_meta"]["dev.mcpgov/catalog"] == {"authentication": ["CustomKeys"], "stamp": "stamp"}


def test_a_view_of_servers_goes_by_their_names() -> None:
    view = Reach(servers=compile_wildcards(("com.*",)))
    assert pages(GIT, "version=latest", view) == [["com.contoso/git 2.0.0-beta.2", "com.contoso/old 1.0.0"]]
    assert item(GIT, "org.other/gone", "latest", view, b"include_deleted=true") is None


def test_a_cursor_goes_on_though_its_server_is_gone_or_never_was() -> None:
    for name, version in (("com.contoso/s05", "9.9.9"), ("com.contoso/s05x", "1"), ("com.contoso/s05", "weird")):
        cursor = cursor_of(Asked(), name, version)
        first = pages(MANY, f"limit=1&cursor={cursor}")[0]
        assert first == ["com.contoso/s05 1.0.0" if version == "weird" else "com.contoso/s06 1.0.0"]
    assert pages(MANY, f"cursor={cursor_of(Asked(), 'zzz/z', '1')}") == [[]]


def test_pages_over_any_catalog_hold_what_one_page_would() -> None:
    random = Random(6)
    for _ in range(30):
        names = random.sample(NAMES, 12)
        servers = shelf(
            *(
                text(name, version, connection=f"{name[-3:]}-{number}", more=random.choice(["", "status: deleted\n"]))
                for name in names
                for number, version in enumerate(
                    random.sample(["1", "1.2", "2.0.0-rc.1", "nightly"], random.randint(1, 4))
                )
            )
        )
        query = random.choice(["", "search=1", "version=latest", "include_deleted=true"])
        reach = random.choice([EVERYBODY, only("*-0", "*-2")])
        whole = pages(servers, f"limit=100&{query}", reach)
        assert len(whole) == 1
        assert walked(servers, f"limit={random.randint(1, 5)}&{query}", reach) == whole[0]


def test_nothing_of_an_upstream_is_in_any_answer_and_each_is_a_server_json() -> None:
    website = "server: {{ websiteUrl: 'https://upstream-{}.hosts.example/docs' }}\n".format
    gone = text("com.contoso/b", more="status: deleted\n" + website("b"))
    servers = shelf(text("com.contoso/a", more=website("a")), gone)
    answer = cast("Any", page(servers, EVERYBODY, parse_asked(b"include_deleted=true"), TOLD))
    for hidden in (
        "hosts.example",
        "secret-path",
        "t1",
        "X-Upstream-Key",
        "hidden",
        "HIDDEN_KEY",
        "the-value",
        "backend",
    ):
        assert hidden not in json.dumps(answer)
    assert len(answer["servers"]) == 2
    for one in answer["servers"]:
        meta = {key: value for key, value in one["server"]["_meta"].items() if key != "dev.mcpgov/catalog"}
        plain = {**one["server"], "_meta": meta}
        assert list(wrong_with(ServerJson, plain, Source("s", plain, {}, {}))) == []
        assert one["_meta"]
