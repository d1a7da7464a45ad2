"""The objects of `deploy/kubernetes`: read strictly, hardened, with probes, ports and
flows that Towpath's roles have."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments import (
    DEPLOY,
    check_files,
    check_nats,
    kustomize,
    kustomized,
    metric_ports,
    objects,
    role_of,
)
from documents import blocks, text_of

from towpath.config import read, written_folders

OVERLAYS = sorted(path.name for path in (DEPLOY / "kubernetes" / "overlays").iterdir())
ROLES = {"poll", "ingest", "store", "alert", "web", "calls"}
COSTS = Path(__file__).parents[1] / "benchmarks" / "measured_costs.toml"
START_MB = tomllib.loads(COSTS.read_text())["process"]["start_mb"]
# What is reached by its own port wherever it is: channels, calendars and Microsoft.
OUTSIDE = {"alert": {443, 587, 25}, "calls": {443}}
# Devices: echoes have no port.
ANY = 0
# Who needs which flow, by the policy that allows it.
FLOWS = {
    "nothing": set(),
    "names": ROLES,
    "metrics": ROLES,
    "poll-devices": {"poll"},
    "ingest-laptops": {"ingest"},
    "web-proxy": {"web"},
    "alert-channels": {"alert"},
    "calls-microsoft": {"calls"},
}
OF_NATS = {"nats-servers": {"nats"}, "nats-clients": ROLES}
FLOWS_OF = {"single": FLOWS, "nats": FLOWS | OF_NATS}


def of_kind(overlay: str, *kinds: str) -> list[dict[str, Any]]:
    return [one for one in objects(overlay) if one["kind"] in kinds]


def workloads(overlay: str) -> dict[str, dict[str, Any]]:
    """Name → the workload."""
    kinds = ("StatefulSet", "Deployment", "DaemonSet", "Job")
    return {one["metadata"]["name"]: one for one in of_kind(overlay, *kinds)}


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec = workload["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def roles(overlay: str) -> dict[str, dict[str, Any]]:
    """Role → its container."""
    found = {}
    for workload in workloads(overlay).values():
        for container in pod(workload)["containers"]:
            if role := role_of(container.get("args", [])):
                assert role not in found
                found[role] = container
    return found


def selected(overlay: str, labels: dict[str, str]) -> set[str]:
    """The workloads whose pods have these labels."""
    return {
        name
        for name, workload in workloads(overlay).items()
        if labels.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
    }


def ports(container: dict[str, Any]) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def config_data(overlay: str) -> dict[str, str]:
    data: dict[str, str] = {}
    for one in of_kind(overlay, "ConfigMap"):
        data |= one["data"]
    return data


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_own_reader_accepts_every_field(overlay: str) -> None:
    count = int(check_files("kubernetes", text=kustomized(overlay)))
    assert count == len(objects(overlay))


def test_a_misspelt_field_is_noticed() -> None:
    """So that the test above is known to see what it looks for."""
    text = kustomized("single").replace("readOnlyRootFilesystem", "readOnlyRootFS")
    with pytest.raises(AssertionError, match="unknown field"):
        check_files("kubernetes", text=text)


def test_the_overlay_in_the_document_brings_its_own_settings_and_image(
    tmp_path: Path,
) -> None:
    shutil.copytree(DEPLOY / "kubernetes" / "base", tmp_path / "base")
    ours = tmp_path / "overlays" / "ours"
    ours.mkdir(parents=True)
    [text] = [
        block
        for block in blocks(text_of("docs/operator.md"), "yaml")
        if "kind: Kustomization" in block
    ]
    (ours / "kustomization.yaml").write_text(text)
    for name in ("towpath.toml", "estate.toml"):
        (ours / name).write_text("# of ours\n")
    built = kustomize(ours)
    assert built.count("# of ours") == 2
    assert built.count("image: registry.example.gov.uk/towpath:0.1.0") == len(ROLES)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_hardened_pinned_and_limited(overlay: str) -> None:
    [namespace] = of_kind(overlay, "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, workload in workloads(overlay).items():
        spec = pod(workload)
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 10_000, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert re.search(r":\d+\.\d+\.\d+(-\w+)*$", container["image"])
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_role_runs_once_and_is_probed_on_the_port_that_it_opens(
    overlay: str,
) -> None:
    settings = config_data(overlay)["towpath.toml"]
    opened = metric_ports(settings)
    assert roles(overlay).keys() == ROLES
    for role, container in roles(overlay).items():
        assert ports(container)["metrics"] == opened[role]
        asked = {
            probe: container[probe]["httpGet"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        # A restart mends nothing that only /readyz reports.
        assert asked == {
            "startupProbe": {"path": "/healthz", "port": "metrics"},
            "livenessProbe": {"path": "/healthz", "port": "metrics"},
            "readinessProbe": {"path": "/readyz", "port": "metrics"},
        }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_towpath_reads_the_settings_and_opens_every_port_that_is_named(
    overlay: str, tmp_path: Path
) -> None:
    for name, text in config_data(overlay).items():
        (tmp_path / name).write_text(text)
    config = read(tmp_path / "towpath.toml")
    assert config.metrics.host == config.web.host == "0.0.0.0"
    assert config.ingest.https is not None
    assert config.ingest.https.host == "0.0.0.0"
    opened = {
        "poll": {"traps": config.traps.port},
        "ingest": {"https": config.ingest.https.port},
        "web": {"page": config.web.port},
        "calls": {"notices": config.calls.notifications.port},
    }
    for role, container in roles(overlay).items():
        named = ports(container)
        named.pop("metrics")
        assert named == opened.get(role, {}), role


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_reach_pods_by_ports_that_they_have(overlay: str) -> None:
    for service in of_kind(overlay, "Service"):
        chosen = selected(overlay, service["spec"]["selector"])
        assert chosen, service["metadata"]["name"]
        for name in chosen:
            [container] = pod(workloads(overlay)[name])["containers"]
            for port in service["spec"]["ports"]:
                assert port["targetPort"] in ports(container), name
    names = {service["metadata"]["name"] for service in of_kind(overlay, "Service")}
    for workload in of_kind(overlay, "StatefulSet"):
        assert workload["spec"]["serviceName"] in names
    public = {
        service["metadata"]["name"]
        for service in of_kind(overlay, "Service")
        if service["spec"].get("type", "ClusterIP") != "ClusterIP"
    }
    assert public == {"towpath-ingest", "towpath-poll"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_flow_is_said_and_has_a_role_that_needs_it(overlay: str) -> None:
    policies = {
        one["metadata"]["name"]: one for one in of_kind(overlay, "NetworkPolicy")
    }
    assert policies.keys() == FLOWS_OF[overlay].keys()
    assert policies["nothing"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    for name, policy in policies.items():
        spec = policy["spec"]
        assert policy["metadata"]["annotations"]["towpath/why"], name
        if name == "nothing":
            continue
        chosen = selected(overlay, spec["podSelector"]["matchLabels"])
        assert chosen == FLOWS_OF[overlay][name], name
        # A direction that is named without rules would be closed by mistake.
        for direction in spec["policyTypes"]:
            assert spec[direction.lower()], name
        for rule in spec.get("ingress", ()):
            for port in rule["ports"]:
                for workload in chosen:
                    [container] = pod(workloads(overlay)[workload])["containers"]
                    assert port["port"] in ports(container), (name, workload)


def allowed(overlay: str, role: str, direction: str) -> set[int]:
    """The ports that the policies let the pods of a role be reached on, or reach."""
    container = roles(overlay)[role]
    found: set[int] = set()
    for policy in of_kind(overlay, "NetworkPolicy"):
        spec = policy["spec"]
        labels = spec["podSelector"].get("matchLabels", {})
        if role not in selected(overlay, labels):
            continue
        for rule in spec.get(direction, ()):
            named = [one["port"] for one in rule.get("ports", [{"port": ANY}])]
            found |= {ports(container).get(port, port) for port in named}
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_policies_allow_what_the_settings_need_and_no_more(
    overlay: str, tmp_path: Path
) -> None:
    for name, text in config_data(overlay).items():
        (tmp_path / name).write_text(text)
    config = read(tmp_path / "towpath.toml")
    assert config.ingest.https is not None
    listens = {
        "poll": {config.traps.port},
        "ingest": {config.ingest.https.port},
        "web": {config.web.port},
        "calls": {config.calls.notifications.port},
    }
    servers = config.nats.servers if config.journal.kind == "nats" else ()
    every = {53} | {int(server.rpartition(":")[2]) for server in servers}
    for role, port in metric_ports(config_data(overlay)["towpath.toml"]).items():
        assert allowed(overlay, role, "ingress") == {port} | listens.get(role, set())
        reaches = {ANY} if role == "poll" else OUTSIDE.get(role, set())
        assert allowed(overlay, role, "egress") == every | reaches, role


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_place_that_towpath_writes_to_is_on_a_volume(
    overlay: str, tmp_path: Path
) -> None:
    for name, text in config_data(overlay).items():
        (tmp_path / name).write_text(text)
    places = {
        *written_folders(read(tmp_path / "towpath.toml")).values(),
        Path("/tmp/x"),
    }
    for role, container in roles(overlay).items():
        mounts = container["volumeMounts"]
        written = {Path(m["mountPath"]) for m in mounts if not m.get("readOnly")}
        for place in places:
            assert written & {place, *place.parents}, (role, place)
        memory = container["resources"]["requests"]["memory"]
        assert int(memory.removesuffix("Mi")) > START_MB
        # The volume, the settings and the secrets: each is one that the pod has.
        pods = [
            pod(w)
            for w in workloads(overlay).values()
            if container in pod(w)["containers"]
        ]
        volumes = {volume["name"] for volume in pods[0]["volumes"]} | {"state"}
        assert {mount["name"] for mount in mounts} <= volumes


def test_an_overlay_that_asks_for_it_runs_calls(tmp_path: Path) -> None:
    assert workloads("single")["calls"]["spec"]["replicas"] == 0
    shutil.copytree(DEPLOY / "kubernetes" / "base", tmp_path / "base")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "kustomization.yaml").write_text(
        "resources: [../base]\nreplicas: [{name: calls, count: 1}]\n"
    )
    [calls] = [
        one
        for one in yaml.safe_load_all(kustomize(tmp_path / "ours"))
        if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "calls"
    ]
    assert calls["spec"]["replicas"] == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_roles_that_share_files_run_on_one_node_and_can_move_together(
    overlay: str,
) -> None:
    shared = {
        name
        for name, workload in workloads(overlay).items()
        if "towpath-state" in str(pod(workload)["volumes"])
    }
    assert shared
    assert shared == selected(overlay, {"towpath/state": "shared"})
    for name in shared:
        workload = workloads(overlay)[name]
        assert workload["spec"]["replicas"] == (0 if name == "calls" else 1)
        if workload["kind"] == "Deployment":
            assert workload["spec"]["strategy"] == {"type": "Recreate"}
        [near] = pod(workload)["affinity"]["podAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        assert near["labelSelector"]["matchLabels"] == {"towpath/state": "shared"}
    # A budget for one of them would keep the node from being emptied: none can start
    # elsewhere before all have ended.
    for budget in of_kind(overlay, "PodDisruptionBudget"):
        labels = budget["spec"]["selector"]["matchLabels"]
        assert not selected(overlay, labels) & shared


def test_three_pollers_share_the_estate_and_a_majority_of_servers_stays() -> None:
    found = workloads("nats")
    assert found["poll"]["spec"]["replicas"] == found["nats"]["spec"]["replicas"] == 3
    assert "poll" not in selected("nats", {"towpath/state": "shared"})
    budgets = {
        name: budget["spec"]["maxUnavailable"]
        for budget in of_kind("nats", "PodDisruptionBudget")
        for name in selected("nats", budget["spec"]["selector"]["matchLabels"])
    }
    assert budgets == {"nats": 1, "poll": 1}
    [apart] = pod(found["nats"])["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert apart["topologyKey"] == "kubernetes.io/hostname"


def test_nats_accepts_its_settings_and_towpath_asks_all_its_servers(
    tmp_path: Path,
) -> None:
    data = config_data("nats")
    (tmp_path / "towpath.toml").write_text(data["towpath.toml"])
    config = read(tmp_path / "towpath.toml")
    assert config.journal.kind == "nats"
    assert config.snmp.share
    assert config.nats.replicas == len(config.nats.servers) == 3
    named = {server.partition("//")[2] for server in config.nats.servers}
    routes = set(re.findall(r"nats://(\S+):6222", data["nats.conf"]))
    assert named == {f"{route}:4222" for route in routes}
    assert check_nats(data["nats.conf"], "/run/nats", tmp_path) == ""


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_named_and_not_in_the_files(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == []
    document = text_of("docs/operator.md")
    named = set(re.findall(r"secret:\n *name: (\S+)", kustomized(overlay)))
    named |= set(re.findall(r"secretName: (\S+)", kustomized(overlay)))
    assert {"towpath-snmp", "towpath-tls"} <= named
    for name in named:
        assert f"secret generic {name}" in document, name
