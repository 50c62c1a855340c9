"""Attacks on what decides without a wire: S5, S7, S9, P2, T1, T2 and T4, straight at the code that must see them."""

import ast
import json
import random
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

import mcpgov
from mcpgov.credential.references import Unfit
from mcpgov.credential.strength import check_issued, check_material
from mcpgov.errors import InvalidExpression, Refusal
from mcpgov.pinning.definition_lint import lint_definition
from mcpgov.pinning.definitions import definition_digest
from mcpgov.pinning.finding import Severity
from mcpgov.policy.hidden_text import hidden_spans, without_hidden
from mcpgov.policy.patterns import compile_pattern
from tests.contract.hostile_tokens import UNREADABLE
from tests.contract.test_hostile_tokens import HOSTILE, Door
from tests.hostile.score import Score
from tests.test_execution import MAY_WRITE_CODE

SLOWEST: Final = 10.0  # seconds of CPU for one pattern on four texts: measured 0.7; one that runs away takes days
TOOL: Final[dict[str, Any]] = {
    "name": "get_city",
    "title": "City",
    "description": "Tells what there is to know of a city.",
    "inputSchema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 90}},
    "required": ["city"]},
    "outputSchema": {"type": "object", "properties": {"people": {"type": "integer", "minimum": 0}}},
    "annotations": {"readOnlyHint": True, "destructiveHint": False},
    "icons": [{"src": "https://city.example/icon.png", "mimeType": "image/png"}],
    "_meta": {"com.example/owner": "city"},
}  # fmt: skip


async def tokens(score: Score) -> None:
    """S5: tokens that say themselves how they are to be believed."""
    door = Door()
    for name, token in {**UNREADABLE, **{name: case[0] for name, case in HOSTILE.items()}}.items():
        try:
            await door.reason(token)
            score.count(name, refused=True)
        except AssertionError:
            score.count(name, refused=False)


WEAK: Final = ("changeme", "change-me-please-now", "your-api-key-goes-here", "password12345678",
    "xxxxxxxxxxxxxxxxxxxxxxxx", "<your client secret>", "placeholder-placeholder", "aaaaaaaaaaaaaaaaaaaaaaaa",
               "0123456789abcdef0123", "abcdefghijklmnopqrst", "insecure-development", "default-secret-key-1",
               "example-secret-example", "replace_me_replace_me", "short", "", "secret", "1111111111111111",
               "abcabcabcabcabcabcabc", "1234123412341234", "client_secret_here_123", "********************",
               "p\u0430ssword-\u0441yrillic", "line\nbreak-in-a-secret", " ", "zyxwvutsrqponmlkjihg")  # fmt: skip


def placeholders(score: Score) -> None:
    """S7: secrets that a person typed, copied or left in place."""
    material = (bytes(32), b"\x01" * 64, b"ab" * 16, bytes(range(16)) * 2, b"x" * 31, b"", b"password" * 8,
        b"change-me-" * 7, b"0123456789" * 4)  # fmt: skip
    checks: list[tuple[str, Callable[[], None]]] = [(weak, lambda weak=weak: check_issued(weak)) for weak in WEAK]
    checks += [(key.hex(), lambda key=key: check_material(key.hex(), key)) for key in material]
    for name, check in checks:
        try:
            check()
            score.count(name, refused=False)
        except Unfit:
            score.count(name, refused=True)


BANNED: Final = frozenset({"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads",
    "yaml.load", "yaml.unsafe_load", "subprocess.getoutput", "asyncio.create_subprocess_shell"})  # fmt: skip


def shells(score: Score) -> None:
    """S9: nothing of ours asks a shell, or runs what it reads. Each module of the package is one case."""
    for path in sorted(Path(mcpgov.__file__).parent.rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        written = {"exec"} if path.stem == MAY_WRITE_CODE else set[str]()  # of our own names alone, at import
        found = [f"{path.name}:{node.lineno}" for node in calls if asks_a_shell(node, BANNED - written)]
        score.count(path.name, refused=not found, why=f"calls one at {found}")


def asks_a_shell(node: ast.Call, banned: AbstractSet[str]) -> bool:
    """Whether a call starts a shell, or runs what it is given as text."""
    shell = any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords)
    return shell or ast.unparse(node.func) in banned


REPEATS: Final = ("(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){{{n}}}", "([a-zA-Z]+)*$", "(a*)*b", "(x+x+)+y",
    "(?:a?){{{n}}}a{{{n}}}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(\\w+\\s?)*$", "(.|\\s)*z", "a.*b.*c.*d.*e",
                  "((a{{{n}}}){{{n}}}){{{n}}}", "(a{{0,{n}}}){{0,{n}}}", "[\\x00-\\x{{10ffff}}]{{{n}}}",
                  "(?i)(k|s|\\x{{17f}}){{{n}}}", "(?=a)a", "(a)\\1", "(?<!a)b", "(?>a+)b", "a++b",
                  "((((a?)*)*)*)*", "(a?b?c?d?)*e", "\\pL{{{n}}}")  # fmt: skip


def runaway_patterns(score: Score) -> None:
    """P2: a pattern that runs away is refused when it is read, or ends in time over 64 KiB."""
    texts = ("a" * 65_536, "ab" * 32_768, "x" * 65_535 + "y", " " * 65_536)
    for shape in REPEATS:
        for number in (2, 10, 25, 100, 500, 1000, 5000):
            began = time.process_time()
            try:
                pattern = compile_pattern(shape.format(n=number))
                for text in texts:
                    pattern.search(text)
            except InvalidExpression:
                pass
            took = time.process_time() - began
            score.slowest = max(score.slowest, took)
            score.count(shape.format(n=number), refused=took < SLOWEST, why=f"took {took:.1f} s")


def changed(score: Score, rounds: int) -> None:
    """T1: one letter of a definition, wherever it stands, makes another digest."""
    dice, text = random.Random(3), json.dumps(TOOL)
    known = definition_digest(TOOL)
    while score.cases < rounds:
        at, letter = dice.randrange(len(text)), chr(dice.choice((dice.randrange(32, 127), 0x200B, 0x43E, 0xE9)))
        try:
            other: dict[str, Any] = json.loads(text[:at] + letter + text[at + 1 :])
        except ValueError:
            continue
        if other != TOOL and other.get("name"):
            try:
                score.count(f"{letter!r} at {at}", refused=definition_digest(other) != known, why="has the same digest")
            except Refusal:
                score.count(f"{letter!r} at {at}", refused=True)


UNSEEN: Final = (*(chr(code) for code in (*range(0xE0000, 0xE0080), *range(0x202A, 0x202F), *range(0x2066, 0x206A),
    0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD, 0x34F, 0x180E, 0x3164, 0x115F, 0xFE00, 0xE0100)),
                 "\x1b[2J", "\x1b[8m", "\x1b]8;;http://evil\x07x\x1b]8;;\x07", "\x1b]52;c;ZXZpbA==\x07", "\x9b31m",
                 "\x07", "\x08", "\x7f", "\x00", "\r")  # fmt: skip


def unseen(score: Score) -> None:
    """T2: what a model reads and a person does not see is found in every text of a definition, and can be taken out."""
    for mark in UNSEEN:
        for text in (f"Tells{mark} of a city.", f"{mark}Tells", f"Tells{mark}"):
            clean = not any(True for _ in hidden_spans(without_hidden(text)))
            for bent in texts_with(text):
                found = lint_definition(bent)
                score.count(f"{mark!r} in {sorted(bent)}", refused=clean and bool(found), why="was not found")


def texts_with(text: str) -> Iterator[dict[str, Any]]:
    """The tool with a text in each place that a model reads."""
    yield TOOL | {"description": text}
    yield TOOL | {"title": text}
    yield TOOL | {"inputSchema": {"type": "object", "properties": {"city": {"type": "string", "description": text}}}}
    yield TOOL | {"annotations": {"title": text}}


def bombs(score: Score) -> None:
    """T4: schemas that are too deep, too wide, or somewhere else."""
    for name, schema in bombs_by_name().items():
        found = lint_definition(TOOL | {"inputSchema": schema})
        score.count(name, refused=any(one.severity is Severity.ERROR for one in found))


def bombs_by_name() -> dict[str, dict[str, Any]]:
    """Schemas that no validator should be given."""
    made: dict[str, dict[str, Any]] = {}
    for word in ("not", "items", "additionalProperties", "contains", "if", "propertyNames"):
        for levels in (34, 60):
            deep: dict[str, Any] = {}
            for _ in range(levels):
                deep = {word: deep}
            made[f"{levels} levels of {word}"] = {"type": "object", **deep}
    for word in ("allOf", "anyOf", "oneOf", "prefixItems"):
        made[f"1,001 of {word}"] = {"type": "object", word: [{}] * 1001}
    for word in ("properties", "patternProperties", "$defs", "dependentSchemas"):
        made[f"1,001 of {word}"] = {"type": "object", word: {f"k{at}": {} for at in range(1001)}}
    for reference in (
        "https://evil.example/x.json",
        "file:///etc/passwd",
        "//evil.example/x",
        "x.json",
        "http://169.254.169.254/",
        "urn:x:y",
        "ftp://evil.example/x",
        "../x.json",
    ):
        for word in ("$ref", "$dynamicRef", "$recursiveRef"):
            made[f"{word} to {reference}"] = {"type": "object", "properties": {"city": {word: reference}}}
    made["itself"] = {"type": "object", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "properties": {"x": {"$ref": "#/$defs/a"}}}  # fmt: skip
    return made
