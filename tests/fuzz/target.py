"""What is fuzzed: a target is a judge of bytes, with the words that its language is made of.

A judge returns where the bytes were read or refused as they should be, and raises where a promise is broken: an
AssertionError of its own, or whatever mcpgov should not have raised. It has no state. This file knows nothing of
mcpgov, so that the engine can instrument mcpgov while a target is loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SEEDS, REGRESSIONS = HERE / "seeds", HERE / "regressions"


@dataclass(frozen=True, slots=True)
class Target:
    """`judge` is called with bytes; `words` are what bytes by chance never spell; `longest` in bytes."""

    judge: Callable[[bytes], None]
    words: tuple[str, ...] = ()
    longest: int = 2048


def names() -> tuple[str, ...]:
    """Every target, by its file."""
    return tuple(sorted(file.stem for file in (HERE / "targets").glob("*.py")))


def load(name: str) -> Target:
    """A target by its name; `planted` is the one that tests the engine. Raises ImportError where there is none."""
    folder = "targets." if name in names() else ""
    target = importlib.import_module(f"tests.fuzz.{folder}{name}").TARGET
    assert isinstance(target, Target)
    return target


def kept(name: str) -> tuple[Path, ...]:
    """The cases of a target that are kept: what it began with, and what it once fell over."""
    return tuple(sorted(file for folder in (SEEDS, REGRESSIONS) for file in (folder / name).glob("*")))
