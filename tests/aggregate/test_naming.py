"""Names at /mcp: whose they are, and that no two things have one."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.aggregate.naming import Found, Naming, members_of

CONNECTIONS = {"github", "azure-b", "azure-a", "gitlab"}
MEMBERS = ("git", "azure", "git-a")
OWN = st.sampled_from(["search", "azure_search", "git_search", "git_git_search", "git-a_x", "x", "a_x", "_x"])


def found(*pairs: tuple[str, str]) -> list[Found]:
    """What these members list under these names."""
    return [(member, own, {"name": own}) for member, own in pairs]


@pytest.mark.parametrize(
    ("patterns", "allowed", "members"),
    [
        (("gitlab", "github"), None, ("gitlab", "github")),
        (("azure-*", "github"), None, ("azure-a", "azure-b", "github")),
        (("*", "github"), None, ("azure-a", "azure-b", "github", "gitlab")),
        (("*",), ("git*",), ("github", "gitlab")),
        (("*",), (), ()),
        (("gone",), None, ()),
    ],
)
def test_members_are_in_the_order_of_the_setting_then_by_name(
    patterns: tuple[str, ...], allowed: tuple[str, ...] | None, members: tuple[str, ...]
) -> None:
    assert members_of(patterns, CONNECTIONS, allowed) == members


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("always", ["git_only", "git_search", "azure_git_x", "azure_search"]),
        ("conditional", ["only", "git_search", "azure_git_x", "azure_search"]),
        ("never", ["only", "search", "git_x"]),
    ],
)
def test_each_way_of_naming(prefix: str, expected: list[str]) -> None:
    listed = found(("azure", "search"), ("git", "search"), ("git", "only"), ("azure", "git_x"))
    for order in permutations(listed):
        assert [item.name for item in Naming(MEMBERS, prefix).items(order)] == expected


def test_a_prefixed_name_is_read_as_it_was_made() -> None:
    naming = Naming(MEMBERS)
    assert naming.split("git-a_x_y") == ("git-a", "x_y")
    assert naming.split("git__x") == ("git", "_x")
    assert naming.split("gitlab_x") is naming.split("git_") is naming.split("git") is None


@pytest.mark.parametrize("prefix", ["always", "conditional", "never"])
@given(st.sets(st.tuples(st.sampled_from(MEMBERS), OWN)))
def test_one_name_is_one_thing_and_a_prefixed_name_is_its_members(prefix: str, pairs: set[tuple[str, str]]) -> None:
    naming = Naming(MEMBERS, prefix)
    items = naming.items(found(*pairs))
    assert len({item.name for item in items}) == len(items)
    if prefix != "never":
        assert {(item.member, item.own) for item in items} == pairs
        assert all(naming.split(item.name) in {None, (item.member, item.own)} for item in items)
