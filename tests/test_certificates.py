"""A pair of files is presented only if it fits, and a bad one never takes the place of a good one."""

import asyncio
import os
import shutil
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from mcpgov.certificates import LARGEST, Certificates, Renewal, context_of, good_until, present
from mcpgov.errors import InvalidConfiguration
from mcpgov.settings import parse_settings
from mcpgov.tls_settings import Tls
from mcpgov.yaml_source import parse_yaml
from tests.peers.tls import HOUR, throw_away_tls

TEXT = """\
tls:
  certificate: server.crt
  key: server.key
admin: { tls: { certificate: server.crt, key: server.key } }
"""
AGENTS = """\
tls:
  certificate: server.crt
  key: server.key
"""


def now() -> datetime:
    return datetime.now(UTC)


def certificates(folder: Path, told: list[Renewal] | None = None, text: str = AGENTS) -> Certificates:
    """What a gateway in this folder presents."""
    heard = told if told is not None else list[Renewal]()

    async def report(renewal: Renewal) -> None:
        heard.append(renewal)

    place = str(folder / "mcpgov.yaml")
    return Certificates(parse_settings(text, place), parse_yaml(text, place), report, now)


def problems(folder: Path, text: str = AGENTS) -> list[str]:
    """What is wrong with the files in a folder, without its name."""
    with pytest.raises(InvalidConfiguration) as raised:
        certificates(folder, text=text)
    return [str(problem).replace(f"{folder}/", "") for problem in raised.value.problems]


def encrypted(folder: Path) -> None:
    key = load_pem_private_key((folder / "server.key").read_bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a passphrase"))
    (folder / "server.key").write_bytes(sealed)


def of_another(folder: Path) -> None:
    (folder / "other").mkdir()
    shutil.copy(throw_away_tls(folder / "other").key_file, folder / "server.key")


def a_pipe(folder: Path) -> None:
    (folder / "server.key").unlink()
    os.mkfifo(folder / "server.key")


def expired(folder: Path) -> None:
    throw_away_tls(folder, begins=-2 * HOUR, ends=-HOUR)


def too_early(folder: Path) -> None:
    throw_away_tls(folder, begins=HOUR, ends=2 * HOUR)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def holding(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without("server.crt"), "mcpgov.yaml:2:16: the file server.crt is not there (put it there, or name another)"),
        (without("server.key"), "mcpgov.yaml:3:8: the file server.key is not there"),
        (a_pipe, "mcpgov.yaml:3:8: server.key is not a file"),
        (holding("server.crt", b"nothing"), "mcpgov.yaml:2:16: server.crt holds no certificate that can be read"),
        (holding("server.key", b"nothing"), "mcpgov.yaml:3:8: server.key holds no private key that can be read"),
        (holding("server.crt", bytes(LARGEST + 1)), f"mcpgov.yaml:2:16: server.crt is larger than {LARGEST} bytes"),
        (encrypted, "mcpgov.yaml:3:8: the key in server.key is encrypted (nobody is there to type its passphrase"),
        (of_another, "mcpgov.yaml:3:8: the key in server.key is not that of server.crt"),
        (expired, "mcpgov.yaml:2:16: server.crt expired on"),
        (too_early, "mcpgov.yaml:2:16: server.crt holds from"),
    ],
)
def test_an_unfit_pair_is_refused_where_it_is_named(tmp_path: Path, spoil: Callable[[Path], None], told: str) -> None:
    throw_away_tls(tmp_path)
    spoil(tmp_path)
    (problem,) = problems(tmp_path)
    assert problem.startswith(told)


def test_what_openssl_does_not_take_is_refused_in_its_word(tmp_path: Path) -> None:
    files = throw_away_tls(tmp_path)
    files.certificate_file.write_bytes(files.certificate_file.read_bytes() + b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    (problem,) = problems(tmp_path)
    assert "mcpgov.yaml:2:16: server.crt" in problem


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    text = "tls: { certificate: file/server.crt, key: file/server.key }\n"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("mcpgov.yaml:1:21: the file file/server.crt cannot be read: Not a directory")


def test_both_listeners_are_told_of_at_once(tmp_path: Path) -> None:
    assert [problem.partition(": ")[0] for problem in problems(tmp_path, TEXT)] == [
        "mcpgov.yaml:2:16",
        "mcpgov.yaml:4:30",
    ]


def test_no_problem_quotes_a_key(tmp_path: Path) -> None:
    throw_away_tls(tmp_path)
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    (tmp_path / "server.key").write_bytes(other)
    assert not any(line in "".join(problems(tmp_path)) for line in other.decode().splitlines()[1:-1])


def test_a_listener_without_tls_has_none(tmp_path: Path) -> None:
    throw_away_tls(tmp_path)
    made = certificates(tmp_path)
    assert (made.of("admin", "tls"), certificates(tmp_path, text="{}").of("tls")) == (None, None)
    assert made.of("tls")


def test_the_context_resumes_nothing_and_follows_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    files = throw_away_tls(tmp_path)
    context = context_of(Tls.model_validate({"certificate": str(files.certificate_file), "key": str(files.key_file)}))
    assert context.keylog_filename is None
    assert context.num_tickets == 0
    assert {ssl.OP_NO_TICKET, ssl.OP_NO_RENEGOTIATION} <= {one for one in ssl.Options if one in context.options}
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not (tmp_path / "keys.log").exists()


def test_a_key_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    files = throw_away_tls(tmp_path)
    with capture_logs() as quiet:
        certificates(tmp_path)
    files.key_file.chmod(0o644)
    with capture_logs() as logs:
        certificates(tmp_path)
    assert (quiet, [line["event"] for line in logs]) == ([], ["tls-key-readable"])


def test_a_new_pair_takes_the_place_of_the_old_one_for_connections_to_come(tmp_path: Path) -> None:
    throw_away_tls(tmp_path)
    made = certificates(tmp_path)
    of = made.of("tls")
    assert of
    before = of()
    assert (made.look(), of()) == ([], before)
    throw_away_tls(tmp_path, ends=timedelta(days=90))
    (renewal,) = made.look()
    assert (renewal.listener, renewal.problem) == ("tls", None)
    assert renewal.expires[:10] == f"{now() + timedelta(days=90):%Y-%m-%d}"
    assert of() is not before
    assert made.look() == []


def test_a_bad_pair_keeps_the_good_one_and_is_told_once_after_a_second_look(tmp_path: Path) -> None:
    throw_away_tls(tmp_path)
    made = certificates(tmp_path, text=TEXT)
    of = made.of("admin", "tls")
    assert of
    before = of()
    (tmp_path / "server.key").unlink()
    assert made.look() == []  # whoever renews it may be between the two files
    told = made.look()
    assert [(renewal.listener, str(renewal.problem).partition(": ")[0]) for renewal in told] == [
        ("tls", f"{tmp_path}/mcpgov.yaml:3:8"),
        ("admin.tls", f"{tmp_path}/mcpgov.yaml:4:47"),
    ]
    assert (made.look(), of()) == ([], before)
    assert len(made.look(asked=True)) == 2
    throw_away_tls(tmp_path)
    assert [renewal.problem for renewal in made.look()] == [None, None]
    assert of() is not before


def test_a_pair_that_comes_back_as_it_was_changes_nothing(tmp_path: Path) -> None:
    files = throw_away_tls(tmp_path)
    made = certificates(tmp_path)
    good = files.certificate_file.read_bytes()
    files.certificate_file.write_bytes(b"half of it")
    assert made.look() == []
    files.certificate_file.write_bytes(good)
    assert made.look() == []
    files.certificate_file.write_bytes(b"half of it")
    assert made.look() == []  # doubted anew


def test_a_pair_in_force_is_not_judged_again_when_it_expires(tmp_path: Path) -> None:
    throw_away_tls(tmp_path)
    clock = [now()]
    text, place = AGENTS, str(tmp_path / "mcpgov.yaml")
    (presented,) = present(parse_settings(text, place), parse_yaml(text, place), lambda: clock[0]).values()
    clock[0] += timedelta(days=30)
    assert presented.look(asked=True) is None


async def test_a_look_that_is_asked_for_is_made_at_once(tmp_path: Path) -> None:
    throw_away_tls(tmp_path)
    told: list[Renewal] = []
    made = certificates(tmp_path, told)
    watching = asyncio.create_task(made.watch())
    throw_away_tls(tmp_path)
    made.request_look()
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0)
    watching.cancel()
    assert [renewal.problem for renewal in told] == [None]


async def test_where_there_is_no_tls_nobody_looks(tmp_path: Path) -> None:
    async with asyncio.timeout(10):
        await certificates(tmp_path, text="{}").watch()


def test_a_pair_is_good_until_the_first_of_its_certificates_ends(tmp_path: Path) -> None:
    files = throw_away_tls(tmp_path, ends=timedelta(days=40))
    tls = Tls.model_validate({"certificate": str(files.certificate_file), "key": str(files.key_file)})
    alone = good_until(tls, now())
    files.certificate_file.write_bytes(files.certificate_file.read_bytes() + files.ca_file.read_bytes())
    assert alone - good_until(tls, now()) > timedelta(days=38)
