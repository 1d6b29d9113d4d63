"""The Kubernetes objects: each field known, each name of another object right, each pod confined, each path meant."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageyard.ray_jobs.capacity import NODES, nodes_of
from manifests_of_kubernetes import CUSTOM, FILES, Object, faults, objects, of_kind, pods, selects
from programs import ROOT, said, tool

CORE = [found for found in objects() if not found["apiVersion"].startswith(CUSTOM)]
CUSTOMS = [found for found in objects() if found["apiVersion"].startswith(CUSTOM)]
ROLE = "imageyard/role"


def name_of(found: Object) -> str:
    return f"{found['kind']} {found['metadata'].get('name') or found['metadata']['generateName']}"


def test_every_file_is_looked_at() -> None:
    assert {file.stem for file in FILES} == {
        *("namespace", "accounts", "config", "service", "raycluster", "network"),
        *("kueue", "rayjob"),
    }


def checked(tmp_path: Path, found: Object) -> tuple[int, str]:
    file = tmp_path / "object.yaml"
    file.write_text(yaml.safe_dump(dict(found)))
    return said([tool("kubernetes-validate"), "--strict", str(file)])


def test_kubernetes_knows_every_field_of_its_own_kinds(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all([dict(found) for found in CORE]))
    status, text = said([tool("kubernetes-validate"), "--strict", str(file)])
    assert status == 0, text
    assert text.count(" passed ") == len(CORE)


def test_a_misspelt_field_of_kubernetes_is_noticed(tmp_path: Path) -> None:
    (deployment,) = (copy.deepcopy(found) for found in CORE if found["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    status, text = checked(tmp_path, deployment)
    assert status != 0
    assert "terminationGracePeriod" in text


@pytest.mark.parametrize("found", CUSTOMS, ids=name_of)
def test_the_definitions_know_every_field_of_a_custom_resource(found: Object) -> None:
    assert faults(found) == []


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (("spec",), "enableInTreeAutoscalling", True),
        (("spec", "authOptions"), "mode", "tokens"),
        (("spec", "autoscalerOptions"), "idleTimeoutSeconds", "120"),
        (("spec", "headGroupSpec", "template", "spec"), "serviceAcountName", "x"),
        (("spec", "workerGroupSpecs", 0, "template", "spec", "containers", 0, "resources"), "request", {}),
        (("metadata",), "label", {}),
    ],
    ids=lambda value: str(value) if not isinstance(value, tuple) else ".".join(map(str, value)),
)
def test_a_misspelt_field_of_a_custom_resource_is_noticed(path: tuple[str | int, ...], name: str, value: Any) -> None:
    (cluster,) = (copy.deepcopy(found) for found in of_kind("RayCluster"))
    place: Any = cluster
    for step in path:
        place = place[step]
    place[name] = value
    assert faults(cluster)


def test_everything_is_in_one_namespace_that_refuses_what_is_not_confined() -> None:
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    free = {"Namespace", "ResourceFlavor", "ClusterQueue"}
    assert {found["metadata"].get("namespace") for found in objects() if found["kind"] not in free} == {"imageyard"}


def test_every_container_keeps_to_the_restricted_standard() -> None:
    found = pods()
    assert len(found) == 6
    clusters = [one["spec"] for one in of_kind("RayCluster")]
    beside = [spec["autoscalerOptions"]["securityContext"] for spec in clusters]
    for pod in found:
        whole = pod["spec"]["securityContext"]
        beside += [{**whole, **container["securityContext"]} for container in pod["spec"]["containers"]]
    for context in beside:
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_every_container_says_what_it_needs_and_takes_no_more_memory() -> None:
    for pod in pods():
        for container in pod["spec"]["containers"]:
            needs, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(needs)
            assert "memory" in limits
            assert needs.get("nvidia.com/gpu") == limits.get("nvidia.com/gpu")
            assert ("-gpu" in container["image"]) == ("nvidia.com/gpu" in needs)


def test_service_accounts_that_pods_name_exist_and_take_roles() -> None:
    accounts = {one["metadata"]["name"]: one for one in of_kind("ServiceAccount")}
    named = {pod["spec"]["serviceAccountName"] for pod in pods()}
    assert named == set(accounts)
    for account in accounts.values():
        assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::ACCOUNT:role/")


def test_service_accounts_are_those_that_terraform_trusts() -> None:
    text = (ROOT / "infra" / "terraform" / "variables.tf").read_text()
    for account in of_kind("ServiceAccount"):
        assert f'"imageyard:{account["metadata"]["name"]}"' in text


def test_only_the_head_that_scales_its_cluster_has_a_token_of_kubernetes() -> None:
    mounting = [pod for pod in pods() if pod["spec"].get("automountServiceAccountToken", True)]
    assert [pod["metadata"]["labels"][ROLE] for pod in mounting] == ["ray-head"]


def test_images_are_ours_of_one_release_and_one_ray() -> None:
    import ray

    images = {container["image"] for pod in pods() for container in pod["spec"]["containers"]}
    assert images == {
        *("REGISTRY/imageyard-service:0.1.0", "REGISTRY/imageyard-ray:0.1.0-cpu", "REGISTRY/imageyard-ray:0.1.0-gpu")
    }
    specs = [one["spec"] for one in of_kind("RayCluster")]
    specs += [one["spec"]["rayClusterSpec"] for one in of_kind("RayJob")]
    assert {spec["rayVersion"] for spec in specs} == {ray.__version__}
    assert f"BASE=rayproject/ray:{ray.__version__}-py311-cpu" in (ROOT / "infra/docker/Dockerfile.ray").read_text()


def test_ray_wants_a_token_wherever_it_runs() -> None:
    (cluster,) = of_kind("RayCluster")
    (job,) = of_kind("RayJob")
    assert cluster["spec"]["authOptions"] == {"mode": "token", "secretName": "imageyard-ray-token"}
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert tokens_of_the_service() == [{"name": "imageyard-ray-token", "key": "auth_token"}]


def tokens_of_the_service() -> list[object]:
    (deployment,) = of_kind("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one for one in container["env"]}
    assert variables["RAY_AUTH_MODE"]["value"] == "token"
    return [variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]]


def test_no_secret_stands_in_a_file() -> None:
    assert of_kind("Secret") == []
    for pod in pods():
        for container in pod["spec"]["containers"]:
            for variable in container["env"]:
                secret = any(word in variable["name"] for word in ("TOKEN", "SECRET", "PASSWORD", "ACCESS_KEY"))
                assert not (secret and "value" in variable), variable


def test_spot_nodes_have_time_to_drain() -> None:
    workers = [pod for pod in pods() if pod["metadata"]["labels"][ROLE] in ("ray-worker", "job-worker")]
    assert len(workers) == 3
    for pod in workers:
        (container,) = pod["spec"]["containers"]
        (drain,) = (one["value"] for one in container["env"] if one["name"] == "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S")
        assert 60 <= int(drain) < pod["spec"]["terminationGracePeriodSeconds"]


def test_heads_work_on_nothing_and_stay_off_spot_nodes() -> None:
    (cluster,) = of_kind("RayCluster")
    head = cluster["spec"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert head["template"]["spec"]["nodeSelector"] == {"karpenter.sh/capacity-type": "on-demand"}


def test_groups_begin_empty_and_are_scaled_by_what_waits() -> None:
    (cluster,) = of_kind("RayCluster")
    assert cluster["spec"]["enableInTreeAutoscaling"] is True
    assert cluster["spec"]["autoscalerOptions"]["version"] == "v2"
    assert {group["groupName"]: group["minReplicas"] for group in cluster["spec"]["workerGroupSpecs"]} == {
        "cpu": 0,
        "gpu": 0,
    }


def test_jobs_are_told_of_the_nodes_that_may_come() -> None:
    (cluster,) = of_kind("RayCluster")
    (head,) = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    (said,) = (one["value"] for one in head["env"] if one["name"] == NODES)
    expected: list[dict[str, float]] = []
    for group in cluster["spec"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        needs = container["resources"]["requests"]
        node = {"CPU": float(needs["cpu"]), "GPU": float(needs.get("nvidia.com/gpu", 0))}
        expected += [node] * group["maxReplicas"]
    assert list(nodes_of(said)) == expected


def test_what_waits_in_a_queue_has_a_fixed_size_and_the_queue_exists() -> None:
    label = "kueue.x-k8s.io/queue-name"
    queues = {one["metadata"]["name"]: one["spec"]["clusterQueue"] for one in of_kind("LocalQueue")}
    assert set(queues.values()) == {one["metadata"]["name"] for one in of_kind("ClusterQueue")}
    queued = [one for one in objects() if label in one["metadata"].get("labels", {})]
    assert [one["kind"] for one in queued] == ["RayJob"]
    for job in queued:
        assert job["metadata"]["labels"][label] in queues
        assert job["spec"]["shutdownAfterJobFinishes"] is True
        cluster = job["spec"]["rayClusterSpec"]
        assert not cluster.get("enableInTreeAutoscaling", False)
        assert all(one["replicas"] == one["minReplicas"] == one["maxReplicas"] for one in cluster["workerGroupSpecs"])


def test_flavours_of_the_queue_exist_and_a_queued_job_fits() -> None:
    (queue,) = of_kind("ClusterQueue")
    (group,) = queue["spec"]["resourceGroups"]
    flavours = {one["metadata"]["name"] for one in of_kind("ResourceFlavor")}
    assert {one["name"] for one in group["flavors"]} == flavours
    for flavour in group["flavors"]:
        assert [one["name"] for one in flavour["resources"]] == group["coveredResources"]
    (job,) = of_kind("RayJob")
    for pod in [one for one in pods() if one["metadata"]["labels"][ROLE].startswith("job-")]:
        needs = pod["spec"]["containers"][0]["resources"]["requests"]
        assert set(needs) <= set(group["coveredResources"])
    assert job["spec"]["entrypoint"].startswith("python -m imageyard.ray_jobs.main s3://")


def test_probes_ask_the_paths_of_the_service_at_a_port_it_has() -> None:
    (deployment,) = of_kind("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    asked = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: one["path"] for kind, one in asked.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {ports[one["port"]] for one in asked.values()} == {8080}
    assert container["args"][-1] == "8080"


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "Deployment"])
def test_selectors_mean_pods_that_there_are(kind: str) -> None:
    for found in of_kind(kind):
        selector = found["spec"]["selector"]
        selector = {"matchLabels": selector} if kind == "Service" else selector
        assert [pod for pod in pods() if selects(selector, pod["metadata"]["labels"])], name_of(found)


def test_mounts_are_of_volumes_and_config_maps_that_there_are() -> None:
    (deployment,) = of_kind("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind("ConfigMap")}
    volumes = {one["name"]: one for one in spec["volumes"]}
    (container,) = spec["containers"]
    mounted = {one["mountPath"]: volumes[one["name"]] for one in container["volumeMounts"]}
    assert "service.yaml" in maps[mounted["/etc/imageyard"]["configMap"]["name"]]
    assert container["args"][:3] == ["serve", "--config", "/etc/imageyard/service.yaml"]


def test_the_service_stops_within_its_time() -> None:
    (deployment,) = of_kind("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (config,) = of_kind("ConfigMap")
    running = yaml.safe_load(config["data"]["service.yaml"])["limits"]["shutdown_seconds"]
    before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before + running < spec["terminationGracePeriodSeconds"]


# Who reaches whom. Pods are named by their role; `namespace:x` is any pod of that namespace.


def reaches(source: str, target: str, port: int) -> bool:
    """Whether both ends' policies let a connection through."""
    return _lets("Egress", source, target, port) and _lets("Ingress", target, source, port)


def _lets(direction: str, here: str, there: str, port: int) -> bool:
    if here.startswith("namespace:"):
        return True
    labels = _labels(here)
    rules = [
        one["spec"]
        for one in of_kind("NetworkPolicy")
        if direction in one["spec"]["policyTypes"] and selects(one["spec"]["podSelector"], labels)
    ]
    assert rules, f"no policy holds for {here}"
    side, peer = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _has_port(rule, port) and (peer not in rule or any(_is_peer(one, there) for one in rule[peer]))
        for spec in rules
        for rule in spec.get(side, ())
    )


def _has_port(rule: Mapping[str, Any], port: int) -> bool:
    return "ports" not in rule or port in [one["port"] for one in rule["ports"]]


def _is_peer(peer: Mapping[str, Any], other: str) -> bool:
    if "ipBlock" in peer:
        return other == "the internet"
    if "namespaceSelector" in peer:
        return other.startswith("namespace:") and selects(
            peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.removeprefix("namespace:")}
        )
    return (
        not other.startswith("namespace:") and other != "the internet" and selects(peer["podSelector"], _labels(other))
    )


def _labels(role: str) -> Mapping[str, str]:
    found = [pod["metadata"]["labels"] for pod in pods() if pod["metadata"]["labels"][ROLE] == role]
    assert found, f"no pod is a {role}"
    labels: Mapping[str, str] = found[0]
    return labels


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        ("service", "ray-head", 8265),
        ("ray-worker", "ray-head", 6379),
        ("ray-worker", "ray-head", 20001),
        ("ray-head", "ray-worker", 20001),
        ("ray-worker", "ray-worker", 20001),
        ("namespace:ingress-nginx", "service", 8080),
        ("namespace:monitoring", "service", 8080),
        ("job-worker", "job-head", 6379),
        ("namespace:kuberay-operator", "job-head", 8265),
    ],
)
def test_paths_that_must_be_are(source: str, target: str, port: int) -> None:
    assert reaches(source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        ("service", "ray-head", 6379),
        ("service", "ray-head", 10001),
        ("service", "ray-worker", 20001),
        ("ray-worker", "service", 8080),
        ("ray-head", "service", 8080),
        ("job-worker", "ray-head", 8265),
        ("job-head", "ray-worker", 20001),
        ("service", "job-head", 8265),
        ("namespace:ingress-nginx", "ray-head", 8265),
        ("namespace:monitoring", "ray-head", 8265),
        ("namespace:default", "service", 8080),
        ("namespace:default", "ray-head", 8265),
        ("namespace:kuberay-operator", "ray-head", 8265),
    ],
)
def test_paths_that_must_not_be_are_not(source: str, target: str, port: int) -> None:
    assert not reaches(source, target, port)


@pytest.mark.parametrize("role", ["service", "ray-head", "ray-worker", "job-head", "job-worker"])
def test_every_pod_reaches_storage_by_https_and_no_metadata(role: str) -> None:
    assert _lets("Egress", role, "the internet", 443)
    assert not _lets("Egress", role, "the internet", 80)
    blocks = [
        peer["ipBlock"]
        for policy in of_kind("NetworkPolicy")
        for rule in policy["spec"].get("egress", ())
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    ]
    assert {block["cidr"]: "169.254.0.0/16" in block["except"] for block in blocks}["0.0.0.0/0"]
