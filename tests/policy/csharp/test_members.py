"""What `context` offers, in the words of API Management."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcpgov.models import Principal, PrincipalKind
from mcpgov.policy.context import LastError, Response
from mcpgov.policy.csharp.members import MEMBERS
from mcpgov.policy.draft import Draft
from tests.policy.csharp.drafts import ARGUMENTS, MOMENT, compiled, draft, failure, refusal, value

MESSAGE = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {"name": "get_issue", "arguments": dict(ARGUMENTS)},
}


def answered() -> Draft:
    """A request that was refused, with an answer."""
    given = draft(token="t", n=5, on=True, none=None)
    given.response = Response(429, {"retry-after": "5"})
    given.last_error = LastError("rate-limit", "RateLimitExceeded", "slow down", "inbound", "x.yaml#1", "api", "p1")
    return given


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("RequestId", "c1"),
        ("RequestId.ToString()", "c1"),
        ("Timestamp", MOMENT),
        ("Tracing", False),
        ("Request.Method", "POST"),
        ("Request.IpAddress", "10.0.0.7"),
        ("Request.Url.Path", "/mcp/github"),
        ("Request.Url.Host", "gate.contoso.com"),
        ("Request.Url.Scheme", "https"),
        ("Request.Url.QueryString", ""),
        ("Request.OriginalUrl.ToString()", "https://gate.contoso.com/mcp/github"),
        ('Request.Url.Query.GetValueOrDefault("a", "b")', "b"),
        ('Request.Url.Query.GetValueOrDefault("a")', None),
        ('Request.Url.Query.ContainsKey("a")', False),
        ('Request.MatchedParameters.ContainsKey("a")', False),
        ('Request.MatchedParameters.GetValueOrDefault("a", null)', None),
        ('Request.Headers.GetValueOrDefault("X-Region")', "eu"),
        ('Request.Headers.GetValueOrDefault("X-Region", "us")', "eu"),
        ('Request.Headers.GetValueOrDefault("X-Other", "us")', "us"),
        ('Request.Headers.GetValueOrDefault("X-Other")', None),
        ('Request.Headers.GetValueOrDefault("Accept")', "a, b"),
        ('Request.Headers.GetValueOrDefault("Authorization", "none")', "none"),
        ('Request.Headers.ContainsKey("x-REGION")', True),
        ('Request.Headers.ContainsKey("Authorization")', False),
        ('Request.Headers["X-Region"].First()', "eu"),
        ('Request.Headers["X-Region"].Length', 1),
        ("Request.Body.As<JObject>()", MESSAGE),
        ("Request.Body.As<JObject>(preserveContent: true)", MESSAGE),
        ("Request.Body?.As<JToken>(true)", MESSAGE),
        ('Request.Body.As<string>().Contains("get_issue")', True),
        ("Response.StatusCode", 429),
        ("Response.StatusReason", "Too Many Requests"),
        ('Response.Headers.GetValueOrDefault("Retry-After", "0")', "5"),
        ("LastError.Source", "rate-limit"),
        ("LastError.Reason", "RateLimitExceeded"),
        ("LastError.Message", "slow down"),
        ("LastError.Section", "inbound"),
        ("LastError.Path", "x.yaml#1"),
        ("LastError.Scope", "api"),
        ("LastError.PolicyId", "p1"),
        ("LastError != null", True),
        ("Api.Id", "github"),
        ("Api.Name", "github"),
        ("Api.Path", "mcp/github"),
        ("Api.Version", ""),
        ("Api.Revision", "1"),
        ("Api.IsCurrentRevision", True),
        ("Operation.Id", "get_issue"),
        ("Operation.Name", "get_issue"),
        ("Operation.Method", "POST"),
        ("Operation.UrlTemplate", "/mcp/github"),
        ("Subscription.Id", "key:k1"),
        ("Subscription.Name", "first"),
        ("Product.Id", "agents"),
        ("Product?.Name", "agents"),
        ("User.Id", "key:k1"),
        ("User.Name", "first"),
        ("Deployment.Region", ""),
        ("Deployment.ServiceName", "mcpgov"),
        ("Deployment.GatewayId", "mcpgov"),
        ('Variables["token"]', "t"),
        ('Variables.ContainsKey("token")', True),
        ('Variables.ContainsKey("other")', False),
        ('Variables.GetValueOrDefault("token")', "t"),
        ('Variables.GetValueOrDefault("other")', None),
        ('Variables.GetValueOrDefault("n", 0) + 1', 6),
        ('Variables.GetValueOrDefault("other", 1) + 1', 2),
        ('Variables.GetValueOrDefault("other", null)', None),
        ('Variables.GetValueOrDefault<string>("token")', "t"),
        ('Variables.GetValueOrDefault<string>("other")', None),
        ('Variables.GetValueOrDefault<string>("other", null)', None),
        ('Variables.GetValueOrDefault<int>("other")', 0),
        ('Variables.GetValueOrDefault<int?>("other")', None),
        ('Variables.GetValueOrDefault<bool>("on", false)', True),
        ('Variables.GetValueOrDefault<DateTime>("other").Year', 1),
        ('Variables.GetValueOrDefault<string>("none", "x")', None),
    ],
)
def test_context_offers_what_it_does_in_api_management(member: str, expected: object) -> None:
    assert value(f"context.{member}", answered()) == expected


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ('Variables["other"]', "an index has no value for what it was given"),
        ('Variables.GetValueOrDefault<int>("token")', "GetValueOrDefault has no value for what it was given"),
        ('Variables.GetValueOrDefault<bool>("none")', "GetValueOrDefault has no value for what it was given"),
        ('Request.Headers["X-Other"]', "an index has no value for what it was given"),
        ('Request.Url.Query["id"]', "an index has no value for what it was given"),
        ("Response.StatusCode", "Response.StatusCode is asked of null"),
        ("LastError.Source", "LastError.Source is asked of null"),
    ],
)
def test_what_is_not_there_is_an_error(member: str, expected: str) -> None:
    assert failure(f"context.{member}", draft(token="t", none=None)) == expected


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("Response.Body.As<string>()", "Response.Body: reading the body of an answer would hold up a stream"),
        ("Request.Certificate", "Request.Certificate: the client's certificate is not visible to expressions here"),
        ("Subscription.Key", "Subscription.Key: the caller's credential is not visible to expressions"),
        ("Subscription.PrimaryKey", "Subscription.PrimaryKey: the caller's credential is not visible to expressions"),
        ("Elapsed", "context.Elapsed: the time that passed would make a decision that cannot be made again"),
        ('Variables["t"].TryParseJwt(1)', "string.TryParseJwt: a method here gives one value (use AsJwt(): null where"),
        ("RequestId.AsBasic()", "string.AsBasic: the caller's credential is not visible to expressions"),
        ("Requst", "there is no context.Requst (did you mean Request?)"),
        ("Request.Path", "there is no Request.Path (known here: Body, Headers"),
        ("Request.Body.As<JArray>()", "Body.As does not take <JArray>()"),
        ("Request.Body.As()", "Body.As does not take ()"),
        ("Request.Headers.Where(1)", "LINQ (Where) is not supported in expressions here"),
        ("Request.Method()", "Request.Method is no method (remove the parentheses)"),
        ("RequestId.Trim", "string.Trim is a method (write Trim(…))"),
        ("RequestId.Trim<string>()", "string.Trim does not take <string>()"),
        ("RequestId.Substring(true)", "string.Substring does not take (bool)"),
        ("Body[1]", "there is no context.Body"),
        ("Request[1]", "there is no Request[…]"),
    ],
)
def test_what_context_does_not_offer_is_refused_by_name(member: str, expected: str) -> None:
    assert expected in refusal(f"context.{member}")


def test_a_status_that_nobody_knows_has_no_reason() -> None:
    given = draft()
    given.response = Response(599)
    assert failure("context.Response.StatusReason", given) == "StatusReason has no value for what it was given"


def test_a_message_has_what_the_request_has() -> None:
    assert value("context.Operation.Id", draft("ping")) == "ping"
    assert value("context.Request.Body.As<JObject>()", draft("ping")) == {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    assert value("context.Request.Body == null", draft("")) is True
    given = draft("ping")
    given.context = replace(given.context, request=replace(given.context.request, id=None))
    assert value("context.Request.Body.As<JObject>()", given) == {"jsonrpc": "2.0", "method": "ping"}


def test_a_caller_without_a_project_has_no_product() -> None:
    given = draft()
    given.context = replace(given.context, principal=Principal("u1", PrincipalKind.KEY, object_id="o1"))
    assert value("context.Product == null", given) is True
    assert value("context.User.Id", given) == "o1"


def test_an_edited_header_is_seen_and_a_credential_is_not() -> None:
    program = compiled('context.Request.Headers.GetValueOrDefault("Cookie", "none")')
    assert "Cookie is not visible to expressions here" in program.notes[0]
    assert compiled('context.Request.Headers.GetValueOrDefault("X-" + "Region")').notes == ()


@pytest.mark.parametrize(
    ("member", "note"),
    [
        ('Request.Url.Query.GetValueOrDefault("a", "b")', "a query is always empty here"),
        ('Request.OriginalUrl.Query.ContainsKey("a")', "a query is always empty here"),
        ('Request.Url.Query["a"]', "a query is always empty here"),
        ("Request.OriginalUrl.QueryString", "a query is always empty here"),
        ('Request.MatchedParameters.GetValueOrDefault("a")', "MatchedParameters is always empty here"),
        ("Deployment.Region", "Deployment.Region is always empty here"),
    ],
)
def test_what_is_always_empty_is_noted(member: str, note: str) -> None:
    (said,) = compiled(f"context.{member}").notes
    assert said.startswith(note)


def test_every_member_that_gives_another_thing_names_one_that_is_known() -> None:
    results = {one.result.name for table in MEMBERS.values() for methods in table.values() for one in methods}
    assert results - set(MEMBERS) == {"T"}
