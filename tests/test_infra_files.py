"""Container files, the compose file and the file of `ray up`, each held to what its own program accepts."""

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageyard.ray_jobs.capacity import NODES, nodes_of
from programs import ROOT, said, tool

DOCKER = ROOT / "infra" / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
COMPOSE = DOCKER / "compose.yaml"
RAY_UP = ROOT / "infra" / "ray-up" / "cluster.yaml"


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_has_nothing_against_a_container_file(file: Path) -> None:
    status, text = said([tool("hadolint"), str(file)])
    assert status == 0, text


def test_hadolint_notices_a_fault(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python\nRUN cd /tmp && pip install imageyard\n")
    assert said([tool("hadolint"), str(wrong)])[0] != 0


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_containers_do_not_run_as_root_and_copy_only_what_there_is(file: Path) -> None:
    last = file.read_text().rsplit("\nFROM ", 1)[1]
    (user,) = re.findall(r"^USER (\d+):\d+$", last, re.MULTILINE)
    assert int(user) > 0
    for line in re.findall(r"^COPY (?!--from)(.+)$", file.read_text(), re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), f"{file.name} copies {source}"


@pytest.mark.parametrize("name", ["Dockerfile.service", "Dockerfile.ray"])
def test_what_is_installed_is_pinned(name: str) -> None:
    installs = re.findall(r"pip install .+", (DOCKER / name).read_text())
    assert len(installs) == 1
    assert re.search(r"-c \S*constraints\.txt", installs[0])


def extras_of_the_project() -> dict[str, list[str]]:
    import tomllib

    found: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return found


def test_everything_that_is_asked_for_by_name_has_its_version_pinned() -> None:
    def plain(name: str) -> str:
        return re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0].lower().replace("_", "-")

    pins = {plain(line) for line in (ROOT / "infra" / "constraints.txt").read_text().splitlines() if "==" in line}
    extras = extras_of_the_project()
    asked = {plain(one) for name in ("jobs", "caption", "cpu", "gpu", "service") for one in extras[name]}
    assert asked - pins == set()


def test_extras_that_containers_install_exist() -> None:
    extras = set(extras_of_the_project())
    for file in DOCKERFILES:
        for listed in re.findall(r"\[([a-z,]+|[a-z,]+\$\{RUNTIME\})\]['\"]", file.read_text()):
            assert set(listed.replace("${RUNTIME}", "cpu,gpu").split(",")) <= extras


def test_the_build_sees_nothing_but_sources() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert "*" in lines
    needed = {
        source
        for file in DOCKERFILES
        for line in re.findall(r"^COPY (?!--from)(.+)$", file.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert {f"!{source}" for source in needed} <= set(lines)


def compose_check(file: Path) -> tuple[int, str]:
    return said([tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)])


def test_the_compose_file_is_one() -> None:
    status, text = compose_check(COMPOSE)
    assert status == 0, text


def test_a_misspelt_member_of_the_compose_file_is_noticed(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("shm_size:", "shm_siez:"))
    status, text = compose_check(wrong)
    assert status != 0
    assert "shm_siez" in text


def test_compose_opens_ports_on_loopback_alone_and_has_no_secret() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    ports = [port for one in services.values() for port in one.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "ports" not in services["ray-head"]
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("TOKEN", "KEY")):
                assert value.startswith("${"), name
        assert service["cap_drop"] == ["ALL"]


def test_compose_waits_for_services_that_there_are_and_mounts_files_that_there_are() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"]


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as `ray up` fills it in and checks it."""
    util = pytest.importorskip("ray.autoscaler._private.util", reason="Ray's own check is not where it was")
    found: dict[str, Any] = util.prepare_config(config)
    util.validate_config(found)
    return found


def test_ray_up_takes_its_file() -> None:
    found = prepared(yaml.safe_load(RAY_UP.read_text()))
    assert set(found["available_node_types"]) == {"head", "cpu", "gpu"}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ((), "max_worker", 3),
        (("available_node_types", "cpu"), "resource", {"CPU": 8}),
        (("provider",), "use_internal_ips", "yes, please"),
        (("available_node_types", "gpu", "resources"), "GPU", "one"),
    ],
)
def test_ray_up_refuses_a_faulty_file(path: tuple[str, ...], name: str, value: object) -> None:
    import jsonschema

    config = copy.deepcopy(yaml.safe_load(RAY_UP.read_text()))
    place = config
    for step in path:
        place = place[step]
    place[name] = value
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        prepared(config)


def test_ray_up_starts_private_nodes_with_roles_and_a_token() -> None:
    config = yaml.safe_load(RAY_UP.read_text())
    assert config["provider"]["use_internal_ips"] is True
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["IamInstanceProfile"]["Arn"]
        assert kind["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
    assert config["available_node_types"]["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]


def test_jobs_are_told_of_the_nodes_that_ray_up_may_start() -> None:
    config = yaml.safe_load(RAY_UP.read_text())
    (start,) = (line for line in config["head_start_ray_commands"] if "ray start" in line)
    (said,) = (word.removeprefix(f"{NODES}=") for word in shlex.split(start) if word.startswith(NODES))
    kinds = [config["available_node_types"][name] for name in ("cpu", "gpu")]
    expected = [{"GPU": 0.0, **kind["resources"]} for kind in kinds for _ in range(kind["max_workers"])]
    assert list(nodes_of(said)) == expected
