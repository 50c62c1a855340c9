"""rewrite-uri sends a call to another path of the same upstream, and to nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Changes, Reason
from mcpgov.destinations import origin
from mcpgov.policy.elements.rewrite_uri import is_path
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import LOCAL, assert_refused, context, decision, document, performed, policy, problems

FROM_HEADER = "inbound: [rewrite-uri: { template: '/t/${{ request.headers.x }}' }]"


def changes(text: str) -> Changes:
    verdict = decision(text, context(headers={"x": "blue"}))
    assert verdict.allowed, verdict.detail
    return verdict.changes


@pytest.mark.parametrize(
    ("element", "xml", "path", "own_query"),
    [
        ("template: /v2/mcp", 'template="/v2/mcp"', "/v2/mcp", True),
        (
            "copy-unmatched-params: false, template: '/t/${{ request.headers.x }}?a=1'",
            'copy-unmatched-params="false" template="@($"/t/{context.Request.Headers.GetValueOrDefault("x")}?a=1")"',
            "/t/blue?a=1",
            False,
        ),
        ("template: /%7Eme/@a;v=1", 'template="/%7Eme/@a;v=1"', "/%7Eme/@a;v=1", True),
    ],
)
def test_path_is_part_of_the_decision(element: str, xml: str, path: str, *, own_query: bool) -> None:
    for text in (
        f"inbound: [rewrite-uri: {{ {element} }}]",
        f"<policies><inbound><rewrite-uri {xml} /></inbound></policies>",
    ):
        found = changes(text)
        assert (found.path, found.own_query) == (path, own_query)


def test_later_one_wins() -> None:
    text = "inbound: [rewrite-uri: { template: /a, copy-unmatched-params: false }, rewrite-uri: { template: /b }]"
    assert (changes(text).path, changes(text).own_query) == ("/b", True)


OUTSIDE = (
    *("", "a", "@evil.example", "//evil.example", "\\\\evil.example", "/\\evil.example", "https://evil.example/"),
    *("/..", "/a/../b", "/.", "/a/./b", "/%2e%2e/b", "/%2E./b", "/a%2f..%2fb", "/a%5c..%5cb", "/..;x=1/b", "/a#b"),
    *("/a b", "/a\x00", "/a\r\nHost: evil", "/%", "/%zz", "/ü", "/a?b#c", "/a?b c", "/" + "a" * 2048, "/a{b}"),
    *(
        "/a/%252e%252e/b",
        "/a%25b",
        "/a/..%00/b",
        "/a%0d%0ab",
        "/a/..%20/b",
        "/a/%20../b",
        "/a/.%09./b",
        "/a/..%C2%A0/b",
    ),
    *("/a/..%20;x=1/b", "/a/%c0%ae%c0%ae/b", "/a/..%20..%20/b"),
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_two_servers_could_read_differently_is_no_path(path: str) -> None:
    assert not is_path(path)


@pytest.mark.parametrize(
    "path", ["/", "/a/%20/b", "/a?b=%25", "/a/b..c/...", "/a//b", "/a?b=/../c&d?e", "/a%20b", "/:@!$&'()*+,;=-._~"]
)
def test_what_every_server_reads_alike_is_a_path(path: str) -> None:
    assert is_path(path)


@given(st.text(max_size=30))
def test_no_path_leads_to_another_host(text: str) -> None:
    base = "https://api.contoso.com:8443"
    if is_path("/" + text):
        assert origin(f"{base}/{text}") == origin(base)
        assert ".." not in text.partition("?")[0].split("/")


@pytest.mark.parametrize("value", ["../admin", "..%2fadmin", "..", ". .", "?key=s3cret\r\n"])
def test_value_that_leaves_the_path_denies_without_being_quoted(value: str) -> None:
    verdict = decision(FROM_HEADER, context(headers={"x": value}))
    assert (verdict.reason, verdict.rule) == (Reason.POLICY_ERROR, "test#1 rewrite-uri")
    assert verdict.detail == "the rewritten URL is not a path"
    assert verdict.changes.path is None


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("a?admin=true&x=", "/t/a%3Fadmin%3Dtrue%26x%3D"),
        ("a/b", "/t/a%2Fb"),
        ("a b#c;d", "/t/a%20b%23c%3Bd"),
        ("a-b_c.d~e", "/t/a-b_c.d~e"),
    ],
)
def test_value_inside_a_template_adds_no_segment_and_no_query(value: str, path: str) -> None:
    assert decision(FROM_HEADER, context(headers={"x": value})).changes.path == path


def test_value_inside_the_query_adds_no_parameter_and_literal_text_stays_as_it_is() -> None:
    text = "inbound: [rewrite-uri: { template: '/a;v=%41?q=${{ mcp.tool.arguments.q }}&r=1' }]"
    asked = context(arguments={"q": "100%&admin=é"})
    assert decision(text, asked).changes.path == "/a;v=%41?q=100%25%26admin%3D%C3%A9&r=1"


def test_one_expression_alone_says_the_whole_path() -> None:
    asked = context(headers={"x": "/a/b?c=d"})
    assert (
        decision("inbound: [rewrite-uri: { template: '${{ request.headers.x }}' }]", asked).changes.path == "/a/b?c=d"
    )


@pytest.mark.parametrize("value", ["blue", "../admin"])
def test_recorded_verdict_is_the_same_without_the_header(value: str) -> None:
    first = decision(FROM_HEADER, context(headers={"x": value}))
    again = performed(Evaluation(policy(FROM_HEADER), context(), given=first.answers).decide())
    assert again.reason is first.reason


def test_local_server_has_no_url() -> None:
    verdict = decision("inbound: [rewrite-uri: { template: /a }]", context(upstream=LOCAL))
    assert (verdict.reason, verdict.detail) == (
        Reason.POLICY_ERROR,
        "a local server has no URL that could be rewritten",
    )


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- template is missing"]),
        ("{ template: '' }", ["'' } <- template is not a path"]),
        ("{ template: a }", ["a } <- template is not a path"]),
        ("{ template: /a/../b }", ["/a/../b } <- template is not a path"]),
        ("{ template: '/a/{id}' }", ["'/a/{id}' } <- template has a parameter in braces"]),
        ("{ template: '/a${{ nobody }}' }", ["'/a${{ nobody }}' } <- template: "]),
        ("{ template: 5 }", ["5 } <- template must be text"]),
        ("{ template: /a, copy-unmatched-params: 'yes' }", ["'yes' } <- copy-unmatched-params must be true or false"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("rewrite-uri", element, expected)


def test_it_stands_in_inbound_only() -> None:
    (found,) = problems("backend: [rewrite-uri: { template: /a }]")
    assert "rewrite-uri may not stand in backend" in found


def test_what_api_management_would_do_is_told() -> None:
    text = '<policies><inbound><base /><rewrite-uri template="/a" /></inbound></policies>'
    assert [remark.message for remark in document(text).remarks] == [
        "API Management rewrites the URL of the caller; here it is that of the connection"
    ]
    assert document("inbound: [rewrite-uri: { template: /a }]").remarks == ()
