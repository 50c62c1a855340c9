"""The site is built strictly: what is missing, or would come from elsewhere, fails. Needs what scripts/site
installs.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.faults.tools import left_out

ROOT = Path(__file__).parents[2]
MKDOCS = ROOT / ".cache" / "site" / "bin" / "mkdocs"
HOOKS = "docs/site/hooks.py"


def build(folder: Path, files: dict[str, str]) -> tuple[int, str]:
    """Build a site of these pages by our own settings, in a repository that tracks them all."""
    settings = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[0]
    pages = {"docs/index.md": "# Home\n\n[b](b.md#there)\n", "docs/b.md": "# B\n\n## There\n", **files}
    ours = {HOOKS: (ROOT / HOOKS).read_text("utf-8"), "docs/stylesheets/site.css": ""}
    for name, text in {"mkdocs.yml": f"{settings}\nnav: [index.md, b.md]\n", **ours, **pages}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    subprocess.run(["git", "init", "--quiet", "."], check=True, cwd=folder)
    subprocess.run(["git", "add", "--all"], check=True, cwd=folder)
    (folder / "untracked.env").write_text("PASSWORD=letmein", "utf-8")
    done = subprocess.run(
        [str(MKDOCS), "build", "--strict"],
        check=False,
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


def there() -> bool:
    """Whether MkDocs is installed; says so where it is not."""
    return MKDOCS.exists() or left_out("scripts/site was not run here, so no site is built with faults")


def test_a_link_into_the_repository_leads_to_a_page_that_shows_the_file(tmp_path: Path) -> None:
    if not there():
        return
    files = {
        "docs/index.md": "# Home\n\n[a](../deploy/compose.yaml) [f](../deploy) [r](../README.md)\n",
        "deploy/compose.yaml": "services: {}\n",
        "README.md": "# Read me\n\n[b](docs/b.md)\n\n```sh\necho '[x](gone.md)'\n```\n",
    }
    code, said = build(tmp_path, files)
    assert code == 0, said
    site = tmp_path / "build" / "site"
    assert 'href="repository/deploy/compose.yaml/"' in (site / "index.html").read_text("utf-8")
    assert "services" in (site / "repository" / "deploy" / "compose.yaml" / "index.html").read_text("utf-8")
    assert 'href="compose.yaml/"' in (site / "repository" / "deploy" / "index.html").read_text("utf-8")
    assert 'href="../b/"' in (site / "repository" / "index.html").read_text("utf-8")


def test_everything_that_is_missing_is_told_and_fails(tmp_path: Path) -> None:
    if not there():
        return
    page = "# Home\n\n[1](gone.md) [2](b.md#gone) [3](../gone.md) [4](../untracked.env)\n"
    code, said = build(tmp_path, {"docs/index.md": page, "docs/lost.md": "# Lost\n"})
    assert code == 1
    for complaint in ("'gone.md'", "anchor '#gone'", "'../gone.md'", "'../untracked.env'", "lost.md"):
        assert complaint in said


@pytest.mark.parametrize(
    "page", ['<script src="https://host.example/x.js"></script>', "![a](//host.example/x.png)"], ids=["script", "image"]
)
def test_what_would_come_from_elsewhere_fails(tmp_path: Path, page: str) -> None:
    if not there():
        return
    code, said = build(tmp_path, {"docs/index.md": f"# Home\n\n{page}\n"})
    assert (code, "loads something from elsewhere" in said) == (1, True)
