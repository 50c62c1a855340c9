"""Bodies that are no message, or not quite, and those that are to the last byte: J3 to J9, each by construction."""

import json
import random
from collections.abc import Iterator
from typing import Final

from tests.hostile import corpus
from tests.hostile.json_keys import PLACES
from tests.hostile.wire import EVIL, META, SAFE, STATELESS, VERSIONS, Case, Fate, call, fields, message, request

ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "cp037")
LEGACY: Final = ("latin-1", "cp1252", "shift_jis", "gb18030", "euc-jp", "koi8-r")
CHARSETS: Final = ("utf-16", "utf-16le", "UTF-32", "iso-8859-1", "us-ascii", "utf-7", "utf8",
    "utf-8; charset=utf-16", "")  # fmt: skip
MEDIA: Final = ("text/plain", "application/json-rpc", "application/jsonl", "text/json", "", "application/xml",
                "application/json, text/plain", "application/x-www-form-urlencoded", "*/*")  # fmt: skip
RAW_BYTES: Final = (b"\xed\xa0\x80", b"\xc0\xaf", b"\xff", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80",
    b"\xf8\x88\x80\x80\x80")  # fmt: skip


def encodings(*, every: bool) -> Iterator[Case]:
    """J3: anything but UTF-8 without a byte order mark, and anything that is told to be so."""
    del every
    for connection, version in PLACES:
        path, text = f"/mcp/{connection}", message(SAFE, version).decode()
        for name in ENCODINGS:
            yield Case(f"{connection} {version} in {name}", call(text.encode(name), version, path))
        accented = text.replace("Kyoto", "K\u0416\u00e9")
        for name in LEGACY:
            yield Case(
                f"{connection} {version} in {name}",
                call(accented.encode(name, "replace").replace(b"K?", b"K\xe9"), version, path),
            )
        for broken in RAW_BYTES:
            yield Case(
                f"{connection} {version} with {broken!r}", call(text.encode().replace(b"Kyoto", broken), version, path)
            )
        for kind in (*(f"application/json; charset={charset}" for charset in CHARSETS[:-2]), *MEDIA):
            given = fields(version) | {"Content-Type": kind}
            yield Case(f"{connection} {version} as {kind!r}", request(text.encode(), given, path))


NUMBERS: Final = ("0", "-0", "1.0", "1.10", "1e5", "1E+5", "12345678901234567890", "9" * 100, "-9007199254740993",
    "0.1")  # fmt: skip
NOT_NUMBERS: Final = ("NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1E400", "9" * 5000, "01", "+1",
    ".5", "0x10", "1.", "1_0")  # fmt: skip
SURROGATES: Final = ("\\ud800", "\\udc00", "\\udfff\\ud800", "x\\uD83D", "\\ud83dx\\ude00", "\\uDBFF\\uDBFF")


def odd_scalars(*, every: bool) -> Iterator[Case]:
    """J4: half surrogate pairs and what is no number are refused; every number arrives as it was written."""
    del every
    for connection, version in PLACES:
        path, text = f"/mcp/{connection}", message(SAFE, version, arguments={"city": "@"}).decode()
        spots = {"value": '{"city": "@"}', "key": '{"@": 1}', "list": '{"a": ["@"]}'}
        for spot, holder in spots.items():
            for half in SURROGATES:
                body = text.replace('{"city": "@"}', holder.replace("@", half))
                yield Case(f"{connection} {version} {half} as {spot}", call(body.encode(), version, path))
        for half in SURROGATES:
            body = text.replace('"id": "1"', f'"id": "{half}"')
            yield Case(f"{connection} {version} {half} as id", call(body.encode(), version, path))
        for number in NOT_NUMBERS:
            body = text.replace('"@"', number)
            yield Case(f"{connection} {version} the number {number[:20]}", call(body.encode(), version, path))
        for number in NUMBERS:
            yield as_it_is(f"{number[:20]}", (connection, version), f'{{"city": {number}}}')


def as_it_is(name: str, place: tuple[str, str], arguments: str) -> Case:
    """A good message with these arguments, which must arrive with every byte that they have."""
    connection, version = place
    body = message(SAFE, version, arguments={"city": "@"}).decode().replace('{"city": "@"}', arguments).encode()
    raw = call(body, version, f"/mcp/{connection}")
    return Case(f"{connection} {version} {name}", raw, Fate.EXECUTED, body, arguments.encode())


def batches(*, every: bool) -> Iterator[Case]:
    """J6: an array is no message, in no version, however it is dressed."""
    del every
    for version in (*VERSIONS, ""):
        good = message(SAFE, version or "2025-03-26").decode()
        silent = json.dumps({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": EVIL}})
        shapes = ["[]", "[1]", f"[{good}]", f"[{good},{good}]", f"[[{good}]]", f"[{silent}]", f"[{good},{silent}]",
            "[null]"]  # fmt: skip
        shapes += [f"{space}[{good}]" for space in (" ", "\t", "\r\n", "\n\n\n", " \t\r\n" * 100, "\x0b", "\xa0",
            "\ufeff", "\x00", "\x1e")]  # fmt: skip
        shapes += [f"[{good}", f"{good},{good}", f"{good}{good}", f"{good}\n{good}", f"[{good}]]", f"{good}]",
            f"[{good},]"]  # fmt: skip
        shapes += ["[" + ",".join([good] * 10_000) + "]", '["' + EVIL + '"]', f'"{EVIL}"', "null", "7", "true",
            '""', ""]  # fmt: skip
        for shape in shapes:
            for connection in ("raw", "python", "typescript"):
                raw = request(shape.encode(), fields(version), f"/mcp/{connection}")
                yield Case(f"{connection} {version or 'no version'} {shape[:30]!r}", raw)


def without_id(*, every: bool) -> Iterator[Case]:
    """J7: a call that asks for no answer, so that nobody would hear of its refusal."""
    del every
    heads = ("", '"Id": "1",', '"ID": 1,', '"id\\u0000": 1,', '"id ": 1,')
    methods = ("tools/call", "tools\\/call", "\\u0074ools/call", "Tools/Call", "TOOLS/CALL", "tools/call ",
        "tools/calL")  # fmt: skip
    for connection, version in PLACES:
        params = json.dumps({"name": SAFE, "arguments": {}} | ({"_meta": META} if version == STATELESS else {}))
        for head in heads:
            for method in methods:
                body = f'{{"jsonrpc": "2.0",{head} "method": "{method}", "params": {params}}}'.encode()
                name = f"{connection} {version} {method} with {head or 'no id'}"
                yield Case(name, call(body, version, f"/mcp/{connection}"))


BAD_IDS: Final = ("null", "true", "false", "1.5", "1.0", "1e3", "-0.0", "[]", "[1]", "{}", '{"id": 1}', "9" * 5000,
    str(2**63), str(-(2**63) - 1),
                  f'"{"x" * 1025}"', '"\\ud800"', "NaN", "undefined", "'1'", "01")  # fmt: skip
GOOD_IDS: Final = ("0", "-1", "1", str(2**53 - 1), '"1"', '"a b"', f'"{"x" * 1024}"', '"\\u00e9"', '"\\"quoted\\""')


def ids(*, every: bool) -> Iterator[Case]:
    """J8: ids that not every peer keeps as they are; the others come back as they were."""
    del every
    for connection, version in PLACES:
        text = message(SAFE, version).decode()
        for bad in BAD_IDS:
            raw = call(text.replace('"id": "1"', f'"id": {bad}').encode(), version, f"/mcp/{connection}")
            yield Case(f"{connection} {version} id {bad[:20]}", raw)
        for good in GOOD_IDS:
            raw = call(text.replace('"id": "1"', f'"id": {good}').encode(), version, f"/mcp/{connection}")
            yield Case(f"{connection} {version} id {good[:20]}", raw, Fate.EXECUTED, arguments=b'{"city": "Kyoto"}')


LIMITS: Final = {"depth": 64, "keys": 10_000, "string": 1 << 20, "body": 4 << 20}


def sized(version: str, sort: str, size: int) -> tuple[bytes, str]:
    """A message with exactly so much of one sort, and its arguments."""
    own = len(objects_and_keys(version))
    arguments = {
        "depth": lambda: '{"a": ' + "[" * (size - 3) + "]" * (size - 3) + "}",
        "keys": lambda: "{" + ", ".join(f'"k{number}": 1' for number in range(size - own)) + "}",
        "string": lambda: '{"a": "' + "x" * size + '"}',
        "body": lambda: "{}",
    }[sort]()
    body = message(SAFE, version, arguments={"city": "@"}).decode().replace('{"city": "@"}', arguments).encode()
    return (body + b" " * (size - len(body)) if sort == "body" else body), arguments


def objects_and_keys(version: str) -> list[str]:
    """The keys that every message of a version has."""
    return [
        "jsonrpc",
        "id",
        "method",
        "params",
        "name",
        "arguments",
        *(["_meta", *META] if version == STATELESS else []),
    ]


def sizes(*, every: bool) -> Iterator[Case]:
    """J5: each bound of depth and size, one below it, at it, and one beyond."""
    del every
    yield from corpus.cases()
    for version in (STATELESS, "2025-11-25"):
        for sort, limit in LIMITS.items():
            for by in (-1, 0, 1):
                body, arguments = sized(version, sort, limit + by)
                fate = Fate.EXECUTED if by < 1 else Fate.REFUSED
                yield Case(f"{version} {sort} {limit + by}", call(body, version), fate, body, arguments.encode())
        for levels in (65, 201, 1000, 1025, 10_000, 1_000_000):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                body = message(SAFE, version, arguments={"city": "@"}).decode().replace('"@"',
                    opening * levels + "1" + closing * levels)  # fmt: skip
                yield Case(f"{version} {levels} levels of {opening}", call(body.encode(), version))


LETTERS: Final = "aZ09 _-./\\\"\u00e9\u0416\u2028\u2029\u0085\U0001f469\u200d\u0301\u202e\x7f<>&'%{}[]:,"


def any_value(dice: random.Random, depth: int) -> object:
    """Some JSON value."""
    sort = dice.randrange(8 if depth else 6)
    if sort == 7:
        return {text(dice): any_value(dice, depth - 1) for _ in range(dice.randrange(4))}
    if sort == 6:
        return [any_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return (None, True, dice.randrange(-(10**20), 10**20), dice.uniform(-1e6, 1e6), text(dice), dice.randrange(100))[
        sort
    ]


def text(dice: random.Random) -> str:
    """Some text, of letters that trip readers up."""
    return "".join(dice.choice(LETTERS) for _ in range(dice.randrange(12)))


def honest(*, every: bool) -> Iterator[Case]:
    """J9: good messages of every make; what was judged is what the upstream gets, byte for byte."""
    dice = random.Random(7)  # the same messages every time
    for number in range(2000 if every else 400):
        connection, version = PLACES[number % len(PLACES)]
        arguments = {f"{text(dice)}{at}": any_value(dice, 4) for at in range(dice.randrange(5))}
        written = json.dumps(arguments, ensure_ascii=dice.random() < 0.5, indent=dice.choice((None, None, 1, 3)))
        body = message(SAFE, version, arguments={"city": "@"}).decode().replace('{"city": "@"}', written).encode()
        raw = call(body, version, f"/mcp/{connection}")
        yield Case(f"{connection} {version} number {number}", raw, Fate.EXECUTED, body, written.encode())
