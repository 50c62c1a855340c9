"""Policies in YAML: both parsers read the same, what is read can be written and read back, a document decides."""

from __future__ import annotations

import json
import re

from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.errors import InvalidConfiguration
from mcpgov.policy.document import parse_document
from mcpgov.yaml_source import parse_yaml
from tests.fuzz.documents import decided
from tests.fuzz.target import Target

WORDS = (
    *("inbound:", "outbound:", "backend:", "on-error:", "base: false", "mode: report", "\n  - ", "- ip-filter: {"),
    *("action: allow", "addresses: [10.0.0.0/24]", "rate-limit-by-key: {", "calls: 1", "renewal-period: 60"),
    *("counter-key: principal.id", "set-header: {", "name: x", "exists-action: override", "value: ${{ mcp.method }}"),
    *("choose:", "when: [{", "condition: ", '\'request.headers["x"] == "1"\'', "do: [", "otherwise:", "tool-rules: {"),
    *("allow: [get_*]", "deny: [delete_*]", "hide: false", "${env:X}", "&a", "*a", "!!str", "<<: ", "---", "...", "|2"),
    *("argument-rules: ", "set-variable: ", "return-response: ", "rewrite-uri: ", "find-and-replace: ", "\u2028", "? "),
    *("retry: ", "wait: ", "trace: ", "quota-by-key: ", "limit-concurrency: ", "check-header: ", "validate-jwt: "),
)
LONG_KEY = re.compile(r'"(?:[^"\\]|\\.){500,}":')  # YAML reads 1024 characters of one, as written (YAML 1.2, 7.4.2)


def judge(data: bytes) -> None:
    """One file."""
    text = data.decode("utf-8", "replace")
    try:
        value = parse_yaml(text, "f.yaml").value
    except InvalidConfiguration as invalid:
        assert invalid.problems
        assert all(problem.message for problem in invalid.problems)
    else:
        written = json.dumps(value)
        readable = not LONG_KEY.search(written)
        assert not readable or repr(parse_yaml(written, "f.yaml").value) == repr(value), "the same in JSON is another"
        if isinstance(value, dict) and value and readable:
            assert repr(parse_yaml(yaml_text(value), "f.yaml").value) == repr(value), "written as another"
    try:
        document = parse_document(text, "f.yaml")
    except InvalidConfiguration as invalid:
        assert invalid.problems
        return
    decided(document)


TARGET = Target(judge, WORDS, 4096)
