"""compose.yaml, read: nothing floats, nothing may more than it needs, every file is there, and mcpgov takes its own."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcpgov.settings import parse_settings
from tests.deploy.configured import checked, copy_of, secrets_of
from tests.faults.tools import left_out
from tests.test_docs import EverySecret

FOLDER = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAYS = ("gateway-1", "gateway-2")
CONFIG = FOLDER / "compose" / "gateway"
MADE = FOLDER / "compose" / "secrets"
NAMES = sorted(SERVICES)


def mounted(service: dict[str, Any]) -> list[list[str]]:
    """Source, target and mode of what is mounted from the host."""
    return [entry.split(":") for entry in service.get("volumes", ()) if entry.startswith(".")]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_pinned_by_a_tag_that_says_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", SERVICES[name]["image"])


@pytest.mark.parametrize("name", NAMES)
def test_a_service_may_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"} == set()
    assert service["pids_limit"] > 0
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert all(mode == "ro" for _, _, mode in mounted(service))


@pytest.mark.parametrize("name", NAMES)
def test_a_service_says_how_it_is_unless_nothing_waits_for_it(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    waited_for = {other for service in SERVICES.values() for other in service.get("depends_on", {})}
    assert check["test"] if name in waited_for or name == "nginx" else check == {"disable": True}


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_stands_in_the_environment_or_a_command(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        assert not re.search(r"PASSWORD|SECRET|KEY|TOKEN", variable) or (
            variable.endswith("_FILE") and value.startswith("/run/secrets/")
        )
    assert not re.search(r"requirepass|password=", " ".join(service.get("command", ())))


def test_the_only_ports_are_on_this_machine_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:8080:8080", "127.0.0.1:8081:8081"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert {name for name in NAMES if "back" not in SERVICES[name]["networks"]} == {"nginx"}


def test_every_file_that_is_mounted_is_there_and_every_secret_is_made(tmp_path: Path) -> None:
    sources = [FOLDER / source for service in SERVICES.values() for source, _, _ in mounted(service)]
    assert len(sources) == 4
    assert [source for source in sources if not source.exists()] == []
    made = tmp_path / "secrets"
    for _ in range(2):  # the second time it changes nothing
        subprocess.run(["sh", FOLDER / "compose" / "secrets.sh", made], check=True)
    files = {name: FOLDER / entry["file"] for name, entry in COMPOSE["secrets"].items()}
    assert {file.parent for file in files.values()} == {MADE}
    assert {file.name for file in made.iterdir()} == files.keys()
    assert made.stat().st_mode & 0o777 == 0o700
    assert f">{(made / 'valkey-password').read_text().strip()} " in (made / "valkey-users").read_text()


def test_the_secrets_that_the_settings_name_are_those_that_a_gateway_is_given() -> None:
    text = (CONFIG / "mcpgov.yaml").read_text("utf-8")
    for name in GATEWAYS:
        assert set(re.findall(r"/run/secrets/([\w-]+)", text)) == set(SERVICES[name]["secrets"])


def test_mcpgov_takes_its_configuration(tmp_path: Path) -> None:
    secrets_of(CONFIG, "/run/secrets", tmp_path / "secrets")
    copy_of(CONFIG, tmp_path / "etc", {"/run/secrets": str(tmp_path / "secrets")})
    code, said = checked(tmp_path / "etc" / "mcpgov.yaml")
    assert (code, "/mcp/learn" in said) == (0, True), said


def test_only_nginx_is_believed_and_hears_of_a_client_what_it_saw_itself() -> None:
    settings = parse_settings((CONFIG / "mcpgov.yaml").read_text("utf-8"), "mcpgov.yaml", EverySecret())
    address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    assert [str(network) for network in settings.trusted_proxies] == [f"{address}/32"]
    conf = (FOLDER / "compose" / "nginx.conf").read_text("utf-8")
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in conf
    assert "$proxy_add_x_forwarded_for" not in conf
    for line in ("proxy_buffering off;", "proxy_http_version 1.1;", "gzip off;", "proxy_next_upstream error;"):
        assert f"      {line}\n" in conf
    bounds = {name: int(value) for name, value in re.findall(r"(client_max_body_size|proxy_read_timeout) (\d+)", conf)}
    limits = settings.limits
    assert bounds["client_max_body_size"] * 2**20 == limits.body_bytes
    assert bounds["proxy_read_timeout"] >= limits.stream_seconds
    assert max(map(int, re.findall(r"\bkeepalive_timeout (\d+)s", conf))) < limits.idle_seconds
    assert re.findall(r"server (gateway-\d):8080 fail_timeout=1s;", conf) == list(GATEWAYS)


def test_both_gateways_are_the_same_but_for_their_address_and_their_volume() -> None:
    first, second = (dict(SERVICES[name]) for name in GATEWAYS)
    for gateway in (first, second):
        gateway.pop("networks")
        gateway.pop("volumes")
    assert first.pop("ports") == ["127.0.0.1:8081:8081"]
    assert first == second
    assert first["stop_grace_period"] == "35s"


def test_the_collector_takes_what_the_gateways_send() -> None:
    collector = yaml.safe_load((FOLDER / "compose" / "collector.yaml").read_text("utf-8"))
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert SERVICES["gateway-1"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://collector:{port}"
    defined = {kind: set(collector[kind]) for kind in ("receivers", "processors", "exporters")}
    for pipeline in collector["service"]["pipelines"].values():
        assert [kind for kind, names in defined.items() if not set(pipeline[kind]) <= names] == []


def test_compose_itself_takes_it_where_it_is_there() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode:
        left_out("docker compose is not here to be asked whether it takes compose.yaml")
        return
    told = subprocess.run([docker, "compose", "-f", FOLDER / "compose.yaml", "config", "--quiet"], check=False)
    assert told.returncode == 0
