"""A Dockerfile, read: its stages, and what each does, in order. As much of the language as ours uses; anything else is
an error and never passed over. Pure.

Source: the Dockerfile reference (line continuation, the shell and the exec form, ARG before FROM).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

DONE_TO_FILES: Final = frozenset({"COPY", "RUN", "USER", "WORKDIR"})
SAID_OF_RUNNING: Final = frozenset({"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "VOLUME"})
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class NotRead(Exception):
    """A line that means something we do not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its name, and what stands behind it on one line."""

    name: str
    text: str

    def words(self) -> list[str]:
        """What stands behind it in the exec form (a JSON list), or as words."""
        return cast("list[str]", json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


@dataclass(frozen=True, slots=True)
class Stage:
    """What is built from `base`, an image or the name of a stage before it."""

    base: str
    name: str
    steps: tuple[Step, ...] = ()

    def last(self, name: str) -> Step | None:
        """The instruction of this name that counts, where only one does."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


def parse_dockerfile(text: str, arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages, in order; `arguments` are those of --build-arg. Raises NotRead."""
    stages: list[Stage] = []
    known: dict[str, str] = {}
    for step in _steps(text):
        if step.name == "ARG" and not stages:
            name, _, value = step.text.partition("=")
            known[name] = (arguments or {}).get(name, value)
        elif step.name == "FROM":
            found = re.fullmatch(r"(\S+)(?: AS (\S+))?", filled(step.text, known))
            if not found:
                raise NotRead(step.text)
            stages.append(Stage(found[1], found[2] or str(len(stages))))
        elif stages and step.name in DONE_TO_FILES | SAID_OF_RUNNING:
            stages[-1] = replace(stages[-1], steps=(*stages[-1].steps, step))
        else:
            raise NotRead(f"{step.name} {step.text}")
    return stages


def lineage(stages: list[Stage], name: str) -> list[Stage]:
    """The stage of this name, and before it those that it is built upon, the first one first."""
    found = next(stage for stage in stages if stage.name == name)
    below = [stage.name for stage in stages if stage.name == found.base]
    return [*lineage(stages, found.base), found] if below else [found]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with every variable replaced by its value, or by nothing."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def environment(stages: list[Stage], given: Mapping[str, str]) -> dict[str, str]:
    """What ENV leaves of a lineage's environment, `given` by what it is built upon."""
    values = dict(given)
    for step in (step for stage in stages for step in stage.steps if step.name == "ENV"):
        before = dict(values)
        for word in step.words():
            name, _, value = word.partition("=")
            values[name] = filled(value, before)
    return values


def _steps(text: str) -> list[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    whole = (line.strip() for line in re.sub(r"\\\n", " ", lines).splitlines())
    parts = (line.partition(" ") for line in whole if line)
    return [Step(name, " ".join(rest.split())) for name, _, rest in parts]
