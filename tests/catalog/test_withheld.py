"""What may be a secret is never shown, a reference always is, and what needs a value is named."""

import pytest

from mcpgov.catalog.withheld import is_public, names_a_secret, reference, variables, without_literals


@pytest.mark.parametrize(
    "value",
    [
        "${env:A}",
        "Bearer ${env:A}",
        "${file:/run/a}${env:B}",
        "os.environ/A",
        "true",
        "8080",
        "INFO",
        "Basic ${secret:https://a/secrets/b}",
    ],
)
def test_references_and_plain_words_are_public(value: str) -> None:
    assert is_public("X-Any", value)


@pytest.mark.parametrize(
    "value",
    [
        "ghp_abc",
        "Bearer abc",
        "Bearer",
        "hunter2",
        "",
        "user:${env:PASSWORD}:abc",
        "$${env:A}",
        "os.environ/A b",
        "123456",
        "${x:A}",
    ],
)
def test_any_other_text_may_be_a_secret(value: str) -> None:
    assert not is_public("X-Any", value)


def test_a_header_that_only_steers_is_public() -> None:
    assert is_public("X-MCP-Toolsets", "repos,issues")
    assert not is_public("Authorization", "repos,issues")


def test_what_a_parameter_is_called_says_whether_it_holds_a_secret() -> None:
    assert all(map(names_a_secret, ("code", "sig", "api-key", "access_token", "--password", "sas")))
    assert not any(map(names_a_secret, ("api-version", "tenant", "region", "toolsets")))


def test_a_reference_is_called_after_what_it_is_for() -> None:
    assert reference("git-hub", "X-Api-Key") == "${env:MCP_GIT_HUB_X_API_KEY}"
    assert reference("7zip", "key") == "${env:MCP_7ZIP_KEY}"
    assert reference("!") == "${env:MCP}"


def test_every_literal_becomes_a_reference_and_is_told_without_its_value() -> None:
    document, told = without_literals(
        {
            "name": "com.contoso/x",
            "env": {"KEY": "hunter2", "LOG": "debug", "PORT": "80"},
            "connections": {
                "x": {
                    "keys": {"A": "hunter2", "B": "${env:B}"},
                    "oauth": {"clientId": "id", "clientSecret": "hunter2"},
                },
                "y": None,
            },
        }
    )
    assert document["env"] == {"KEY": "${env:MCP_X_KEY}", "LOG": "debug", "PORT": "80"}
    assert document["connections"] == {
        "x": {
            "keys": {"A": "${env:MCP_X_A}", "B": "${env:B}"},
            "oauth": {"clientId": "id", "clientSecret": "${env:MCP_X_CLIENTSECRET}"},
        },
        "y": None,
    }
    assert len(told) == 3
    assert "hunter2" not in "".join(told)
    assert without_literals({"name": "a/b"}) == ({"name": "a/b"}, ())


def test_the_variables_of_a_document_are_named_once_in_order() -> None:
    assert list(variables({"a": ["${env:B} ${env:A}", {"c": "${env:B}"}], "d": 1, "e": "${file:x}"})) == ["B", "A"]
