"""The manifests, as `kubectl kustomize` builds them: names, labels, ports and volumes agree, and pods are restricted.

Nothing is applied. Where there is no kubectl, what needs its Kustomize is left out, and says so.
"""

import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mcpgov import app
from tests.deploy.configured import checked, secrets_of
from tests.faults.tools import left_out

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))
OVERLAYS = ("dev", "production")
MOUNT = "/etc/mcpgov/"
DRAIN = 30  # seconds; docs/reliability.md
Objects = list[dict[str, Any]]


def named(kustomization: Path) -> Iterator[Path]:
    """The files and folders that a kustomization names."""
    said = yaml.safe_load(kustomization.read_text("utf-8"))
    names = [*said.get("resources", ()), *said.get("components", ())]
    names += [patch["path"] for patch in said.get("patches", ()) if "path" in patch]
    names += [file for generator in said.get("configMapGenerator", ()) for file in generator["files"]]
    yield from ((kustomization.parent / name).resolve() for name in names)


@functools.cache
def built(overlay: str) -> Objects:
    """What an overlay comes to; nothing where there is no kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        left_out("kubectl is not there to build deploy/kubernetes")
        return []
    command = [kubectl, "kustomize", FOLDER / "overlays" / overlay]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def of_kind(objects: Objects, kind: str) -> Objects:
    return [one for one in objects if one["kind"] == kind]


def pod_template(objects: Objects) -> dict[str, Any]:
    [deployment] = of_kind(objects, "Deployment")
    template = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    return template


def selectors(objects: Objects) -> Iterator[dict[str, str]]:
    """The labels by which anything selects our pods."""
    for service in of_kind(objects, "Service"):
        yield service["spec"]["selector"]
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        yield from (one["spec"][key]["matchLabels"] for one in of_kind(objects, kind))
    for spread in pod_template(objects)["spec"]["topologySpreadConstraints"]:
        yield spread["labelSelector"]["matchLabels"]


def mounted_as_a_cluster_does(data: dict[str, str], folder: Path) -> None:
    """The files of a ConfigMap: links to links, which are exchanged at once."""
    real = folder / "..2026_11_22_04_00_00.1"
    real.mkdir(parents=True)
    (folder / "..data").symlink_to(real.name)
    for name, text in data.items():
        (real / name).write_text(text, "utf-8")
        (folder / name).symlink_to(f"..data/{name}")


def test_every_file_is_named_by_a_kustomization_and_every_name_is_a_file() -> None:
    names = {place for kustomization in KUSTOMIZATIONS for place in named(kustomization)}
    assert [place for place in names if not place.exists()] == []
    files = set(FOLDER.rglob("*.yaml")) - set(KUSTOMIZATIONS)
    assert files - names == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_selects_our_pods_finds_them(overlay: str) -> None:
    if not (objects := built(overlay)):
        return
    labels = pod_template(objects)["metadata"]["labels"]
    assert [selector for selector in selectors(objects) if not selector.items() <= labels.items()] == []
    assert len(list(selectors(objects))) >= 6
    targets = [one["spec"]["scaleTargetRef"]["name"] for one in of_kind(objects, "HorizontalPodAutoscaler")]
    assert targets == ([] if overlay == "dev" else ["mcpgov"])
    assert {one["metadata"].get("namespace", "mcpgov") for one in objects} == {"mcpgov"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_port_and_every_volume_that_is_named_is_there(overlay: str) -> None:
    if not (objects := built(overlay)):
        return
    pod = pod_template(objects)["spec"]
    [container] = pod["containers"]
    ports = {port["name"] for port in container["ports"]}
    asked = {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    asked |= {port["targetPort"] for one in of_kind(objects, "Service") for port in one["spec"]["ports"]}
    let_in = [rule for one in of_kind(objects, "NetworkPolicy") for rule in one["spec"].get("ingress", ())]
    asked |= {port["port"] for rule in let_in for port in rule["ports"]}
    assert asked == ports == {"http", "admin"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    maps = {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")}
    assert {volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume} == maps
    assert [mount for mount in container["volumeMounts"] if not mount.get("readOnly")] == [
        {"name": "state", "mountPath": "/var/lib/mcpgov"}
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_is_one_that_the_restricted_profile_lets_in(overlay: str) -> None:
    if not (objects := built(overlay)):
        return
    [namespace] = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = pod_template(objects)["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"} == set()
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    assert {kind for volume in pod["volumes"] for kind in volume.keys() - {"name"}} <= allowed
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert re.fullmatch(r"[\w./-]+(:\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})", container["image"])
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_the_time_that_its_end_takes(overlay: str) -> None:
    if not (objects := built(overlay)):
        return
    pod = pod_template(objects)["spec"]
    before = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= before + DRAIN


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_mcpgov_takes_the_configuration_as_it_is_mounted(overlay: str, tmp_path: Path) -> None:
    if not (objects := built(overlay)):
        return
    pod = pod_template(objects)["spec"]
    [container] = pod["containers"]
    data = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for volume in pod["volumes"]:
        if "configMap" in volume:
            folder = tmp_path / "etc" / places[volume["name"]].removeprefix(MOUNT)
            mounted_as_a_cluster_does(data[volume["configMap"]["name"]], folder)
    settings = tmp_path / "etc" / container["args"][-1].removeprefix(MOUNT)
    secrets_of(tmp_path / "etc", "/mnt/secrets", tmp_path / "secrets")
    text = settings.read_text("utf-8").replace("/mnt/secrets", str(tmp_path / "secrets"))
    settings.write_text(text.replace("/var/lib/mcpgov", str(tmp_path)), "utf-8")
    code, said = checked(settings)
    assert (code, "/mcp/learn" in said) == (0, True), said


def test_the_secrets_of_production_are_those_that_its_settings_name_and_none_is_in_a_file() -> None:
    if not (objects := built("production")):
        return
    [provider] = of_kind(objects, "SecretProviderClass")
    there = yaml.safe_load(provider["spec"]["parameters"]["objects"])["array"]
    settings = "".join(text for one in of_kind(objects, "ConfigMap") for text in one["data"].values())
    assert {yaml.safe_load(item)["objectName"] for item in there} == set(
        re.findall(r"\$\{file:/mnt/secrets/([\w-]+)\}", settings)
    )
    assert of_kind(objects, "Secret") == []
    [volume] = [volume for volume in pod_template(objects)["spec"]["volumes"] if "csi" in volume]
    assert volume["csi"]["volumeAttributes"]["secretProviderClass"] == provider["metadata"]["name"]


def test_the_admin_plane_is_inside_of_the_cluster_alone_and_prometheus_asks_it_as_somebody() -> None:
    if not (objects := built("production")):
        return
    services = {one["metadata"]["name"]: one for one in of_kind(objects, "Service")}
    assert {one["spec"]["type"] for one in services.values()} == {"ClusterIP"}
    admin = [name for name, one in services.items() for port in one["spec"]["ports"] if port["targetPort"] == "admin"]
    [ingress] = of_kind(objects, "Ingress")
    [path] = ingress["spec"]["rules"][0]["http"]["paths"]
    assert (admin, path["backend"]["service"]["name"]) == (["mcpgov-admin"], "mcpgov")
    [monitor] = of_kind(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert [name for name, one in services.items() if wanted <= one["metadata"]["labels"].items()] == admin
    [endpoint] = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")
    assert endpoint["authorization"]["credentials"].keys() == {"name", "key"}


def test_a_folder_that_is_mounted_is_made_of_links(tmp_path: Path) -> None:
    mounted_as_a_cluster_does({"a.yaml": "inbound: []"}, tmp_path / "policies")
    assert (tmp_path / "policies" / "a.yaml").readlink() == Path("..data/a.yaml")
    assert (tmp_path / "policies" / "a.yaml").read_text() == "inbound: []"


def with_component(folder: Path, name: str) -> Objects:
    """What the overlay of production comes to with one more component; nothing where there is no kubectl."""
    if not built("production"):
        return []
    shutil.copytree(FOLDER, folder / "kubernetes")
    overlay = folder / "kubernetes" / "overlays" / "production"
    place = overlay / "kustomization.yaml"
    place.write_text(place.read_text("utf-8").replace("components:\n", f"components:\n  - ../../components/{name}\n"))
    command = ["kubectl", "kustomize", overlay]
    return list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def test_the_first_admin_key_is_kept_by_a_container_like_the_gateways_before_it_starts(tmp_path: Path) -> None:
    if not (objects := with_component(tmp_path, "first-admin-key")):
        return
    pod = pod_template(objects)["spec"]
    [first], [gateway] = pod["initContainers"], pod["containers"]
    assert (first["image"], first["securityContext"]) == (gateway["image"], gateway["securityContext"])
    assert {mount["name"]: mount for mount in first["volumeMounts"]}.items() <= {
        mount["name"]: mount for mount in gateway["volumeMounts"]
    }.items()
    assert first["args"][-2:] == gateway["args"][-2:]
    assert first["resources"]["limits"]["memory"]
    (tmp_path / "mcpgov.yaml").write_text('admin: { listen: "0.0.0.0:8081" }\n')
    args: list[str] = [word.replace("ID:SHA256", "abcdefgh:" + "0" * 64) for word in first["args"][:-1]]
    kept = CliRunner().invoke(app.build_cli(), [*args, str(tmp_path / "mcpgov.yaml")])
    assert (kept.exit_code, (tmp_path / "mcpgov.db").exists()) == (0, True)
