"""References find the value they name, or say what is missing without ever quoting what was found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.credential.references import (
    MAX_FILE_BYTES,
    UNFETCHED,
    EnvironmentAndFiles,
    Unfit,
    has_reference,
    has_secret_of_vault,
    referenced,
    resolve,
    unfetched,
)

SET = {
    "LITERAL": "a os.environ/TOKEN",
    "TOKEN": "s3cret",
    "EMPTY": "",
    "BLANK": " \n",
    "SNEAKY": "${env:TOKEN}",
    "_a1": "x",
}


def resolved(text: str, folder: Path | str = ".") -> str:
    return resolve(text, EnvironmentAndFiles(SET, str(folder))).reveal()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Bearer ${env:TOKEN}", "Bearer s3cret"),
        ("${env:TOKEN}${env:_a1}", "s3cretx"),
        ("", ""),
        ("no reference, $5 and $$ stay", "no reference, $5 and $$ stay"),
        ("$${env:TOKEN}", "${env:TOKEN}"),
        ("$${", "${"),
        ("os.environ/TOKEN", "s3cret"),
        ("os.environ", "os.environ"),
    ],
)
def test_text_is_replaced_where_a_reference_stands(text: str, value: str) -> None:
    assert resolved(text) == value


def test_what_was_found_is_not_looked_at_for_references_again() -> None:
    assert resolved("${env:SNEAKY}") == "${env:TOKEN}"
    assert resolved("${env:LITERAL}") == "a os.environ/TOKEN"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${env:ABSENT}", "environment variable ABSENT, which is not set"),
        ("${env:EMPTY}", "environment variable EMPTY, which is empty"),
        ("${env:BLANK}", "environment variable BLANK, which is empty"),
        ("os.environ/ABSENT", "environment variable ABSENT, which is not set"),
        ("os.environ/TWO WORDS", "cannot be read"),
        ("os.environ/", "cannot be read"),
        ("Bearer os.environ/TOKEN", "os.environ/ inside of text"),
        ("${secret:}", "names no secret of a Key Vault"),
        ("${secret:vault/x}", "names no secret of a Key Vault"),
        ("${secret:http://v.vault.azure.net/secrets/x}", "names no secret of a Key Vault"),
        ("${secret:https://v.vault.azure.net/keys/x}", "names no secret of a Key Vault"),
        ("${secret:https://v.vault.azure.net/secrets/x?a=b}", "names no secret of a Key Vault"),
        ("${secret:https://u@v.vault.azure.net/secrets/x}", "names no secret of a Key Vault"),
        ("${secret:https://v.vault.azure.net/secrets/x/latest}", "names no secret of a Key Vault"),
        ("${secret:https://v.vault.azure.net/secrets/x}", "nothing says who mcpgov is there"),
        ("${TOKEN}", "cannot be read"),
        ("${env:}", "cannot be read"),
        ("${env:TWO WORDS}", "cannot be read"),
        ("${file:}", "cannot be read"),
        ("${env:TOKEN", "cannot be read"),
        ("${{ principal.id }}", "cannot be read"),
        ("${file:absent}", "the file absent, which is not there"),
        ("${file:.}", "the file ., which is not there"),
    ],
)
def test_a_reference_without_a_value_is_refused_with_a_mend(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=says) as caught:
        resolved(text if text.startswith("os.environ/") else f"s3cret {text}", tmp_path)
    assert caught.value.mend
    assert "s3cret" not in str(caught.value) + caught.value.mend


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"k\n", "k"),
        (b"k\r\n", "k"),
        (b"k", "k"),
        (b"k\n\n", "k\n"),
        ("ü".encode(), "ü"),
        (b"k" * 65_536, "k" * 65_536),
    ],
)
def test_a_file_gives_its_text_without_the_last_line_break(content: bytes, value: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    assert resolved("${file:key}", tmp_path) == value
    assert resolved(f"${{file:{tmp_path / 'key'}}}") == value


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "UTF-8"), (b"k" * (MAX_FILE_BYTES + 1), "larger than")],
)
def test_a_file_that_holds_no_secret_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(Unfit, match=says):
        resolved("${file:key}", tmp_path)


def test_a_file_that_cannot_be_read_is_refused_without_a_trace_of_why_python_said_so(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="cannot be read: File name too long"):
        resolved("${file:" + "k" * 300 + "}", tmp_path)


@given(st.text())
def test_any_text_either_resolves_or_is_refused(text: str) -> None:
    try:
        value = resolved(text)
    except Unfit:
        assert has_reference(text)
    else:
        assert has_reference(text) or value == text


def test_a_resolved_value_does_not_print() -> None:
    assert "s3cret" not in repr(resolve("${env:TOKEN}", EnvironmentAndFiles(SET)))


URL = "https://v.vault.azure.net/secrets/github-pat"
VERSION = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("url", [URL, f"{URL}/{VERSION}"])
def test_a_secret_of_a_key_vault_is_fetched_by_its_url(url: str) -> None:
    lookup = EnvironmentAndFiles({}, fetch={url: "s3cret"}.__getitem__)
    assert resolve(f"Bearer ${{secret:{url}}}", lookup).reveal() == "Bearer s3cret"


def test_a_secret_of_a_key_vault_that_is_empty_is_refused() -> None:
    with pytest.raises(Unfit, match=f"the secret {URL}, which is empty"):
        resolve(f"${{secret:{URL}}}", EnvironmentAndFiles({}, fetch={URL: " "}.__getitem__))


def test_it_is_known_which_text_has_a_reference() -> None:
    assert has_reference("Bearer ${env:A}")
    assert has_reference("os.environ/A")
    assert not has_reference("Bearer $ {env}")


def test_it_is_known_which_text_comes_from_a_key_vault() -> None:
    assert has_secret_of_vault(f"Bearer ${{secret:{URL}}}")
    assert not any(map(has_secret_of_vault, ("${env:A}", f"$${{secret:{URL}}}", "secret:", "${", "os.environ/A")))


def test_a_stand_in_is_never_the_same_twice_and_says_that_it_is_one() -> None:
    assert unfetched(URL) != unfetched(URL)
    assert unfetched(URL).startswith(UNFETCHED)


def test_what_is_referred_to_is_told_without_asking_for_it() -> None:
    text = "a: ${env:A} b: $${env:B} c: ${file:/run/c} d: ${secret:https://v/secrets/d} e: ${what:e} f: ${env:} g: ${"
    assert list(referenced(text)) == [("env", "A"), ("file", "/run/c"), ("secret", "https://v/secrets/d")]
