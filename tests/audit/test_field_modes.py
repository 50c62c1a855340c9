"""A value's mode comes from its path, and nothing called like a credential is shown by a wildcard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.audit.field_modes import STEPS, FieldModes, Mode, is_secretive, parse_pattern


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("user", "user", True),
        ("user", "user.email", True),
        ("user.email", "user", False),
        ("user.email", "user.email", True),
        ("user.email", "user.name", False),
        ("email", "user.email", False),
        ("items.*.name", "items.0.name", True),
        ("items.*.name", "items.name", False),
        ("items.1", "items.1", True),
        ("items.1", "items.0", False),
        ("*", "a.b", True),
        ("**", "a.b.c", True),
        ("**.b", "b", True),
        ("**.b", "a.x.b.c", True),
        ("**.b", "a.x", False),
        ("a.**", "a", True),
        ("a.**.z", "a.b.c.z", True),
        ("a.**.z", "a.z", True),
        ("a.**.z", "z", False),
        ("**.a.**.b", "x.a.y.b", True),
        ("**.**", "a", True),
    ],
)
def test_a_pattern_names_what_it_leads_to_and_what_lies_below(pattern: str, path: str, *, named: bool) -> None:
    mode = FieldModes.of({pattern: Mode.CLEAR}).at(tuple(path.split(".")))
    assert mode is (Mode.CLEAR if named else Mode.HMAC)


def test_the_root_is_named_by_any_number_of_steps_alone() -> None:
    assert FieldModes.of({"**": Mode.CLEAR}).at(()) is Mode.CLEAR
    assert FieldModes.of({"*": Mode.CLEAR}).at(()) is Mode.HMAC
    assert FieldModes().at(("a",)) is Mode.HMAC


def test_the_first_pattern_that_matches_counts() -> None:
    modes = FieldModes.of({"user.name": Mode.MASK, "user": Mode.DROP, "**": Mode.CLEAR})
    assert [modes.at(path) for path in (("user", "name"), ("user", "age"), ("other",))] == [
        *(Mode.MASK, Mode.DROP, Mode.CLEAR)
    ]


NAMES = ("password", "Passwd", "db_password", "API-KEY", "x_api_key", "accessToken", "pin")
KEYS = ("aes_key", "hmacKey", "x-functions-key", "license key", "key1", "client_assertion", "dsn", "creds")


@pytest.mark.parametrize("key", [*NAMES, *KEYS])
def test_what_is_called_like_a_credential_is_shown_only_where_its_name_is_written_out(key: str) -> None:
    assert is_secretive(key)
    for shown in (Mode.CLEAR, Mode.MASK):
        for pattern in ("**", "*", "login", f"**.{key}", "login.*", f"**.login.{key}"):
            assert FieldModes.of({pattern: shown}).at(("login", key)) is Mode.HMAC
            assert FieldModes.of({pattern: shown}).at(("login", key, "value")) is Mode.HMAC
        for pattern in (f"login.{key}", f"*.{key}", f"login.{key}.value"):
            assert FieldModes.of({pattern: shown}).at(("login", key, "value")) is shown
    assert FieldModes.of({"**": Mode.CLEAR, f"login.{key}": Mode.MASK}).at(("login", key)) is Mode.MASK
    assert FieldModes.of({"**": Mode.DROP}).at(("login", key)) is Mode.DROP


@pytest.mark.parametrize("key", ["email", "author", "name", "passenger_count", "keyboard", "pinned", "0"])
def test_an_ordinary_name_is_none_of_a_credential(key: str) -> None:
    assert not is_secretive(key)


@pytest.mark.parametrize("written", ["", ".", "a..b", ".a", "a.", ".".join("a" * (STEPS + 1))])
def test_what_is_no_pattern_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_pattern(written)


@given(st.lists(st.sampled_from(["**", "*", "a", "b"]), min_size=1, max_size=8), st.text("ab", max_size=8))
def test_matching_is_what_trying_every_way_finds(pattern: list[str], path: str) -> None:
    def tried(steps: list[str], keys: str) -> bool:
        if not steps:
            return True
        if steps[0] == "**" and tried(steps[1:], keys):
            return True
        return bool(keys) and (
            (steps[0] == "**" and tried(steps, keys[1:])) or (steps[0] in {"*", keys[0]} and tried(steps[1:], keys[1:]))
        )

    found = FieldModes.of({".".join(pattern): Mode.CLEAR}).at(tuple(path))
    assert (found is Mode.CLEAR) is tried(pattern, path)
