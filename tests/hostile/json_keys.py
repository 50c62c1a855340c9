"""Bodies that two parsers could read differently by their keys: J1, which stand twice, and J2, which look alike."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from tests.hostile.wire import EVIL, META, SAFE, STATELESS, Case, call

# Where a body is sent: which connection, in which version.
PLACES: Final = (("raw", STATELESS), ("python", STATELESS), ("python", "2025-11-25"), ("typescript", "2025-11-25"))
ENVELOPE: Final = ("jsonrpc", "id", "method", "params", "result", "error")
PARAMS: Final = ("name", "uri", "arguments", "_meta", "taskId", "task", "cursor", "requestState", "inputResponses")
METAS: Final = ("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities",
    "progressToken")  # fmt: skip
HIDDEN: Final = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u2060\ufeff\ufe0f\u0301\u202e\U000e0061"
CONTROLS: Final = "".join(map(chr, (*range(0x20), 0x7F, 0x80, 0x85, 0x9F)))
FOLDS: Final = {"s": "\u017f", "k": "\u212a", "i": "\u2148", "e": "\u212f", "o": "\u2134", "m": "\u217f", "a": "\u00aa"}

Path = tuple[str | int, ...]


def places(number: int, *, every: bool) -> Sequence[tuple[str, str]]:
    """Where case `number` is sent: everywhere, or at one place in turn."""
    return PLACES if every else (PLACES[number % len(PLACES)],)


def tree(version: str) -> dict[str, Any]:
    """The message that is bent."""
    params: dict[str, Any] = {"name": SAFE, "arguments": {"city": "Kyoto", "deep": {"list": [{"leaf": 1}]}}}
    if version == STATELESS:
        params["_meta"] = dict(META)
    return {"jsonrpc": "2.0", "id": "1", "method": "tools/call", "params": params}


def objects(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every object in a tree, with its path."""
    if isinstance(value, dict):
        node = cast("dict[str, Any]", value)
        yield path, node
        for key, inner in node.items():
            yield from objects(inner, (*path, key))
    if isinstance(value, list):
        for at, inner in enumerate(cast("list[Any]", value)):
            yield from objects(inner, (*path, at))


def written(value: Any, bent: Path, pairs: Sequence[tuple[str, str]], path: Path = ()) -> str:
    """A tree as JSON, with the object at `bent` written as exactly these pairs of texts."""
    if isinstance(value, dict):
        node = cast("dict[str, Any]", value)
        own = [(json.dumps(key), written(inner, bent, pairs, (*path, key))) for key, inner in node.items()]
        return "{" + ",".join(f"{key}:{text}" for key, text in (pairs if path == bent else own)) + "}"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return "[" + ",".join(written(item, bent, pairs, (*path, at)) for at, item in enumerate(items)) + "]"
    return json.dumps(value)


def spellings(key: str) -> Sequence[str]:
    """The same key, as JSON lets it be written."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    first = f"\\u{ord(key[0]):04X}{key[1:]}"
    last = f"{key[:-1]}\\u{ord(key[-1]):04x}"
    return [f'"{one}"' for one in dict.fromkeys((key, escaped, first, last, key.replace("/", "\\/")))]


def evil(value: Any) -> Sequence[str]:
    """What stands under the second key: the same, the evil tool, nothing, an object."""
    return (json.dumps(value), json.dumps(EVIL), "null", json.dumps({"name": EVIL}))


def bend(version: str) -> Iterator[tuple[str, Path, list[tuple[str, str]]]]:
    """Every way to write a key of every object twice."""
    for path, node in objects(tree(version)):
        own = [(json.dumps(key), json.dumps(inner)) for key, inner in node.items()]
        for at, (key, value) in enumerate(node.items()):
            for spelled in spellings(key):
                for second in evil(value):
                    for where in {0, at, at + 1, len(own)}:
                        pairs = [*own[:where], (spelled, second), *own[where:]]
                        yield f"{'.'.join(map(str, path))}: {spelled} at {where}", path, pairs


def duplicates(*, every: bool) -> Iterator[Case]:
    """J1: a key that stands twice, at every depth, in every spelling, before and behind."""
    bent = {version: list(bend(version)) for version in (STATELESS, "2025-11-25")}
    for number in range(max(map(len, bent.values()))):
        for connection, version in places(number, every=every):
            if number < len(bent[version]):
                name, path, pairs = bent[version][number]
                body = written(tree(version), path, pairs).encode()
                yield Case(f"{connection} {version} {name}", call(body, version, f"/mcp/{connection}"))


def look_alikes(key: str) -> Iterator[str]:
    """What a lenient reader takes for this key: other case, other letters, something unseen within."""
    yield from (key.upper(), key.title(), key.swapcase(), key.capitalize())
    for at, letter in enumerate(key):
        start, end = key[:at], key[at + 1 :]
        yield start + letter.swapcase() + end
        if "!" <= letter <= "~":
            yield start + chr(ord(letter) + 0xFEE0) + end
        if letter in FOLDS:
            yield start + FOLDS[letter] + end
    for mark in (*HIDDEN, *CONTROLS):
        yield from (mark + key, key + mark, key[:2] + mark + key[2:])


def folded(*, every: bool) -> Iterator[Case]:
    """J2: a key beside the real one, or in its place, that only looks like it."""
    levels: Mapping[Path, Sequence[str]] = {(): ENVELOPE, ("params",): PARAMS, ("params", "_meta"): METAS}
    number = 0
    for path, keys in levels.items():
        for key in keys:
            for alike in dict.fromkeys(look_alikes(key)):
                if alike == key:
                    continue
                number += 1
                for connection, version in places(number, every=every):
                    if version != STATELESS and path == ("params", "_meta"):
                        continue
                    yield alike_case(version, connection, path, (key, alike))


def alike_case(version: str, connection: str, path: Path, keys: tuple[str, str]) -> Case:
    """The message with one key that looks like another, the evil tool under it."""
    whole, [key, alike] = tree(version), keys
    node = next(node for at, node in objects(whole) if at == path)
    second = {"params": json.dumps({"name": EVIL, "arguments": {}}), "method": '"tools/call"'}.get(key, f'"{EVIL}"')
    pairs = [*((json.dumps(name), json.dumps(value)) for name, value in node.items()), (json.dumps(alike), second)]
    body = written(whole, path, pairs).encode()
    return Case(f"{connection} {version} {alike!r} for {key}", call(body, version, f"/mcp/{connection}"))
