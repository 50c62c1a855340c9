"""What would be read as something else further on: headers written with an underscore, names that cannot be shown."""

import pytest

from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import is_disguised, parse_request
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.strict_json import dumps
from tests.endpoint.messages import LIMITS, call, head, post, refused


@pytest.mark.parametrize("name", ["mcp_name", "mcp-protocol_version", "x_forwarded-for", "content_length", "x_real_ip"])
@pytest.mark.parametrize("http_method", ["POST", "GET"])
def test_a_header_of_ours_written_with_an_underscore_is_refused(name: str, http_method: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_request(head((("content-type", "application/json"), (name, "a")), http_method), dumps(call()), LIMITS)
    assert (caught.value.reason, name in caught.value.message) == (Reason.HEADER_INVALID, True)
    assert is_disguised(name)


def test_only_a_name_that_is_ours_with_dashes_is_in_disguise() -> None:
    assert is_disguised("x_own_key", ("x-own-key",))
    for name in ("x_own_key", "x_any", "mcp-name", "authorization", "mcp", "forwarded_"):
        assert not is_disguised(name)


@pytest.mark.parametrize("name", ["get\ncity", "get\u200bcity", "\u202eytic", "get\0", "get\u2028", "x" * 129])
def test_a_tool_whose_name_cannot_be_shown_is_not_called(name: str) -> None:
    found = refused(call(name))
    assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, INVALID_PARAMS, 7)
    assert post(call("get city/\u4eac\u90fd" + "x" * 117)).tool
