"""The configurations of the service that we give as examples: it takes them, and is guarded until they have a key."""

import re
from typing import Any

import pytest
import yaml

from imageyard.service.deployment import DeploymentError, digest_of, parse_deployment
from manifests_of_kubernetes import of_kind
from programs import ROOT

PLACES = {"BUCKET": "yard-of-cats", "REGION": "eu-central-1", "ACCOUNT": "123456789012"}


def on_kubernetes() -> dict[str, Any]:
    (found,) = of_kind("ConfigMap")
    text = re.sub("|".join(PLACES), lambda place: PLACES[place.group()], found["data"]["service.yaml"])
    config = yaml.safe_load(text)
    assert isinstance(config, dict)
    return config


def in_compose() -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "infra" / "docker" / "service.yaml").read_text())
    assert isinstance(config, dict)
    return config


@pytest.mark.parametrize("example", [on_kubernetes, in_compose])
def test_the_service_takes_an_example_but_does_not_open_without_a_key(example: Any) -> None:
    config = example()
    with pytest.raises(DeploymentError, match="no key"):
        parse_deployment(config, where="the example").check_guarded("0.0.0.0")  # noqa: S104
    config["tenants"][0]["keys"] = [{"name": "first", "sha256": digest_of("a key"), "scopes": ["read", "admin"]}]
    parse_deployment(config, where="the example").check_guarded("0.0.0.0")  # noqa: S104


def test_a_misspelt_setting_of_an_example_would_be_noticed() -> None:
    with pytest.raises(DeploymentError, match="qeue"):
        parse_deployment({**on_kubernetes(), "qeue": {}}, where="the example")


def test_the_service_speaks_to_the_cluster_by_the_name_that_kuberay_gives_its_head() -> None:
    (cluster,) = of_kind("RayCluster")
    assert on_kubernetes()["ray"]["address"] == f"http://{cluster['metadata']['name']}-head-svc:8265"


def test_models_lie_where_terraform_lets_workers_read_them() -> None:
    variables = (ROOT / "infra" / "terraform" / "variables.tf").read_text()
    (models,) = re.findall(r'variable "models" {[^}]*?default\s*=\s*"([^"]+)"', variables)
    assert [tenant["also"] for tenant in on_kubernetes()["tenants"]] == [[f"s3://{PLACES['BUCKET']}/{models}"]]


def test_compose_speaks_to_ray_and_the_bucket_that_it_starts() -> None:
    services = yaml.safe_load((ROOT / "infra" / "docker" / "compose.yaml").read_text())["services"]
    assert in_compose()["ray"]["address"] == "http://ray-head:8265"
    assert "ray-head" in services
    assert in_compose()["tenants"][0]["prefix"].startswith("s3://imageyard/")
    assert 'create_bucket(Bucket="imageyard")' in services["bucket"]["command"][0]
