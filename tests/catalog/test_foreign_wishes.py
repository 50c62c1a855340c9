"""What a stranger's entry would have us send, start and trust is refused, or said."""

import pytest

from mcpgov.catalog.foreign_wishes import changes_what_is_loaded, eased, is_private, permitted, started
from mcpgov.credential.references import Unfit
from mcpgov.models import Json

Document = dict[str, Json]
WHERE = "https://u.contoso.com/mcp"
BOTH = f"{WHERE} and https://e.b.com"


def entry(**connection: Json) -> Document:
    return {"upstream": f"{WHERE}?code=hunter2", "connections": {"c": connection}}


CALLER: Document = {"header": "X-T", "audience": "api://b"}
OAUTH: Document = {"clientId": "id", "tokenUrl": "https://t.b.com/t?s=hunter2", "revocationUrl": "https://r.b.com"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (entry(authType="ProjectManagedIdentity", audience="a"), f"sends a token for a to {WHERE}"),
        (entry(authType="AgenticIdentityToken", audience="a"), f"sends a token for a to {WHERE}"),
        (entry(authType="UserEntraToken", audience="a"), f"sends a token for a to {WHERE}"),
        (entry(callerToken=CALLER), f"sends a token for api://b to {WHERE}"),
        (
            entry(authType="UserEntraToken", audience="a", callerToken=CALLER, backends=["https://e.b.com"]),
            f"sends a token for a to {BOTH}; sends a token for api://b to {BOTH}",
        ),
        (
            entry(authType="OAuth2", oauth=OAUTH, backends={"eu": "https://e.b.com"}),
            f"signs in as id at https://t.b.com/t and https://r.b.com, and sends what it gets to {BOTH}",
        ),
    ],
)
def test_a_token_of_ours_is_sent_nowhere_unless_somebody_said_so(document: Document, said: str) -> None:
    with pytest.raises(Unfit) as caught:
        permitted(document, tokens=False)
    assert (str(caught.value), caught.value.mend) == (said, "say --tokens if it may have that")
    assert "; ".join(permitted(document, tokens=True)) == said


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"connections": 1},
        {"connections": {"c": None}},
        entry(authType="CustomKeys", audience="a"),
        entry(authType={}, callerToken=1),
        entry(authType="OAuth2", oauth=1),
    ],
)
def test_what_sends_no_token_needs_no_word(document: Document) -> None:
    assert permitted(document, tokens=False) == ()
    assert not is_private(document)


def test_what_leads_to_private_addresses_is_known_also_by_where_it_signs_in() -> None:
    assert is_private({"private": True})
    assert is_private(entry(authType="OAuth2", oauth={**OAUTH, "private": True}))
    assert not is_private(entry(authType="OAuth2", oauth={**OAUTH, "private": False}))


def test_what_is_trusted_beyond_the_usual_is_said() -> None:
    assert list(eased({"pin": "require", **entry(authType="None")})) == []
    assert list(eased(entry(authType="None"))) == []
    assert list(eased({"pin": "off"})) == ["says pin: off, so that its tools do not wait until somebody approved them"]
    said = list(eased({"pin": "trust-on-first-use", **entry(backends=["https://e.b.com?k=hunter2"], resolve=["a:b"])}))
    assert said[0].startswith("says pin: trust-on-first-use")
    assert said[1:] == ["c leads to https://e.b.com too", "c is reached at addresses that the file names: ['a:b']"]


def test_every_argument_and_variable_of_what_is_started_is_said() -> None:
    env: Document = {"REGION": "eu west", "A": "${env:MCP_C_A}", "API_KEY": "hunter2"}
    document: Document = {"command": ["npx", "-y", "a@1.0.0", "b c"], "env": env, "cwd": "/srv/x y"}
    assert started(document) == (
        "starts on this machine: npx -y a@1.0.0 'b c' with REGION='eu west' A=${env:MCP_C_A} API_KEY=… in '/srv/x y'",
    )
    assert started({"command": "sh"}) == ("starts on this machine: sh",)
    assert started({"upstream": WHERE}) == ()


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "NODE_PATH", "PATH", "HOME"),
        *("npm_config_registry", "NPM_CONFIG_REGISTRY", "Npm_Config_Script_Shell", "PIP_INDEX_URL", "UV_INDEX_URL"),
        *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "DOCKER_HOST", "DOTNET_STARTUP_HOOKS", "BASH_ENV"),
    ],
)
def test_a_variable_that_changes_what_a_program_loads_is_not_taken_over(name: str) -> None:
    assert changes_what_is_loaded(name)
    with pytest.raises(Unfit, match=f"would be started with {name}") as caught:
        started({"command": ["x"], "env": {"REGION": "eu", name: "${env:MCP_C_A}"}})
    assert "write its file yourself" in caught.value.mend


@pytest.mark.parametrize("name", ["NODE_ENV", "PYTHONUNBUFFERED", "LOG_LEVEL", "HOMEPAGE", "BUILD_PATH", "API_KEY"])
def test_other_variables_are_taken_over(name: str) -> None:
    assert not changes_what_is_loaded(name)
