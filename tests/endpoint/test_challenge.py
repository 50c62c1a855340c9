"""Who is invited to sign in, and with which words."""

from typing import Any

import httpx2
import pytest
from mcp.client.auth.utils import extract_resource_metadata_from_www_auth, extract_scope_from_www_auth

from mcpgov.decision import Reason, Reply
from mcpgov.endpoint.challenge import challenge
from mcpgov.endpoint.metadata import AuthorizationServer, ResourceMetadata
from mcpgov.errors import ANSWERS, Refusal
from tests.endpoint.messages import head

METADATA = ResourceMetadata(
    "https://mcp.contoso.com", (AuthorizationServer("https://id.contoso.com", scopes=("a", "b")),)
)
DOCUMENT = "https://mcp.contoso.com/.well-known/oauth-protected-resource/mcp/github"
TOKEN = {"authorization": "Bearer t0ken"}
INVITED = {reason for reason, shape in ANSWERS.items() if shape.status == 401} | {Reason.SCOPE_MISSING}


def told(refusal: Refusal, fields: dict[str, str] | None = None, about: ResourceMetadata | None = METADATA) -> str:
    """The challenge, or nothing."""
    headers = dict(challenge(refusal, head(fields or {}), about))
    return headers.get("WWW-Authenticate", "")


def test_a_caller_without_a_token_is_told_where_and_for_what_and_of_no_error() -> None:
    expected = f'Bearer scope="a b", resource_metadata="{DOCUMENT}"'
    assert told(Refusal(Reason.CREDENTIAL_MISSING, "No.")) == expected
    assert told(Refusal(Reason.CREDENTIAL_INVALID, "No."), {"x-api-key": "k"}) == expected


def test_a_token_that_was_refused_is_an_error_with_its_description() -> None:
    expected = (
        f'Bearer error="invalid_token", error_description="Expired.", scope="a b", resource_metadata="{DOCUMENT}"'
    )
    assert told(Refusal(Reason.JWT_EXPIRED, "Expired."), TOKEN) == expected


def test_a_token_that_is_not_enough_asks_for_another() -> None:
    expected = f'Bearer error="insufficient_scope", scope="a b", resource_metadata="{DOCUMENT}"'
    assert told(Refusal(Reason.SCOPE_MISSING, "No."), TOKEN) == expected


def test_without_an_issuer_nobody_is_invited() -> None:
    assert told(Refusal(Reason.JWT_EXPIRED, "No."), TOKEN, None) == ""


@pytest.mark.parametrize("reason", sorted(set(ANSWERS) - INVITED))
def test_no_other_refusal_invites_to_sign_in(reason: Reason) -> None:
    assert told(Refusal(reason, "No."), TOKEN) == ""
    assert told(Refusal(reason, "No.", reply=Reply(401)), TOKEN) == ""


@pytest.mark.parametrize(("reason", "status"), [(Reason.JWT_EXPIRED, 403), (Reason.SCOPE_MISSING, 401)])
def test_a_policy_that_answers_with_another_status_answers_without_a_challenge(reason: Reason, status: int) -> None:
    assert told(Refusal(reason, "No.", reply=Reply(status)), TOKEN) == ""


@pytest.mark.parametrize("reason", sorted(INVITED))
def test_every_refusal_of_who_calls_does(reason: Reason) -> None:
    assert f'resource_metadata="{DOCUMENT}"' in told(Refusal(reason, "No."), TOKEN)


@pytest.mark.parametrize(
    ("message", "described"),
    [('a"b', "a'b"), ("a\\b", "a'b"), ("a\r\nSet-Cookie: x", "a'Set-Cookie: x"), ("é…", "'"), ("x" * 999, "x" * 200)],
)
def test_a_description_cannot_leave_its_quotes(message: str, described: str) -> None:
    assert f'error_description="{described}"' in told(Refusal(Reason.JWT_MALFORMED, message), TOKEN)


def test_without_scopes_none_are_named() -> None:
    about = ResourceMetadata("https://mcp.contoso.com", (AuthorizationServer("https://id.contoso.com"),))
    assert told(Refusal(Reason.CREDENTIAL_MISSING, "No."), {}, about) == f'Bearer resource_metadata="{DOCUMENT}"'


def test_the_sdk_reads_what_is_told() -> None:
    fields: dict[str, Any] = dict(challenge(Refusal(Reason.JWT_EXPIRED, "It expired, so."), head(TOKEN), METADATA))
    response = httpx2.Response(401, headers=fields)
    assert extract_resource_metadata_from_www_auth(response) == DOCUMENT
    assert extract_scope_from_www_auth(response) == "a b"
