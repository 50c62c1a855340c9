"""`aggregate:` in mcpgov.yaml: what it may say, and what is wrong with it in a catalog."""

from pathlib import Path

import pytest

from mcpgov.aggregate_settings import unfit_aggregate
from mcpgov.errors import InvalidConfiguration
from mcpgov.reload import load_generation
from mcpgov.settings import parse_settings
from mcpgov.yaml_source import parse_yaml
from tests.aggregate.houses import entry


def test_it_says_which_connections_and_what_they_are_called() -> None:
    assert parse_settings("{}", "f").aggregate is None
    found = parse_settings("aggregate: { connections: [github, 'azure-*'] }", "f").aggregate
    assert found is not None
    assert found.connections == ("github", "azure-*")
    assert (found.prefix, found.separator, found.search_tools) == ("always", "_", False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("{ connections: [] }", "is empty"),
        ("{ connections: [Git_hub] }", "not the name of a connection"),
        ("{ connections: [a], separator: '-' }", "separates no names"),
        ("{ connections: [a], separator: '' }", "separates no names"),
        ("{ connections: [a], prefix: sometimes }", "prefix"),
        ("{ connections: [a], search_tools: 1 }", "search_tools"),
    ],
)
def test_what_it_may_not_say(text: str, problem: str) -> None:
    with pytest.raises(InvalidConfiguration, match=problem):
        parse_settings(f"aggregate: {text}", "mcpgov.yaml")


def test_a_connection_that_there_is_not_is_a_problem_and_a_pattern_may_match_none() -> None:
    text = "aggregate: { connections: [githib, 'x-*'] }"
    found, source = parse_settings(text, "f").aggregate, parse_yaml(text, "f")
    assert found is not None
    (problem,) = unfit_aggregate(found, source, ["github"], 1)
    assert (str(problem.message), "github" in problem.mend) == ("there is no connection githib", True)
    assert [one.mend for one in unfit_aggregate(found, source, [], 1)] == ["write its entry, or remove it"]


def test_sessions_are_of_one_worker() -> None:
    text = "aggregate: { connections: ['*'] }"
    found, source = parse_settings(text, "f").aggregate, parse_yaml(text, "f")
    assert found is not None
    (problem,) = unfit_aggregate(found, source, [], 2)
    assert "--workers 1" in problem.mend


def test_it_is_checked_with_the_catalog_unless_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text("aggregate: { connections: [github] }\n")
    (tmp_path / "catalog/a.yaml").write_text("name: [\n")
    with pytest.raises(InvalidConfiguration) as caught:
        load_generation(tmp_path / "mcpgov.yaml")
    assert "no connection" not in str(caught.value)
    (tmp_path / "catalog/a.yaml").write_text(entry("gitlab", "http://127.0.0.1:1/mcp"))
    with pytest.raises(InvalidConfiguration, match="there is no connection github"):
        load_generation(tmp_path / "mcpgov.yaml")
    (tmp_path / "catalog/a.yaml").write_text(entry("github", "http://127.0.0.1:1/mcp"))
    load_generation(tmp_path / "mcpgov.yaml")
