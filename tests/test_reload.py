"""A generation is put in force whole, or the last good one stays; whoever asks hears why."""

import asyncio
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from mcpgov.accounts import owners_of
from mcpgov.errors import InvalidConfiguration
from mcpgov.reload import Generations, ReloadResult, load_generation, read_files

SETTINGS = "global_policies: [default]\n"
ENTRY = """\
name: com.contoso/github
upstream: https://mcp.contoso.com/
connections:
  github: { authType: CustomKeys, keys: { X-Key: "${env:KEY}" }, policies: [] }
"""
POLICY = "inbound:\n  - tool-rules: { deny: [delete_*] }\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "gateway"
    for name, text in (("mcpgov", SETTINGS), ("catalog/github", ENTRY), ("policies/default", POLICY)):
        place = root / f"{name}.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


async def silent(_: ReloadResult) -> None:
    """A report that nobody reads."""


def generations(folder: Path, variables: dict[str, str] | None = None) -> Generations:
    return Generations(folder / "mcpgov.yaml", silent, variables or {"KEY": "k"})


def names(folder: Path) -> list[str]:
    return list(load_generation(folder / "mcpgov.yaml", {"KEY": "k"}).connections)


def test_a_folder_is_loaded_whole(folder: Path) -> None:
    snapshot = load_generation(folder / "mcpgov.yaml", {"KEY": "k"})
    assert snapshot.connections["github"].keys[0][1].reveal() == "k"
    assert [step.rule for step in snapshot.policy("github").general.inbound] == ["default#1 tool-rules"]
    assert snapshot.settings.global_policies == ("default",)
    assert len(snapshot.stamp) == 64


def test_without_settings_the_current_folder_is_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mcpgov.yaml").unlink()
    monkeypatch.chdir(folder)
    snapshot = load_generation(None, {"KEY": "k"})
    assert list(snapshot.connections) == ["github"]
    assert snapshot.policy("github").is_empty


def test_the_stamp_is_the_same_for_the_same_bytes_and_no_others(folder: Path, tmp_path: Path) -> None:
    def stamp(place: Path) -> str:
        return load_generation(place / "mcpgov.yaml", {"KEY": "k"}).stamp

    before = stamp(folder)
    moved = folder.rename(tmp_path / "moved")
    assert stamp(moved) == before
    stamps = {before}
    for place in ("mcpgov.yaml", "catalog/github.yaml", "policies/default.yaml"):
        (moved / place).write_text((moved / place).read_text() + "# touched\n")
        stamps.add(stamp(moved))
    (moved / "policies/more.yml").write_text(POLICY)
    stamps.add(stamp(moved))
    assert len(stamps) == 5
    assert load_generation(moved / "mcpgov.yaml", {"KEY": "other"}).stamp in stamps  # no digest of a secret


def test_only_yaml_files_that_are_not_hidden_are_read(folder: Path) -> None:
    for name in ("README.md", ".github.yaml.swp", ".#github.yaml", "github.yaml~", ".hidden.yaml", "notes.txt"):
        (folder / "catalog" / name).write_text("not: [yaml")
    (folder / "catalog" / "old").mkdir()
    (folder / "catalog" / "time.yml").write_text("name: a/time\ncommand: [sleep]\nconnections: { time: {} }")
    assert names(folder) == ["github", "time"]


def test_policies_may_be_missing_where_none_is_named(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("{}")
    (folder / "policies" / "default.yaml").unlink()
    (folder / "policies").rmdir()
    assert names(folder) == ["github"]


def test_an_empty_catalog_serves_nothing(folder: Path) -> None:
    (folder / "catalog" / "github.yaml").unlink()
    assert names(folder) == []


def test_bad_entries_hide_neither_each_other_nor_what_is_in_force(folder: Path) -> None:
    holder, catalog = generations(folder), folder / "catalog"
    good = holder.current()
    entry = "name: {}\nupstream: {}\nconnections: {{ {}: {{}} }}\n"
    bad = {
        "a-name": (entry.format("no slash", "https://a.example", "a"), "is not a server name of the MCP registry"),
        "b-connection": (entry.format("x/b", "https://a.example", "B!"), "is not the name of a connection"),
        "c-metadata": (entry.format("x/c", "https://169.254.169.254/latest", "c"), "not a public address"),
        "d-octal": (entry.format("x/d", "https://0251.0376.0251.0376/", "d"), "not a public address"),
        "e-here": (entry.format("x/e", "https://localhost/", "e"), "a name on your own network"),
        "f-plain": (entry.format("x/f", "http://a.example", "f"), "is plain http"),
        "n-twice": (entry.format("com.contoso/github", "https://a.example", "g"), "is also in"),
        "h-large": ("#" * 50_000_000, "larger than 1048576 bytes"),
        "i-deep": ("x: " + "[" * 10_000, "nested deeper than 32 levels"),
        "j-alias": ("a: &a [*a]", "an alias is not allowed"),
    }
    for name, (text, _) in bad.items():
        (catalog / f"{name}.yaml").write_text(text)
    (catalog / "k-loop.yaml").symlink_to("k-loop.yaml")
    (catalog / "l-folder.yaml").symlink_to(catalog)
    told = {Path(problem.file).stem: str(problem) for problem in holder.try_reload().problems}
    for name, said in {name: said for name, (_, said) in bad.items()}.items():
        assert said in told[name]
    assert "cannot be read" in told["k-loop"]
    assert "this is not a file" in told["l-folder"]
    assert holder.current() is good


def test_a_catalog_that_leads_to_itself_is_told(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "mcpgov.yaml").write_text("catalog: loop")
    with pytest.raises(InvalidConfiguration, match=r"the folder .*loop cannot be read"):
        names(folder)


def test_every_problem_of_every_file_is_told_at_once(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("listen: x\nglobal_policies: [defalt]\n")
    (folder / "catalog" / "other.yaml").write_text("nam: x")
    (folder / "catalog" / "third.yaml").write_text(ENTRY.replace("[]", "[absent]"))
    (folder / "policies" / "bad.yaml").write_text("inbound: [{ ip-filtr: {} }]")
    (folder / "policies" / "default.yml").write_text(POLICY)
    with pytest.raises(InvalidConfiguration) as caught:
        load_generation(folder / "mcpgov.yaml", {"KEY": "k"})
    files = [Path(problem.file).name for problem in caught.value.problems]
    assert files == [*["other.yaml"] * 3, *["third.yaml"] * 3, "mcpgov.yaml", "bad.yaml", "default.yml"]


def test_a_global_policy_that_does_not_exist_is_told_with_its_place(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("global_policies: [defalt]\n")
    with pytest.raises(
        InvalidConfiguration, match=r"mcpgov\.yaml:1:19: there is no policy defalt \(did you mean default"
    ):
        names(folder)


def test_the_folders_of_broken_settings_are_read_all_the_same(folder: Path) -> None:
    (folder / "catalog").rename(folder / "entries")
    (folder / "mcpgov.yaml").write_text("catalog: entries\npolicies: 7\nlisten: x\n")
    assert list(read_files(folder / "mcpgov.yaml").catalog) == [folder / "entries" / "github.yaml"]


@contextmanager
def without_rights(place: Path) -> Generator[None]:
    """A file that may not be read; root, who may read everything, becomes nobody for the while."""
    user = os.geteuid()
    place.chmod(0)
    try:
        if user == 0:
            os.seteuid(65_534)
        yield
    finally:
        os.seteuid(user)
        place.chmod(0o644)


@contextmanager
def contents(place: Path, content: bytes) -> Generator[None]:
    """Another content for the while."""
    before = place.read_bytes()
    place.write_bytes(content)
    yield
    place.write_bytes(before)


@contextmanager
def replaced(place: Path, make: Callable[[Path], None]) -> Generator[None]:
    """Something else than a file of its own for the while."""
    aside = place.rename(place.with_name(".aside"))
    make(place)
    yield
    if place.is_dir():
        place.rmdir()
    else:
        place.unlink()
    aside.rename(place)


@contextmanager
def gone(folder: Path) -> Generator[None]:
    """A file or folder that was deleted for the while."""
    aside = folder.rename(folder.with_name(".aside"))
    yield
    aside.rename(folder)


BAD_CONTENTS = {
    "empty": b"",
    "only a comment": b"# later",
    "truncated": ENTRY[: ENTRY.index("}")].encode(),
    "half-written": ENTRY[: ENTRY.index("connections")].encode(),
    "bad YAML": b"name: [",
    "tabs": b"name:\n\t- x",
    "alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
    "unknown key": ENTRY.encode() + b"upstrem: x",
    "duplicate key": ENTRY.encode() + b"name: com.contoso/other",
    "tag": b"!!python/object/apply:os.system [x]",
    "two documents": ENTRY.encode() + b"---\n" + ENTRY.encode(),
    "not UTF-8": b"\xff\xfe" + ENTRY.encode("utf-16-le"),
    "control character": b"name: \x00",
    "too large": b"#" + b" " * (1024 * 1024),
    "too deep": b"[" * 200,
    "list": b"- name",
    "missing variable": ENTRY.replace("env:KEY", "env:ABSENT").encode(),
    "private address": ENTRY.replace("mcp.contoso.com", "127.1").encode(),
    "later feature": ENTRY.replace("CustomKeys", "OAuth2").encode(),
    "unknown policy": ENTRY.replace("[]", "[absent]").encode(),
}
BAD_FILES: tuple[Callable[[Path], None], ...] = (
    Path.mkdir,
    os.mkfifo,
    lambda place: place.symlink_to("absent"),
    lambda place: place.symlink_to(place.name),
    lambda place: place.symlink_to("../policies/default.yaml"),
)


@pytest.mark.parametrize("name", ["mcpgov.yaml", "catalog/github.yaml", "policies/default.yaml"])
def test_a_bad_file_keeps_the_last_good_generation_100_times_of_100(folder: Path, name: str) -> None:
    holder, place = generations(folder), folder / name
    good = holder.current()
    spoilers = [
        *(partial(contents, place, content) for content in BAD_CONTENTS.values()),
        *(partial(replaced, place, make) for make in BAD_FILES),
        partial(without_rights, place),
    ] * 4
    kept = 0
    for spoiler in spoilers:
        with spoiler():
            result = holder.try_reload()
        kept += (
            bool(result.problems) and (result.old, result.new) == (good.stamp, good.stamp) and holder.current() is good
        )
    assert kept == len(spoilers) > 100
    assert holder.try_reload() == ReloadResult(good.stamp, good.stamp)


@pytest.mark.parametrize("name", ["", "catalog", "policies"])
def test_a_folder_that_was_deleted_keeps_the_last_good_generation(folder: Path, name: str) -> None:
    holder = generations(folder)
    good = holder.current()
    with gone(folder / name):
        assert holder.try_reload().problems
        assert holder.current() is good
    assert holder.try_reload().problems == ()


@pytest.mark.parametrize("named", [True, False])
def test_settings_that_were_there_are_missed_and_never_replaced_by_the_defaults(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    monkeypatch.chdir(folder)
    holder = Generations(Path("mcpgov.yaml") if named else None, silent, {"KEY": "k"})
    good = holder.current()
    with gone(Path("mcpgov.yaml")):
        (problem,) = holder.try_reload().problems
        assert str(problem) == "mcpgov.yaml: mcpgov.yaml is gone (put it back, or restart)"
        assert holder.current() is good
    assert holder.try_reload() == ReloadResult(good.stamp, good.stamp)


def test_settings_that_came_after_the_start_are_missed_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    settings = Path("mcpgov.yaml").rename("aside")
    holder = Generations(None, silent, {"KEY": "k"})
    assert holder.try_reload().problems == ()
    assert holder.current().policy("github").is_empty
    settings.rename("mcpgov.yaml")
    assert holder.try_reload().problems == ()
    with gone(Path("mcpgov.yaml")):
        assert holder.try_reload().problems
        assert holder.current().settings.global_policies == ("default",)


def test_there_is_no_first_generation_from_bad_files(folder: Path) -> None:
    (folder / "catalog" / "github.yaml").write_text("")
    with pytest.raises(InvalidConfiguration, match="the file is empty"):
        generations(folder)


def test_a_good_change_is_put_in_force_and_a_call_keeps_the_generation_it_began_with(folder: Path) -> None:
    holder = generations(folder)
    began_with = holder.current()
    (folder / "catalog" / "github.yaml").write_text(ENTRY.replace("  github:", "  github-eu:"))
    result = holder.try_reload()
    assert (result.old, result.new) == (began_with.stamp, holder.current().stamp)
    assert list(holder.current().connections) == ["github-eu"]
    assert list(began_with.connections) == ["github"]


def test_a_reload_parses_only_the_files_whose_bytes_changed(folder: Path) -> None:
    other, changed = folder / "catalog" / "other.yaml", folder / "catalog" / "changed.yaml"
    other.write_text("name: a/other\nupstream: https://a.example\nconnections: { other: {} }\n")
    changed.write_text("name: a/changed\nupstream: https://a.example\nconnections: { one: {} }\n")
    holder = generations(folder)
    before = holder.current().files
    changed.write_text("name: a/changed\nupstream: https://a.example\nconnections: { two: {} }\n")
    assert holder.try_reload().problems == ()
    assert holder.current().files[other] is before[other]
    assert set(holder.current().connections) == {"github", "other", "two"}
    other.unlink()
    holder.try_reload()
    assert other not in holder.current().files


def test_a_reload_takes_a_secret_that_was_rotated(folder: Path) -> None:
    (folder / "key").write_text("old")
    (folder / "catalog" / "github.yaml").write_text(ENTRY.replace("env:KEY", "file:key"))
    holder = generations(folder)
    (folder / "key").write_text("new")
    result = holder.try_reload()
    assert result.old == result.new
    assert holder.current().connections["github"].keys[0][1].reveal() == "new"


def test_settings_that_wait_for_a_restart_are_named(folder: Path) -> None:
    holder = generations(folder)
    (folder / "mcpgov.yaml").write_text(SETTINGS + "listen: 127.0.0.1:9999\naudit: { store: 'sqlite:///other.db' }\n")
    assert holder.try_reload().restart == ("listen", "audit")
    (folder / "mcpgov.yaml").write_text("global_policies: []")
    assert holder.try_reload().restart == ()
    assert holder.current().policy("github").is_empty


class Watched:
    """Generations under watch, and what they reported."""

    def __init__(self, folder: Path) -> None:
        self.heard: asyncio.Queue[ReloadResult] = asyncio.Queue()
        self.holder = Generations(folder / "mcpgov.yaml", self.heard.put, {"KEY": "k"})

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.holder.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def next(self) -> ReloadResult:
        """The next report; long enough for the slowest way of noticing a change."""
        return await asyncio.wait_for(self.heard.get(), 30)


async def test_a_change_is_noticed_and_a_bad_one_is_reported_once(folder: Path) -> None:
    place = folder / "catalog" / "github.yaml"
    async with Watched(folder) as watched:
        good = watched.holder.current()
        place.write_text("name: [")
        refused = await watched.next()
        assert (bool(refused.problems), refused.trigger) == (True, "files")
        assert watched.holder.current() is good
        place.write_text(ENTRY.replace("  github:", "  github-eu:"))
        assert (await watched.next()).old == good.stamp
        assert list(watched.holder.current().connections) == ["github-eu"]
        assert watched.heard.empty()


async def test_a_request_reloads_what_has_not_changed(folder: Path) -> None:
    async with Watched(folder) as watched:
        stamp = watched.holder.current().stamp
        watched.holder.request_reload()
        assert await watched.next() == ReloadResult(stamp, stamp, trigger="signal", owner=owners_of([folder]))


async def test_a_folder_swapped_by_symlink_is_noticed_and_watched_on(folder: Path) -> None:
    (folder / "catalog").rename(folder / "v1")
    (folder / "v2").mkdir()
    (folder / "v2" / "time.yaml").write_text("name: a/time\ncommand: [sleep]\nconnections: { time: {} }")
    (folder / "catalog").symlink_to("v1")
    async with Watched(folder) as watched:
        (folder / "next").symlink_to("v2")
        (folder / "next").replace(folder / "catalog")
        assert (await watched.next()).problems == ()
        assert list(watched.holder.current().connections) == ["time"]
        (folder / "v2" / "time.yaml").write_text("name: a/time\ncommand: [sleep]\nconnections: { clock: {} }")
        await watched.next()
        assert list(watched.holder.current().connections) == ["clock"]


async def test_a_settings_file_replaced_by_rename_is_noticed(folder: Path) -> None:
    async with Watched(folder) as watched:
        for deny in ("[]", "[default]", "[]"):
            (folder / ".new").write_text(f"global_policies: {deny}")
            (folder / ".new").replace(folder / "mcpgov.yaml")
            await watched.next()
            assert watched.holder.current().settings.global_policies == (("default",) if deny == "[default]" else ())


async def test_a_folder_that_is_deleted_and_comes_back_is_noticed(folder: Path) -> None:
    async with Watched(folder) as watched:
        good = watched.holder.current()
        with gone(folder / "catalog"):
            assert (await watched.next()).problems
            assert watched.holder.current() is good
        assert (await watched.next()).problems == ()
        assert watched.holder.current().stamp == good.stamp


async def test_nothing_is_reported_while_nothing_changes(folder: Path) -> None:
    async with Watched(folder) as watched:
        (folder / "catalog" / "notes.txt").write_text("noticed, and read as no change")
        (folder / "catalog" / "github.yaml").touch()
        watched.holder.request_reload()
        assert (await watched.next()).problems == ()
        assert watched.heard.empty()


async def test_a_reload_that_falls_over_is_a_refused_one_and_files_are_watched_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: asyncio.Queue[ReloadResult] = asyncio.Queue()
    holder = Generations(folder / "mcpgov.yaml", reports.put, {"KEY": "k"})
    in_force = holder.current()
    watching = asyncio.create_task(holder.watch())
    with monkeypatch.context() as broken:
        broken.setattr("mcpgov.reload.generation_of", None)
        holder.request_reload()
        failed = await reports.get()
    assert failed.problems[0].message == "the files cannot be loaded: TypeError, see the log"
    assert holder.current() is in_force
    holder.request_reload()
    assert (await reports.get()).problems == ()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
