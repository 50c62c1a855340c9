"""Messages are read back by the grammar of RFC 5424, frame by frame, and no caller's text leaves its place."""

import json
import re
from collections.abc import Iterator

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.syslog import NAMED, Syslog, header
from tests.audit.exports import documented, exported, hostile, raw_hostile, rows

MESSAGE = re.compile(
    r"<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
    r'\[([!-~]{1,32})((?: [a-z]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] (.*)'
)


def frames(body: bytes) -> Iterator[str]:
    """The messages in a stream with octet counting."""
    while body:
        length, _, body = body.partition(b" ")
        yield body[: int(length)].decode()
        body = body[int(length) :]


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_message_is_read_back(found: list[Exported]) -> None:
    (payload,) = Syslog("gateway", 20_000_000).payloads(found)
    for text, one in zip(frames(payload.body), found, strict=True):
        message = MESSAGE.fullmatch(text)
        assert message
        assert text.isprintable()
        assert json.loads(message[9]) == one.fields
        assert message.group(3, 4, 5, 7) == ("gateway", "mcpgov", one.writer, "mcpgov@32473")
        params = dict(re.findall(r' ([a-z]+)="((?:[^"\\\]]|\\.)*)"', message[8]))
        assert (params["log"], params["writer"], params["seq"]) == (one.log, one.writer, str(one.seq))


def test_who_was_refused_is_a_warning() -> None:
    (payload,) = Syslog().payloads(exported(rows()))
    read = [MESSAGE.fullmatch(text) for text in frames(payload.body)]
    assert [message and message[1] for message in read] == ["110", "110", "110", "108", "108"]
    assert read[3]
    assert 'status="denied"' in read[3][8]
    assert read[3][3] == "-"


def test_a_header_has_no_blanks_and_an_end() -> None:
    assert [header(text, 5) for text in ("a b\nc", "", "ü", "abcdefg")] == ["abc", "-", "-", "abcde"]


def test_a_header_keeps_every_printable_character() -> None:
    assert header("!~", 2) == "!~"


def test_the_name_of_an_event_has_32_characters_and_a_file_its_ending() -> None:
    (one,) = exported(rows()[:1])
    (payload,) = Syslog().payloads([Exported(1, "l", "w", 1, one.at, {**one.record, "event": "e" * 40})])
    message = MESSAGE.fullmatch(next(frames(payload.body)))
    assert message
    assert message[6] == "e" * 32
    assert payload.name.endswith(".syslog")


def test_what_is_named_is_a_field_of_records() -> None:
    assert set(NAMED.values()) <= documented()
    assert set(NAMED) == {"call", "correlation", "connection", "tool", "principal", "source", "status", "reason"}
