"""Notes are C2SP's: one that another program signed is opened, and what is not signed is not."""

import base64
import re

import pytest

from mcpgov.audit.chain import Chain
from mcpgov.audit.note import Checkpoint, Signer, VerifierKey, opened, unopened

# From the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
LINE = f"\N{EM DASH} PeterNeumann {SIGNATURE}\n"
SIGNER = Signer(bytes(32))
KEY = SIGNER.key
OTHER = Signer(bytes(range(32)))
CHAIN, _ = Chain("w").extended(["{}"])
NOTE = SIGNER.checkpoint(CHAIN)


def test_a_note_that_another_program_signed_is_opened() -> None:
    key = VerifierKey.parse(PETER)
    assert str(key) == PETER
    assert key.opened(f"{TEXT}\n{LINE}") == TEXT


def test_signatures_of_others_are_ignored() -> None:
    key = VerifierKey.parse(PETER)
    strangers = f"\N{EM DASH} stranger {base64.b64encode(bytes(68)).decode()}\n\N{EM DASH} PeterNeumann AAAAAAAA\n"
    assert key.opened(f"{TEXT}\n{strangers}{LINE}") == TEXT
    with pytest.raises(ValueError, match="is not signed by PeterNeumann"):
        key.opened(f"{TEXT}\n{strangers}")


@pytest.mark.parametrize("note", ["", "x", TEXT, LINE, f"{TEXT}{LINE}", NOTE, f"{TEXT}\n{LINE.replace(' ', '-')}"])
def test_what_is_not_signed_is_not_opened(note: str) -> None:
    with pytest.raises(ValueError, match="is not signed"):
        VerifierKey.parse(PETER).opened(note)


def test_a_changed_text_is_not_what_was_signed() -> None:
    with pytest.raises(ValueError, match="the signature of PeterNeumann is false"):
        VerifierKey.parse(PETER).opened(f"{TEXT.replace('your', 'my')}\n{LINE}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        PETER.replace("c7", "c8"),
        PETER[:-4],
        PETER.replace("Neu", " "),
        PETER.replace("ARpc", "AZpc"),
        "+x+\u00e4",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no verifier key"):
        VerifierKey.parse(text)


def test_a_key_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no verifier key"):
        VerifierKey.parse(str(VerifierKey("", KEY.public)))


def test_a_checkpoint_says_whose_log_how_long_and_its_root() -> None:
    assert opened(NOTE, KEY) == opened(NOTE, None) == Checkpoint(f"{KEY.name}/w", 1, CHAIN.root)
    assert opened(NOTE, KEY).writer == "w"
    assert unopened(NOTE) == opened(NOTE, KEY).text


def test_keys_have_names_of_their_own_and_do_not_print() -> None:
    assert KEY.name.startswith("mcpgov.dev/")
    assert KEY.name != OTHER.key.name
    assert bytes(32).hex() not in repr(SIGNER)
    assert SIGNER.sign("x\n") == Signer(bytes(32)).sign("x\n")


def test_a_checkpoint_of_a_log_that_is_not_ours_is_refused_though_our_key_signed_it() -> None:
    with pytest.raises(ValueError, match="not ours"):
        opened(SIGNER.sign(Checkpoint("example.com/log/w", 1, CHAIN.root).text), KEY)


@pytest.mark.parametrize(
    "text", ["", "a\n1\n", "a\n01\nAAAA\n", "a\n-1\n", "a\nx\ny\n", f"a\n1\n{'A' * 44}\n", "a\n\u0661\nb\n"]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        Checkpoint.parse(text)


def test_a_signature_can_be_written_in_one_way_only() -> None:
    assert NOTE.endswith("=\n")
    last = NOTE[-3]
    same_bytes = f"{NOTE[:-3]}{chr(ord(last) ^ 1)}=\n"  # the last bits of base64 say nothing
    with pytest.raises(ValueError, match="is not signed"):
        KEY.opened(same_bytes)


@pytest.mark.parametrize(
    "tail", ["a", "\u2028", f"{LINE}x", "\u2014 a", "\u2014 a AAAA\n", "\n", "\u2014  AAAAAAAA\n", "- a AAAAAAAA\n"]
)
def test_a_line_that_is_no_signature_spoils_the_note(tail: str) -> None:
    assert VerifierKey.parse(PETER).opened(f"{TEXT}\n{LINE}") == TEXT
    with pytest.raises(ValueError, match="is not signed as notes are"):
        VerifierKey.parse(PETER).opened(f"{TEXT}\n{LINE}{tail}")
    with pytest.raises(ValueError, match="is not signed as notes are"):
        VerifierKey.parse(PETER).opened(f"{TEXT}\n{LINE}".removesuffix("\n"))


def test_a_key_is_named_by_sixteen_digits_of_its_public_half() -> None:
    assert re.fullmatch(r"[^/]+/[0-9a-f]{16}", KEY.name)


@pytest.mark.parametrize("signature", ["", "!!!!!!!!", "ZWNobx==", "\u00e9", "AAAAAA=="])
def test_a_signature_that_is_no_base64_or_no_longer_than_an_id_is_none(signature: str) -> None:
    for note in (
        f"{TEXT}\n\N{EM DASH} PeterNeumann {signature}\n{LINE}",
        f"{TEXT}\n\N{EM DASH} other {signature}\n{LINE}",
    ):
        with pytest.raises(ValueError, match="is not signed as notes are"):
            VerifierKey.parse(PETER).opened(note)
