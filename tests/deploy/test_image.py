"""The Dockerfile is one that can be built, and that runs as nobody; scripts/image-check builds and starts it."""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.dockerfile import NotRead, Stage, Step, environment, lineage, parse_dockerfile
from tests.deploy.image_check import USER, parse_check

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
STAGES = parse_dockerfile(TEXT)
PINNED = "python:3.11-slim@sha256:" + "0" * 64


def lines(stage: Stage, name: str) -> list[Step]:
    return [step for step in stage.steps if step.name == name]


def copied(stages: list[Stage]) -> Iterator[str]:
    """What is copied out of the checkout."""
    for step in (step for stage in stages for step in lines(stage, "COPY")):
        words = step.words()
        if not words[0].startswith("--from="):
            yield from (word.rstrip("/") for word in words[:-1])


def admitted(name: str, ignored: list[str]) -> bool:
    """Whether .dockerignore lets a file or folder at the top of the checkout in: the last line that fits counts."""
    fits = [line for line in ignored if fnmatch.fnmatch(name, line.removeprefix("!"))]
    return not fits or fits[-1].startswith("!")


def test_everything_that_is_copied_is_there_and_let_in() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    names = list(copied(STAGES))
    assert len(names) > 5
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert [name for name in names if not admitted(name.partition("/")[0], ignored)] == []


def test_a_file_that_is_not_let_in_is_noticed() -> None:
    assert admitted("mcpgov", ["*", "!mcpgov"])
    assert not admitted("schemas", ["*", "!mcpgov"])


def test_every_image_of_the_outside_is_the_one_base_that_a_release_pins() -> None:
    names = {stage.name for stage in STAGES}
    for given, base in ((None, "python:3.11-slim"), ({"BASE": PINNED}, PINNED)):
        assert {stage.base for stage in parse_dockerfile(TEXT, given)} - names == {base}


def test_what_is_built_unless_a_target_is_named_is_the_gateway() -> None:
    assert STAGES[-1].base == "gateway"
    assert STAGES[-1].steps == ()


@pytest.mark.parametrize("target", ["gateway", "stdio"])
def test_a_target_runs_as_a_number_that_is_not_root_and_says_how_it_is(target: str) -> None:
    built_upon = lineage(STAGES, target)
    users = [step.text for stage in built_upon for step in lines(stage, "USER")]
    assert users[-1] == f"{USER}:{USER}"
    gateway = built_upon[0]
    assert gateway.name == "gateway"
    assert parse_check((gateway.last("HEALTHCHECK") or gateway.steps[0]).text)[0] == "python"
    assert [len(lines(gateway, name)) for name in ("ENTRYPOINT", "CMD", "VOLUME")] == [1, 1, 1]
    assert environment(built_upon, {"PATH": "/bin"})["PATH"].startswith("/opt/mcpgov/bin:/bin")


def test_every_package_is_checked_by_its_hash_and_nothing_names_an_architecture_or_a_host() -> None:
    installs = re.findall(r"pip install [^&\n]*", TEXT)
    assert len(installs) == 4
    assert [one for one in installs if "--require-hashes" not in one and "--no-index" not in one] == []
    assert re.findall(r"amd64|x86_64|arm64|aarch64|https?://(?!127\.0\.0\.1)", TEXT) == []


def test_stages_are_read_with_their_names_and_lines_that_go_on() -> None:
    text = "# said first\nARG BASE=a\nFROM ${BASE} AS one\nRUN x \\\n && y\nFROM one\nENV A=1 B=$A:2\n"
    first, second = parse_dockerfile(text, {"BASE": "b"})
    assert (first, second) == (
        Stage("b", "one", (Step("RUN", "x && y"),)),
        Stage("one", "1", (Step("ENV", "A=1 B=$A:2"),)),
    )
    assert lineage([first, second], "1") == [first, second]
    assert environment([second], {"A": "0"}) == {"A": "1", "B": "0:2"}


@pytest.mark.parametrize("text", ["FROM a AS b c", "RUN x\n", "FROM a\nADD x y\n", "FROM a\nONBUILD RUN x\n"])
def test_what_is_not_known_of_a_dockerfile_is_refused(text: str) -> None:
    with pytest.raises(NotRead):
        parse_dockerfile(text)
