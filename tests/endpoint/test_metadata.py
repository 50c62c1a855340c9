"""Protected-resource metadata: what clients are told, and that it says nothing about what there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mcpgov.endpoint.metadata import (
    WELL_KNOWN,
    AuthorizationServer,
    ResourceMetadata,
    accepted_audiences,
    document,
    document_url,
    public_reply,
    scopes_of,
)

GATEWAY = "https://mcp.contoso.com"
ISSUER = "https://login.microsoftonline.com/00000000-1111-2222-3333-444444444444/v2.0"
OTHER = "https://id.contoso.com"
ENTRA = AuthorizationServer(ISSUER, scopes=("Mcp.Use", "Mcp.Read"), entra=True)


def metadata(*servers: AuthorizationServer) -> ResourceMetadata:
    return ResourceMetadata(GATEWAY, servers or (ENTRA,))


def told(path: str, about: ResourceMetadata | None = None, method: str = "GET") -> tuple[int, dict[str, Any]]:
    reply = public_reply(method, WELL_KNOWN + path, about or metadata())
    return reply.status, json.loads(reply.body) if reply.body else {}


def test_a_connection_is_its_own_resource_with_the_scopes_that_entra_takes_for_it() -> None:
    assert told("/mcp/github") == (
        200,
        {
            "resource": f"{GATEWAY}/mcp/github",
            "authorization_servers": [ISSUER],
            "scopes_supported": [f"{GATEWAY}/mcp/github/Mcp.Use", f"{GATEWAY}/mcp/github/Mcp.Read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "mcpgov: github",
        },
    )


def test_the_gateway_itself_has_a_document() -> None:
    status, written = told("")
    assert (status, written["resource"], written["resource_name"]) == (200, GATEWAY, "mcpgov")


def test_the_document_does_not_depend_on_whether_there_is_such_a_connection() -> None:
    one, other = (json.dumps(document(metadata(), name)) for name in ("github", "no-such"))
    assert one.replace("github", "no-such") == other


@pytest.mark.parametrize("path", ["x", "/", "/mcp", "/mcp/", "/mcp/A", "/mcp/a/b", "/mcp/%61", "/mcp/a\n", "/x/a"])
def test_no_other_path_has_one(path: str) -> None:
    assert told(path) == (404, {"error": "not_found"})


def test_without_an_issuer_there_is_none() -> None:
    reply = public_reply("GET", f"{WELL_KNOWN}/mcp/github", None)
    assert (reply.status, json.loads(reply.body)) == (404, {"error": "not_found"})


@pytest.mark.parametrize(
    ("rule", "resource"),
    [
        ("connection", f"{GATEWAY}/mcp/github"),
        ("gateway", GATEWAY),
        ("api://mcpgov", "api://mcpgov"),
        (f"{GATEWAY}/mcp", f"{GATEWAY}/mcp"),
    ],
)
def test_the_resource_follows_the_rule_and_scopes_and_audience_follow_the_resource(rule: str, resource: str) -> None:
    about = metadata(AuthorizationServer(ISSUER, rule, ("Mcp.Use",), entra=True))
    written = document(about, "github")
    assert written["resource"] == resource
    assert written["scopes_supported"] == [f"{resource}/Mcp.Use"]
    assert resource in accepted_audiences(about, ISSUER, "github")


def test_a_bare_origin_is_accepted_in_both_spellings_of_a_url() -> None:
    about = metadata(AuthorizationServer(ISSUER, "gateway"))
    assert accepted_audiences(about, ISSUER, "github") == (GATEWAY, f"{GATEWAY}/")


def test_an_audience_holds_for_its_own_connection_and_its_own_issuer_only() -> None:
    about = metadata(ENTRA, AuthorizationServer(OTHER, "api://elsewhere"))
    assert accepted_audiences(about, ISSUER, "github") == (f"{GATEWAY}/mcp/github",)
    assert accepted_audiences(about, ISSUER, "mail") == (f"{GATEWAY}/mcp/mail",)
    assert accepted_audiences(about, OTHER, "github") == ("api://elsewhere",)
    assert accepted_audiences(about, "https://stranger.example", "github") == ()


def test_entra_is_asked_for_all_that_was_granted_where_no_scope_is_named() -> None:
    assert scopes_of(metadata(AuthorizationServer(ISSUER, entra=True)), "a") == (f"{GATEWAY}/mcp/a/.default",)


def test_other_issuers_have_their_scopes_as_they_are_and_none_where_none_are_named() -> None:
    assert scopes_of(metadata(AuthorizationServer(OTHER, scopes=("mcp", "mcp"))), "a") == ("mcp",)
    assert "scopes_supported" not in document(metadata(AuthorizationServer(OTHER)), "a")


def test_only_servers_with_the_same_resource_stand_in_one_document() -> None:
    alike, apart = AuthorizationServer(OTHER, scopes=("mcp",)), AuthorizationServer("https://x.example", "api://x")
    written = document(metadata(ENTRA, alike, apart), "a")
    assert written["authorization_servers"] == [ISSUER, OTHER]
    assert written["scopes_supported"] == [f"{GATEWAY}/mcp/a/Mcp.Use", f"{GATEWAY}/mcp/a/Mcp.Read", "mcp"]


def test_the_path_of_the_resource_goes_behind_the_well_known_one() -> None:
    assert document_url(metadata(), "a") == f"{GATEWAY}/.well-known/oauth-protected-resource/mcp/a"
    assert document_url(metadata(), "") == f"{GATEWAY}/.well-known/oauth-protected-resource"


def test_any_origin_may_read_it_and_ask_whether_it_may() -> None:
    reply = public_reply("GET", WELL_KNOWN, metadata())
    assert ("access-control-allow-origin", "*") in reply.headers
    assert ("cache-control", "public, max-age=3600") in reply.headers
    asked = public_reply("OPTIONS", WELL_KNOWN, metadata())
    assert (asked.status, asked.body) == (204, b"")
    assert {("access-control-allow-origin", "*"), ("access-control-allow-headers", "*")} <= set(asked.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_cannot_be_written(method: str) -> None:
    reply = public_reply(method, WELL_KNOWN, metadata())
    assert reply.status == 405
    assert ("allow", "GET, HEAD, OPTIONS") in reply.headers


def test_the_document_on_the_page_is_the_one_that_is_served() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sign-in.md").read_text("utf-8")
    shown = re.search(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert shown
    assert json.loads(shown[1]) == document(
        metadata(AuthorizationServer(ISSUER, scopes=("Mcp.Use",), entra=True)), "github"
    )
