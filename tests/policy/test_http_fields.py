"""A policy writes only header fields that cannot end a line or change what the message is."""

from __future__ import annotations

import pytest

from mcpgov.policy.http_fields import is_ours, is_token, is_value


@pytest.mark.parametrize("name", ["X-Region", "cookie", "a", "x_y", "!#$%&'*+-.^_`|~09"])
def test_token_is_a_header_name(name: str) -> None:
    assert is_token(name)


@pytest.mark.parametrize("name", ["", "x y", "x:", "x\r\n", "x\n", "é", "x\0", "x/y", '"x"', "x" * 129])
def test_what_is_no_token_is_no_header_name(name: str) -> None:
    assert not is_token(name)


@pytest.mark.parametrize("value", ["", "a", "Bearer a b", "~!", "a\x20\x20b"])
def test_visible_ascii_is_a_header_value(value: str) -> None:
    assert is_value(value)


@pytest.mark.parametrize("value", [" a", "a ", " ", "a\r\nb", "a\n", "a\0", "a\tb", "é", "a\x7f", "\u2028"])
def test_what_could_end_a_line_is_no_header_value(value: str) -> None:
    assert not is_value(value)


@pytest.mark.parametrize(
    "name",
    ["Connection", "transfer-encoding", "Transfer_Encoding", "HOST", "content-length", "Mcp-Name", "mcp_method", "TE"],
)
def test_field_that_carries_the_message_is_ours(name: str) -> None:
    assert is_ours(name)


@pytest.mark.parametrize("name", ["Cookie", "Referer", "X-Correlation-Id", "Authorization", "x-mcp", "mcp"])
def test_other_fields_are_free(name: str) -> None:
    assert not is_ours(name)
