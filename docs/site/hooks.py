"""What MkDocs does beyond its settings: stars in `nav`, links into the repository, nothing loaded from elsewhere.

A page may link to any file of the repository, as it does where the repository is read. Such a file becomes a page below
`repository/`: Markdown as it is, any other text as code, a folder as the list of what is in it. Only what git tracks: a
secret that lies in a folder does not come along. A link that leads nowhere is left alone, so that a strict build fails.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, InclusionLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = "docs"
SHOWN: Final = "repository"
FENCED: Final = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
LINK: Final = re.compile(r"(?<=\]\()([^)\s#:]+)")
ELSEWHERE: Final = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//""")


def on_config(config: MkDocsConfig) -> None:
    """Put every page of a folder where `nav` has a star."""
    config.nav = list(starred(config.nav or []))


def starred(nav: list[object]) -> Iterator[object]:
    """The same, with its stars replaced. A page that stands there by itself is not repeated."""
    for item in nav:
        if isinstance(item, str) and item.endswith("/*"):
            yield from (f"{item[:-1]}{page.name}" for page in sorted((ROOT / DOCS / item[:-2]).glob("*.md")))
        elif isinstance(item, dict):
            yield {title: list(starred(inner)) if isinstance(inner, list) else inner for title, inner in item.items()}
        else:
            yield item


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for all that pages link to outside docs/, for what those link to, and for folders."""
    waiting = [f"{DOCS}/{file.src_uri}" for file in files.documentation_pages()]
    seen = {*waiting}
    while waiting:
        for path in linked(waiting.pop()):
            if path in seen or path not in tracked():
                continue
            seen.add(path)
            if not files.get_file_from_path(place(path)):
                added = File.generated(config, place(path), content=content(path))
                added.inclusion = InclusionLevel.INCLUDED if path.startswith(DOCS) else InclusionLevel.NOT_IN_NAV
                files.append(added)
            waiting.append(path)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links into the repository, and to folders, lead to their pages here."""
    uri = page.file.src_uri

    def here(found: re.Match[str]) -> str:
        path = joined(origin(uri), found[1])
        return posixpath.relpath(place(path), posixpath.dirname(uri) or ".") if path in tracked() else found[1]

    return outside_fences(lambda text: LINK.sub(here, text), markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Refuse a page that a browser would load anything for from elsewhere: who reads here is nobody else's business."""
    if found := ELSEWHERE.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0]}")
    return output


def outside_fences(change: Callable[[str], str], markdown: str) -> str:
    """The text, changed where it is no code."""
    ends = [0, *(end for fence in FENCED.finditer(markdown) for end in fence.span()), len(markdown)]
    parts = [markdown[start:end] for start, end in pairwise(ends)]
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def joined(path: str, target: str) -> str:
    """Where a link in the file `path` leads, from the root of the repository."""
    base = path if (ROOT / path).is_dir() else posixpath.dirname(path)
    return posixpath.normpath(posixpath.join(base, target))


def linked(path: str) -> Iterator[str]:
    """The paths that a page of this file links to; of a folder, all that is in it."""
    if (ROOT / path).is_dir():
        yield from inside(path)
    elif path.endswith(".md"):
        text = FENCED.sub("", (ROOT / path).read_text("utf-8"))
        yield from (joined(path, target) for target in LINK.findall(text))


def inside(folder: str) -> list[str]:
    """The files and folders in a folder."""
    return sorted(path for path in tracked() if posixpath.dirname(path) == folder)


@cache
def tracked() -> frozenset[str]:
    """The files that git knows, and the folders they are in."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True)  # noqa: S607
    files = [Path(line) for line in done.stdout.splitlines()]
    return frozenset(path.as_posix() for file in files for path in (file, *file.parents))


def place(path: str) -> str:
    """Where the site has a path of the repository."""
    found = ROOT / path
    if found.is_dir():
        path = f"{path}/README.md" if (found / "README.md").exists() else f"{path}/index.md"
    elif found.suffix != ".md" and not path.startswith(f"{DOCS}/"):
        path += ".md"
    return path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else f"{SHOWN}/{path}"


def origin(uri: str) -> str:
    """The path in the repository of what a page of the site shows."""
    path = uri.removeprefix(f"{SHOWN}/") if uri.startswith(f"{SHOWN}/") else f"{DOCS}/{uri}"
    if (ROOT / path).exists():
        return path
    return posixpath.dirname(path) if path.endswith("/index.md") else path.removesuffix(".md")


def content(path: str) -> str:
    """What the page of a path says. Search finds what is written to be read, and no code."""
    file = ROOT / path
    if file.is_dir():
        names = [f"- [{title(item)}]({posixpath.basename(item)})" for item in inside(path)]
        return "\n".join([f"# {file.name.capitalize()}", "", *names, ""])
    text = file.read_text("utf-8")
    if file.suffix == ".md":
        return text
    head = ["---", "search: { exclude: true }", "---", f"# {path}", "", f"````{file.suffix[1:] or 'text'}"]
    return "\n".join([*head, text, "````", ""])


def title(path: str) -> str:
    """What a list calls a file: its heading, where it has one."""
    heading = re.match(r"# (.+)", (ROOT / path).read_text("utf-8")) if path.endswith(".md") else None
    return heading[1] if heading else posixpath.basename(path)
