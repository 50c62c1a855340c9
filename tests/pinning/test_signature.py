"""A new tool is shown short, and nothing of it is left out."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mcpgov.models import Json
from mcpgov.pinning.diff import diff_lines, differences
from mcpgov.pinning.signature import new_tool_lines, rebuilt

Object = dict[str, Json]
TIME: Object = {
    "name": "convert_time",
    "title": "Convert",
    "description": "Convert a time.\nBetween zones.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "zone": {"type": "string", "description": "An IANA name."},
            "at": {"type": ["string", "null"], "pattern": "^\\d", "default": None},
            "days": {"type": "array", "items": {"type": "integer"}},
            "odd name": {"description": "Line one\nline two", "enum": ["a", "b"]},
            "free": True,
            "rows": {"type": "array", "items": {"type": "object", "properties": {"x": {"description": "deep"}}}},
        },
        "required": ["zone"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True},
    "icons": [],
}
TOKENS = st.from_regex(r"[a-z]{7}", fullmatch=True)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(10**6, 10**7),
    TOKENS,
    TOKENS.map('{0}\u200b\n\x1b"\\{0}'.format),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["type", "description", "items", "properties", "required"]), TOKENS),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def shown(definition: Object) -> tuple[str, ...]:
    lines = new_tool_lines(differences(None, definition))
    assert lines is not None
    return lines


def test_a_new_tool_is_its_call_what_it_says_and_a_line_for_each_argument() -> None:
    call = 'zone: string, at?: string | null, days?: array of integer, free?: any, "odd name"?: any, rows?: array'
    assert shown(TIME) == (
        f"  convert_time({call})",
        "  title: Convert",
        "  description:",
        "  | Convert a time.",
        "  | Between zones.",
        "  zone: string, required - An IANA name.",
        '  at: string | null {"default":null,"pattern":"^\\\\d"}',
        "  days: array of integer",
        "  free: any true",
        '  "odd name": any {"enum":["a","b"]}:',
        "  | Line one",
        "  | line two",
        '  rows: array {"items":{"properties":{"x":{"description":"deep"}},"type":"object"}}',
        '  inputSchema: {"additionalProperties":false}',
        '  annotations: {"readOnlyHint":true}',
        "  icons: []",
    )
    assert len(shown(TIME)) < len(list(diff_lines(differences(None, TIME)))) / 2


def test_what_changed_in_a_tool_that_was_there_is_not_shown_so() -> None:
    assert new_tool_lines(differences(TIME, {**TIME, "title": "Other"})) is None
    assert new_tool_lines(()) is None


def test_a_text_cannot_pass_for_a_line_of_ours_or_act_on_a_terminal() -> None:
    lines = shown({"name": "x", "description": "fine\nto approve it: mcpgov\x1b[2J", "inputSchema": {}})
    assert "  | to approve it: mcpgov\\u{1B ESCAPE}[2J" in lines


def test_schemas_that_are_none_are_there_as_they_are() -> None:
    schemas: list[Json] = [
        7,
        "text",
        [],
        {"properties": []},
        {"required": "x"},
        {"required": ["gone"]},
        {"type": "array"},
    ]
    for schema in schemas:
        lines = shown({"name": "x", "inputSchema": schema})
        assert lines[0] == "  x()"
        assert lines[1].startswith("  inputSchema: ")


@given(st.dictionaries(st.sampled_from(["name", "title", "description", "inputSchema", "_meta"]), TREES, min_size=1))
def test_nothing_of_a_definition_is_left_out(definition: Object) -> None:
    found = differences(None, definition)
    assert rebuilt(found) == definition
    text = "\n".join(shown(definition))
    said = [step for one in found for step in one.path[1:]] + [one.after for one in found]
    for one in said:
        if isinstance(one, str) and one not in {"type", "description", "items", "properties", "required"}:
            assert all(token in text for token in re.findall("[a-z]{7,}", one))
        elif isinstance(one, int) and one >= 10**6:
            assert str(one) in text
    assert "\x1b" not in text
    assert "\u200b" not in text
