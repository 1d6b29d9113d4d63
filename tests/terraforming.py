"""Terraform offline: the configuration initialised in a folder of its own, and applied to a moto server."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from programs import ROOT, free_port, running, said, tool

SOURCE = ROOT / "infra" / "terraform"
QUIET = {"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
PLACES = (
    "~/.terraform.d/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt/tf-plugins",
)

ON_MOTO = """
provider "aws" {{
  region                      = var.region
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
  endpoints {{
    events = "{url}"
    iam    = "{url}"
    s3     = "{url}"
    sqs    = "{url}"
    sts    = "{url}"
  }}
}}
"""

VARIABLES = {
    "region": "eu-central-1",
    "bucket": "yard-of-cats",
    "oidc_provider_arn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABCDEF",
    "tenants": {
        "cats": {"prefix": "teams/cats", "trainers": ["training:cats"]},
        "dogs": {"prefix": "teams/dogs", "trainers": ["training:dogs"]},
    },
    "more_writers": ["arn:aws:iam::123456789012:role/imageyard-ray-nodes"],
}


@dataclass(frozen=True)
class Applied:
    """What `terraform apply` made on a moto server that still runs."""

    url: str
    outputs: Mapping[str, Any]
    bucket_policy: Mapping[str, Any]

    def client(self, service: str) -> Any:
        """A boto3 client for that server."""
        return client(self.url, service)

    def environment(self) -> dict[str, str]:
        """What to lay over an environment so that boto3 and obstore in it use that server."""
        endpoints = dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS"), self.url)
        return {**CREDENTIALS, **endpoints, "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true"}

    def role_policies(self, role: str) -> list[dict[str, Any]]:
        """The documents attached to a role."""
        iam = self.client("iam")
        documents = []
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            found = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
            version = iam.get_policy_version(PolicyArn=found["Arn"], VersionId=found["DefaultVersionId"])
            documents.append(version["PolicyVersion"]["Document"])
        return documents


def client(url: str, service: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=url, region_name="eu-central-1", **keys)


def terraform(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of Terraform in `folder`, and what it said."""
    return said([_program(), *arguments], env={**QUIET, **CREDENTIALS}, cwd=folder)


def initialised(folder: Path) -> Path:
    """A copy of the configuration in `folder`, its provider installed from the machine; skips where that is absent."""
    plugins = _plugins()
    copy = folder / "terraform"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    status, text = terraform(copy, "init", "-backend=false", f"-plugin-dir={plugins}", "-no-color")
    assert status == 0, text
    return copy


@contextmanager
def applied(folder: Path) -> Iterator[Applied]:
    """The configuration of `folder` applied to a fresh moto server."""
    # moto does not know this attribute of a queue, and the provider would wait for it until it gives up.
    (folder / "redrive.tf").unlink()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "moto_override.tf").write_text(ON_MOTO.format(url=url))
    (folder / "terraform.tfvars.json").write_text(json.dumps(VARIABLES))
    with running([tool("moto_server"), "-H", "127.0.0.1", "-p", str(port)], port):
        status, text = terraform(folder, "apply", "-auto-approve", "-input=false", "-no-color")
        assert status == 0, text
        status, text = terraform(folder, "output", "-json")
        assert status == 0, text
        outputs = {name: one["value"] for name, one in json.loads(text).items()}
        s3 = client(url, "s3")
        policy = json.loads(s3.get_bucket_policy(Bucket=VARIABLES["bucket"])["Policy"])
        # moto judges by the policy, but knows no conditions: it would deny whatever does not come over TLS.
        s3.delete_bucket_policy(Bucket=VARIABLES["bucket"])
        yield Applied(url, outputs, policy)


def _program() -> str:
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("terraform is not on the PATH")
    return found


def _plugins() -> Path:
    """The plugin directory that has the AWS provider: TF_PLUGIN_DIR names it, else it is looked for."""
    for place in (os.environ.get("TF_PLUGIN_DIR"), *PLACES):
        if place and list(
            Path(place).expanduser().glob("registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws*")
        ):
            return Path(place).expanduser()
    pytest.skip("no plugin directory of Terraform has the AWS provider; TF_PLUGIN_DIR names one")
