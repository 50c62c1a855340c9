"""Each well-known server makes an entry that loads, with the sign-in that its documentation asks for and no secret."""

import pytest

from mcpgov.catalog.entries import Entry, parse_entry
from mcpgov.catalog.presets import PRESETS, drafted, variables_of
from mcpgov.catalog.ways import Choice
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.models import AuthType, RemoteUpstream
from mcpgov.settings_file import stood_in

GUID = "11111111-1111-2222-3333-444444444444"
GIVEN = {"url": "https://x.contoso.com/mcp", "project": "https://x.services.ai.azure.com/api/projects/p/"}


def entry(name: str, kind: AuthType | None = None, **more: str) -> Entry:
    variables = {variable: GIVEN.get(variable, "contoso") for variable in variables_of(PRESETS[name])} | more
    text = yaml_text(drafted(name, Choice(variables=variables), kind, "").document)
    return parse_entry(text, f"{name}.yaml", EnvironmentAndFiles(stood_in({})))


def url(made: Entry) -> str:
    upstream = made.connections[0].connection.upstream
    assert isinstance(upstream, RemoteUpstream)
    return upstream.url


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, preset in PRESETS.items() for kind in preset.choices]
)
def test_every_preset_loads_with_every_way_to_sign_in(name: str, kind: AuthType) -> None:
    (served,) = entry(name, kind, agentIdentity=GUID).connections
    assert served.connection.auth_type is kind
    assert served.connection.name == name
    assert [key for key, _ in served.connection.keys] == (
        list(PRESETS[name].keys) if kind is AuthType.CUSTOM_KEYS else []
    )


def test_the_platforms_own_facts_are_in_them() -> None:
    search = entry("ai-search")
    assert url(search) == "https://contoso.search.windows.net/knowledgebases/contoso/mcp?api-version=2025-11-01-preview"
    assert search.connections[0].connection.sign_in.audience == "https://search.azure.com"
    assert url(entry("ai-search", None, **{"api-version": "2026-01-01"})).endswith("?api-version=2026-01-01")
    assert url(entry("foundry-toolbox")) == (
        "https://x.services.ai.azure.com/api/projects/p/toolboxes/contoso/mcp?api-version=v1"
    )
    assert url(entry("functions")) == "https://contoso.azurewebsites.net/runtime/webhooks/mcp"
    assert len(entry("speech").connections[0].connection.keys) == 2
    assert entry("logic-apps").connections[0].connection.sign_in.audience == "https://logic.azure.com"


@pytest.mark.parametrize(
    ("name", "choice", "kind", "said"),
    [
        ("githubb", Choice(), None, "is not a preset"),
        ("functions", Choice(), None, "needs app"),
        ("github", Choice(), AuthType.OAUTH2, "is not signed in to by OAuth2"),
        ("foundry", Choice(), AuthType.AGENTIC_IDENTITY, "nothing says as which"),
        ("logic-apps", Choice(variables={"url": "http://10.0.0.1/mcp"}), None, "is plain http"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, choice: Choice, kind: AuthType | None, said: str) -> None:
    with pytest.raises(Unfit, match=said) as caught:
        drafted(name, choice, kind, "")
    assert caught.value.mend


def test_a_server_may_have_another_name_and_be_private() -> None:
    made = drafted("github", Choice("own", private=True), None, "com.contoso/gh").document
    assert (made["name"], made["private"]) == ("com.contoso/gh", True)
    assert isinstance(made["connections"], dict)
    assert list(made["connections"]) == ["own"]
