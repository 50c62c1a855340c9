"""A client believes what the system does, asks for the name, and writes no key anywhere."""

import ast
import ssl
from pathlib import Path

import pytest

import mcpgov
from mcpgov.trust import system_trust
from tests.upstream.certificates import self_signed


def test_a_certificate_and_its_name_are_asked_for() -> None:
    trusts = system_trust()
    assert (trusts.verify_mode, trusts.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert trusts.minimum_version == ssl.TLSVersion.TLSv1_2
    assert ssl.create_default_context().options & ~trusts.options & ssl.OP_NO_COMPRESSION == 0


def test_who_is_believed_can_be_said_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed(tmp_path)))
    [found] = system_trust().get_ca_certs()
    assert found["subject"] == found["issuer"]


def test_no_file_of_keys_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert system_trust().keylog_filename is None
    assert list(tmp_path.iterdir()) == []


def test_nobody_makes_a_context_that_would_begin_one() -> None:
    sources = Path(mcpgov.__file__).parent.rglob("*.py")
    calls = [node for source in sources for node in ast.walk(ast.parse(source.read_text("utf-8")))]
    named = {node.attr for node in calls if isinstance(node, ast.Attribute)} | {
        node.id for node in calls if isinstance(node, ast.Name)
    }
    assert "system_trust" in named
    assert named.isdisjoint({"create_default_context", "_create_unverified_context", "_create_default_https_context"})
