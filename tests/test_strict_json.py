"""Strict JSON: what two parsers could read differently is refused, everything else is read exactly."""

import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Json
from mcpgov.strict_json import JsonLimits, dumps, parse, with_lines

LIMITS = JsonLimits()
CORPUS = Path(os.environ.get("MCPGOV_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"), "json/test_parsing")

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


def refusal(body: bytes | str, limits: JsonLimits = LIMITS) -> Refusal:
    """The refusal that `body` meets."""
    with pytest.raises(Refusal) as caught:
        parse(body.encode() if isinstance(body, str) else body, limits)
    return caught.value


def same(left: object, right: object) -> bool:
    """Equality that tells 1 from 1.0 and from True, and 0.0 from -0.0."""
    return repr(left) == repr(right)


# -- what is read ------------------------------------------------------------------------------------------------------


@given(TREES)
def test_what_is_written_is_read_back_the_same(tree: Json) -> None:
    assert same(parse(dumps(tree), LIMITS), tree)


@given(TREES)
def test_what_is_written_is_one_line_of_ascii_in_any_reader(tree: Json) -> None:
    written = dumps(tree)
    assert written.isascii()
    assert len(written.decode().splitlines()) == 1


@given(TREES)
def test_raw_utf_8_is_read_like_its_escapes(tree: Json) -> None:
    assert same(parse(json.dumps(tree, ensure_ascii=False).encode(), LIMITS), tree)


@pytest.mark.parametrize("digits", [19, 20, 308])
def test_integers_are_exact(digits: int) -> None:
    for number in (10**digits - 1, -(10 ** (digits - 1))):
        assert parse(dumps({"n": number}), LIMITS) == {"n": number}


def test_numbers_that_json_does_not_have_are_not_written() -> None:
    for number in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            dumps({"n": number})


# -- what is refused: numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1.0E+400", "1e999-5"])
def test_a_number_without_a_finite_value_is_refused_with_its_place(number: str) -> None:
    body = '{"1e999 in a \\"key\\"": "NaN", "a": [12, -3.5e1, ' + number
    found = refusal(body + "]}")
    assert (found.reason, found.message) == (
        Reason.INVALID_JSON,
        f"The number at character {len(body) - len(number)} is not finite.",
    )


LARGEST = int(sys.float_info.max)


@pytest.mark.parametrize("number", [LARGEST, -LARGEST])
def test_the_largest_integer_that_a_double_holds_is_read(number: int) -> None:
    assert parse(b'{"n":%d}' % number, LIMITS) == {"n": number}


@pytest.mark.parametrize("number", [f"{LARGEST * 10}", f"-{LARGEST * 10}", "9" * 309, "9" * 4000, "-" + "9" * 4301])
def test_an_integer_that_no_double_holds_is_refused_with_its_place(number: str) -> None:
    found = refusal('{"9":"' + "9" * 400 + '","n":' + number + "}")
    assert (found.reason, found.message) == (Reason.INVALID_JSON, "The number at character 412 is not finite.")


# -- what is refused: encodings ----------------------------------------------------------------------------------------

ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_utf_8_without_a_mark_is_read(encoding: str) -> None:
    assert refusal('{"a": "é"}'.encode(encoding)).reason is Reason.INVALID_ENCODING


@pytest.mark.parametrize(
    "raw",
    [b"\xe9", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf5\x80\x80\x80"],
    ids=["latin-1", "overlong 2", "overlong 3", "overlong 4", "high surrogate", "low surrogate", "beyond unicode"],
)
def test_bytes_that_are_not_utf_8_are_refused_with_their_place(raw: bytes) -> None:
    found = refusal(b'{"a": "' + raw + b'"}')
    assert (found.reason, found.message) == (Reason.INVALID_ENCODING, "Not UTF-8 at byte 7.")


@pytest.mark.parametrize("half", ["\\ud800", "\\uDBFF", "\\udc00", "\\uDFFF", "\\ud800x", "\\udc00\\ud800"])
@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('"%s"', "The string at $ "),
        ('{"a": [1, {"b": "%s"}]}', 'The string at $["a"][1]["b"] '),
        ('{"a": {"%s": 1}}', 'A key at $["a"] '),
    ],
)
def test_half_a_surrogate_pair_is_refused_with_its_path(body: str, place: str, half: str) -> None:
    found = refusal(body % half)
    assert found.reason is Reason.INVALID_ENCODING
    assert found.message.startswith(place)


def test_a_surrogate_pair_is_one_character_and_an_escaped_backslash_is_no_escape() -> None:
    assert parse(rb'["\ud83d\ude00", "\\ud800"]', LIMITS) == ["\U0001f600", "\\ud800"]


# -- what is refused: duplicate keys -----------------------------------------------------------------------------------


def spelled(key: str, *, escaped: bool) -> str:
    """A JSON string for `key`, plain or with every UTF-16 unit escaped."""
    units = key.encode("utf-16-be")
    hexadecimal = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return '"' + "".join(f"\\u{unit}" for unit in hexadecimal) + '"' if escaped else json.dumps(key)


@given(KEYS, st.lists(KEYS, max_size=4), TREES, st.data())
def test_a_duplicate_key_is_refused_wherever_and_however_it_is_written(
    key: str, others: list[str], value: Json, data: st.DataObject
) -> None:
    names = [*dict.fromkeys(other for other in others if other != key), key]
    members = [f"{json.dumps(name)}:{json.dumps(value)}" for name in names]
    second = f"{spelled(key, escaped=data.draw(st.booleans()))}:{json.dumps(value)}"
    members.insert(data.draw(st.integers(0, len(members))), second)
    body = "{" + ",".join(members) + "}"
    for nesting in data.draw(st.lists(st.sampled_from(["[%s]", '{"x":%s}', '[1,{"y":[%s]}]']), max_size=5)):
        body = nesting.replace("%s", body)
    assert refusal(body).reason is Reason.DUPLICATE_KEY


def test_of_several_keys_the_one_that_stands_twice_is_named() -> None:
    assert '"b"' in refusal('{"a":1,"b":2,"b":3,"c":4}').message


def test_a_duplicate_key_is_named_and_its_values_are_not() -> None:
    assert refusal('{"a": {"tok\\u0065n": "s3cret", "token": "s3cret"}}').message == (
        'The key "token" stands twice in one object.'
    )
    long = refusal("{" + ",".join([f'"{"k" * 1000}": 1'] * 2) + "}").message
    assert len(long) < 100


# -- what is refused: size ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(("levels", "read"), [(63, True), (64, True), (65, False), (900, False), (100_000, False)])
def test_sixty_four_levels_are_read_and_no_more(opening: tuple[str, str], levels: int, *, read: bool) -> None:
    body = opening[0] * levels + "1" + opening[1] * levels
    if read:
        assert parse(body.encode(), LIMITS)
    else:
        assert refusal(body).reason is Reason.TOO_DEEP


def test_brackets_in_a_string_are_not_levels() -> None:
    assert parse(dumps("[" * 1000), LIMITS) == "[" * 1000


def keyed(keys: int) -> bytes:
    """Two objects that have so many keys together."""
    return dumps([{str(n): 0 for n in range(keys - 3)}, {"a": 0, "b": 0, "c": 0}])


def valued(values: int) -> bytes:
    """Lists that hold so many values together."""
    return dumps([[0] * (values - 5), [0, 0, 0]])


def stringed(size: int) -> bytes:
    """A string of so many bytes, the last two of which are one character."""
    return ('["' + "a" * (size - 2) + "\u00e9" + '"]').encode()


def key_stringed(size: int) -> bytes:
    """The same, as a key."""
    return ('{"' + "a" * (size - 2) + "\u00e9" + '": 1}').encode()


def padded(size: int) -> bytes:
    """A body of so many bytes."""
    return b"[" + b" " * (size - 2) + b"]"


@pytest.mark.parametrize(
    ("build", "limit"),
    [
        (keyed, LIMITS.keys),
        (valued, LIMITS.values),
        (stringed, LIMITS.string),
        (key_stringed, LIMITS.string),
        (padded, LIMITS.body),
    ],
)
def test_each_limit_is_read_and_one_more_is_not(build: Callable[[int], bytes], limit: int) -> None:
    for size in (limit - 1, limit):
        assert parse(build(size), LIMITS) is not None
    assert refusal(build(limit + 1)).reason is Reason.TOO_LARGE


def test_many_short_strings_in_a_large_body_are_read() -> None:
    tree: Json = [{"text": "a" * 30_000} for _ in range(60)]
    assert parse(dumps(tree), LIMITS) == tree


def test_limits_can_be_wider() -> None:
    assert parse(b"[" * 100 + b"]" * 100, JsonLimits(depth=100))


# -- what is refused: everything else, and how it is told --------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        "{'a': 1}",
        '{"a": 1,}',
        "[1] 2",
        '{"a" 1}',
        "[01]",
        "[+1]",
        "[.5]",
        "[1.]",
        '"\t"',
        "[\u00a01]",
        "nul",
    ],
)
def test_what_is_not_json_is_refused_with_its_place(body: str) -> None:
    found = refusal(body)
    assert found.reason is Reason.INVALID_JSON
    assert found.message.startswith("Not JSON at character ")


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        tree = parse(body, LIMITS)
    except Refusal:
        return
    assert same(parse(dumps(tree), LIMITS), tree)


@pytest.mark.parametrize("end", [b"", b"\\"])
@pytest.mark.parametrize("unit", [b'\\"', b'""', b'"" ', b"\\", b'"k":1 '])
def test_what_has_many_values_and_strings_without_end_is_counted_once_through(unit: bytes, end: bytes) -> None:
    """Read again from each of its quotes, one body would keep the gateway from everything else for hours."""
    start = b"[" + b"," * (LIMITS.values + 1) + b'"'
    body = start + unit * ((LIMITS.body - len(start) - 1) // len(unit)) + end
    assert refusal(body).reason is Reason.INVALID_JSON


def test_many_values_are_counted_without_keeping_any() -> None:
    body = b"{" + b",".join([b'"k":1'] * 600_000) + b"}"
    tracemalloc.start()
    try:
        assert refusal(body).reason is Reason.TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", [b"", b'"{[,"', b'"\\"["', b' "" "" '])
def test_values_are_counted_to_the_last_and_those_in_strings_are_none(text: bytes) -> None:
    few = JsonLimits(values=3)
    assert refusal(b"[{," * 2 + text, few).reason is Reason.INVALID_JSON
    assert refusal(b"[{," * 2 + text + b"[{", few).reason is Reason.TOO_LARGE


def test_more_values_than_are_read_are_refused_before_they_are_built_and_brackets_in_text_are_none() -> None:
    few = JsonLimits(values=100)
    assert refusal(b"[" + b"[]," * 300 + b"[]]", few).reason is Reason.TOO_LARGE
    assert refusal(b"[[]," * 300, few).reason is Reason.TOO_LARGE  # nothing of it was read: it is no JSON
    assert parse(b'["' + b'{,\\"[' * 300 + b'"]', few) == ['{,\\"['.replace("\\", "") * 300]


def test_deeper_than_the_stack_is_a_refusal_and_never_a_recursion_error() -> None:
    assert refusal(b"[" * 1_000_000, JsonLimits(depth=10**9, values=10**9)).reason is Reason.TOO_DEEP


# -- JSONTestSuite (Nicolas Seriot, MIT) -------------------------------------------------------------------------------

# The texts on which parsers may differ. Numbers: exact or refused; strings: Unicode or refused.
UNDECIDED = {
    "i_number_double_huge_neg_exp": "read",  # underflows to 0.0, as doubles do
    "i_number_huge_exp": Reason.INVALID_JSON,
    "i_number_neg_int_huge_exp": Reason.INVALID_JSON,
    "i_number_pos_double_huge_exp": Reason.INVALID_JSON,
    "i_number_real_neg_overflow": Reason.INVALID_JSON,
    "i_number_real_pos_overflow": Reason.INVALID_JSON,
    "i_number_real_underflow": "read",
    "i_number_too_big_neg_int": "read",  # exactly
    "i_number_too_big_pos_int": "read",
    "i_number_very_big_negative_int": "read",
    "i_object_key_lone_2nd_surrogate": Reason.INVALID_ENCODING,
    "i_string_1st_surrogate_but_2nd_missing": Reason.INVALID_ENCODING,
    "i_string_1st_valid_surrogate_2nd_invalid": Reason.INVALID_ENCODING,
    "i_string_UTF-16LE_with_BOM": Reason.INVALID_ENCODING,
    "i_string_UTF-8_invalid_sequence": Reason.INVALID_ENCODING,
    "i_string_UTF8_surrogate_U+D800": Reason.INVALID_ENCODING,
    "i_string_incomplete_surrogate_and_escape_valid": Reason.INVALID_ENCODING,
    "i_string_incomplete_surrogate_pair": Reason.INVALID_ENCODING,
    "i_string_incomplete_surrogates_escape_valid": Reason.INVALID_ENCODING,
    "i_string_invalid_lonely_surrogate": Reason.INVALID_ENCODING,
    "i_string_invalid_surrogate": Reason.INVALID_ENCODING,
    "i_string_invalid_utf-8": Reason.INVALID_ENCODING,
    "i_string_inverted_surrogates_U+1D11E": Reason.INVALID_ENCODING,
    "i_string_iso_latin_1": Reason.INVALID_ENCODING,
    "i_string_lone_second_surrogate": Reason.INVALID_ENCODING,
    "i_string_lone_utf8_continuation_byte": Reason.INVALID_ENCODING,
    "i_string_not_in_unicode_range": Reason.INVALID_ENCODING,
    "i_string_overlong_sequence_2_bytes": Reason.INVALID_ENCODING,
    "i_string_overlong_sequence_6_bytes": Reason.INVALID_ENCODING,
    "i_string_overlong_sequence_6_bytes_null": Reason.INVALID_ENCODING,
    "i_string_truncated-utf-8": Reason.INVALID_ENCODING,
    "i_string_utf16BE_no_BOM": Reason.INVALID_ENCODING,
    "i_string_utf16LE_no_BOM": Reason.INVALID_ENCODING,
    "i_structure_500_nested_arrays": Reason.TOO_DEEP,
    "i_structure_UTF-8_BOM_empty_object": Reason.INVALID_ENCODING,
}
# The suite asks a parser to read these; here an object has each key once (RFC 8259 section 4: names SHOULD be unique).
STRICTER = {"y_object_duplicated_key": Reason.DUPLICATE_KEY, "y_object_duplicated_key_and_value": Reason.DUPLICATE_KEY}


def verdict(body: bytes) -> str:
    """`read`, or the reason it was refused for."""
    try:
        parse(body, LIMITS)
    except Refusal as found:
        return found.reason
    return "read"


def test_the_json_test_suite_is_decided_as_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = {file.stem: verdict(file.read_bytes()) for file in sorted(CORPUS.glob("*.json"))}
    if not verdicts:
        with capsys.disabled():
            sys.stdout.write("\nleft out: JSONTestSuite, which is not at $MCPGOV_CORPORA/json/test_parsing\n")
        return
    assert [name for name, found in verdicts.items() if name.startswith("n_") and found == "read"] == []
    accepted = {name: found for name, found in verdicts.items() if name.startswith("y_") and found != "read"}
    assert accepted == STRICTER
    assert {name: found for name, found in verdicts.items() if name.startswith("i_")} == UNDECIDED


def test_a_place_in_a_file_is_said_by_line_and_column() -> None:
    text = '{\n  "a": x}'
    with pytest.raises(Refusal) as caught:
        parse(text.encode(), JsonLimits())
    assert with_lines(caught.value.message, text) == "Not JSON at line 2, column 8: Expecting value."
    assert with_lines("Nested too deep.", text) == "Nested too deep."
