"""The tutorial is followed with what is in the wheel: what a reader has who installed it, and not this folder."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.contract.reader import TUTORIAL, Reader
from tests.test_docs import ROOT


def test_the_tutorial_can_be_followed_with_what_is_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    here = "import mcpgov; print(mcpgov.__file__)"
    with Reader(tmp_path, tmp_path / "installed") as reader:
        assert reader.type(f"python -c '{here}'").startswith(str(tmp_path))
        reader.follow(ROOT / TUTORIAL)
