"""Builds the image and starts it as it is meant to be started: as nobody, on a tree that cannot be written.

python -m tests.deploy.image_check [gateway | stdio]

Where a container engine runs, it builds and starts the image. Where none does, and we are root on Linux, the steps of
the same Dockerfile are run, one after the other, in roots of their own that are gone afterwards (clean_root.py). The
base image is then this machine and its Python; all else is as the Dockerfile says, for there is no second copy of it.
Either way the Dockerfile's own HEALTHCHECK says whether the gateway answers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.deploy.clean_root import Builder, do
from tests.deploy.dockerfile import lineage, parse_dockerfile

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 60
TAG: Final = "mcpgov-image-check"
USER: Final = "10001"
SETTINGS: Final = """\
listen: 0.0.0.0:8080
audit: { store: "sqlite:////var/lib/mcpgov/mcpgov.db" }
"""
PROGRAMS: Final = {"gateway": ("mcpgov --help",), "stdio": ("node --version", "npx --version", "uvx --version")}
LOCKED_DOWN: Final = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
UNSHARED: Final = "MCPGOV_IMAGE_CHECK_UNSHARED"  # set where the mounts are our own


class Unfit(Exception):
    """The image is not as it should be, in words."""


def require(fact: object, otherwise: str) -> None:
    """Raise Unfit unless it is so."""
    if not fact:
        raise Unfit(otherwise)


def until(there: Callable[[], bool], otherwise: str) -> None:
    """Return once it is so. Raises Unfit when it never is."""
    deadline = time.monotonic() + SECONDS
    while not there():
        require(time.monotonic() < deadline, f"{otherwise} within {SECONDS} seconds")
        time.sleep(0.2)


def engine() -> str | None:
    """A container engine that runs here."""
    for name in ("docker", "podman"):
        if shutil.which(name) and subprocess.run([name, "info"], check=False, capture_output=True).returncode == 0:
            return name
    return None


def write_configuration(folder: Path) -> None:
    """What is mounted at /etc/mcpgov: nothing is served, and the ledger is on the volume."""
    for name in ("catalog", "policies"):
        (folder / name).mkdir(parents=True)
    (folder / "mcpgov.yaml").write_text(SETTINGS)


def by_engine(name: str, target: str) -> None:
    """Build the image, start it, look at it, stop it. Raises Unfit."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([name, *words], check=False, capture_output=True, text=True)

    def within(*words: str) -> bool:
        return run("exec", box, *words).returncode == 0

    built = run("build", "--target", target, "--tag", TAG, str(ROOT))
    require(built.returncode == 0, built.stderr)
    with tempfile.TemporaryDirectory() as place:
        write_configuration(Path(place))
        Path(place).chmod(0o755)
        started = run("run", "--detach", *LOCKED_DOWN, "--volume", f"{place}:/etc/mcpgov:ro", TAG)
        require(started.returncode == 0, started.stderr)
        box = started.stdout.strip()
        try:
            state = ("inspect", "--format={{.State.Health.Status}}", box)
            until(lambda: run(*state).stdout.strip() == "healthy", "it is not healthy")
            require(run("exec", box, "id", "-u").stdout.strip() == USER, f"it does not run as {USER}")
            require(not within("touch", "/opt/x"), "its tree can be written")
            for program in PROGRAMS[target]:
                require(within(*program.split()), f"{program} fails")
            run("stop", "--time=35", box)
            code = run("inspect", "--format={{.State.ExitCode}}", box).stdout.strip()
            require(code == "0", f"it ended with {code}")
        finally:
            run("rm", "--force", "--volumes", box)


def unshared(target: str) -> int:
    """Run the same program with mounts of its own; the exit status."""
    words = ["unshare", "--mount", "--propagation=private", sys.executable, "-m", __spec__.name, target]
    return subprocess.run(words, check=False, env={**os.environ, UNSHARED: "1"}, cwd=ROOT).returncode


def in_clean_root(target: str) -> None:
    """Run the Dockerfile's steps, start what comes of it, look at it, stop it. Raises Unfit."""
    stages = parse_dockerfile((ROOT / "Dockerfile").read_text("utf-8"))
    built_upon = lineage(stages, target)
    work = Path(tempfile.mkdtemp())
    do("mount", "-t", "tmpfs", "work", work)
    try:
        root = Builder(stages, ROOT, work).build(target)
        said = {step.name: step for stage in built_upon for step in stage.steps}
        etc, volume = root.folder / "etc/mcpgov", root.folder / said["VOLUME"].text[1:]
        write_configuration(etc)
        do("mount", "-t", "tmpfs", "-o", f"uid={USER},gid={USER},mode=700", "volume", volume)
        do("mount", "-o", "remount,ro", root.folder)
        command = root.command([*said["ENTRYPOINT"].words(), *said["CMD"].words()])
        alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
        asked = root.command(parse_check(said["HEALTHCHECK"].text))
        with subprocess.Popen(alone) as program:
            try:
                network = ["nsenter", f"--net=/proc/{program.pid}/ns/net"]
                until(lambda: program.poll() is not None or succeeds([*network, *asked]), "it is not healthy")
                require(program.poll() is None, f"it ended with {program.returncode}")
                uids = Path(f"/proc/{program.pid}/status").read_text().partition("Uid:")[2].split()[:4]
                require(uids == [USER] * 4, f"it does not run as {USER} but as {uids}")
                require(not succeeds(root.command(["touch", "/opt/x"])), "its tree can be written")
                require((volume / "mcpgov.db").exists(), "the ledger is not on the volume")
                for line in PROGRAMS[target]:
                    require(succeeds(root.command(line.split())), f"{line} fails")
            finally:
                program.terminate()
            require(program.wait(SECONDS) == 0, f"it ended with {program.returncode}")
    finally:
        do("umount", "--recursive", "--lazy", work)
        work.rmdir()


def parse_check(text: str) -> list[str]:
    """The command of a HEALTHCHECK in the exec form, without its options."""
    _, _, command = text.partition("CMD ")
    return parse_dockerfile(f"FROM x\nCMD {command}")[0].steps[0].words()


def succeeds(line: list[str]) -> bool:
    """Whether a program ends well. It is not heard."""
    return subprocess.run(line, check=False, capture_output=True).returncode == 0


def main(target: str = "gateway") -> int:
    """Check one target of the Dockerfile; the exit status, 2 where nothing here can."""
    if UNSHARED in os.environ:
        return judged(lambda: in_clean_root(target))
    if name := engine():
        sys.stdout.write(f"image-check: {target}, built by {name}\n")
        return judged(lambda: by_engine(name, target))
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
        sys.stderr.write("image-check: needs a container engine that runs, or root on Linux\n")
        return 2
    sys.stdout.write(
        f"image-check: {target}, by the Dockerfile's steps on this machine, for no container engine runs\n"
    )
    return unshared(target)


def judged(check: Callable[[], None]) -> int:
    """What came of it, said in a line; the exit status."""
    try:
        check()
    except (Unfit, subprocess.CalledProcessError) as unfit:
        sys.stderr.write(f"image-check: {unfit}\n")
        return 1
    sys.stdout.write("image-check: built, healthy, not root, its tree read-only, ended with 0\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
