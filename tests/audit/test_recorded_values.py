"""The digest is of the bytes as they are sent, and values are there where a rule wants them."""

import json
from dataclasses import replace

import pytest

from mcpgov.audit.levels import DEFAULT, Level, LevelRule
from mcpgov.audit.recorded_values import answer_keeper, recorded_arguments
from mcpgov.audit.redact import Digester
from mcpgov.audit.values import redacted
from mcpgov.models import Json
from tests.audit.calls import ARGUMENTS, head, request

DIGESTER = Digester(b"k" * 32)
FULL = LevelRule(Level.REQUEST_RESPONSE)


@pytest.mark.parametrize("arguments", [ARGUMENTS, b"{}", b"null", b'{ "b":1.0,\n"a":"\\u00e4", "c":{"arguments":1}}'])
@pytest.mark.parametrize("method", ["tools/call", "prompts/get"])
def test_the_digest_is_of_the_very_bytes(arguments: bytes, method: str) -> None:
    body = b'{"arguments":0,"params": {"name":"\xc3\xa4", "arguments" : ' + arguments + b' ,"_meta":{}}}'
    params: dict[str, Json] = json.loads(body)["params"]
    asked = replace(request("x", method, about=head()), body=body, params=params)
    assert recorded_arguments(asked, DEFAULT, DIGESTER) == (DIGESTER.fingerprint(arguments), None)
    given, value = recorded_arguments(asked, LevelRule(Level.REQUEST), DIGESTER)
    assert given == DIGESTER.fingerprint(arguments)
    assert value == redacted(params["arguments"], FULL.fields, DIGESTER)


def test_what_is_not_there_has_no_digest() -> None:
    assert recorded_arguments(None, FULL, DIGESTER) == (None, None)
    asked = request(about=head())
    assert recorded_arguments(replace(asked, params={"name": "x"}), FULL, DIGESTER) == (None, None)
    assert recorded_arguments(replace(asked, body=b'{"params":{}}'), DEFAULT, DIGESTER) == (None, None)


def test_an_answer_is_kept_at_the_highest_level_alone() -> None:
    assert [answer_keeper(LevelRule(level), DIGESTER) is None for level in Level] == [True, True, True, False]
    keep = answer_keeper(FULL, DIGESTER)
    assert keep is not None
    assert keep([1]) == redacted([1], FULL.fields, DIGESTER)
