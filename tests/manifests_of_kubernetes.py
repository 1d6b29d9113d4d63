"""Our Kubernetes objects as data, and the strict check of custom resources against their definitions."""

import copy
import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from programs import ROOT

FOLDER = ROOT / "infra" / "k8s"
FILES = sorted(FOLDER.rglob("*.yaml"))
CUSTOM = ("ray.io/", "kueue.x-k8s.io/")

Object = Mapping[str, Any]


def objects() -> list[Object]:
    """Every object of infra/k8s."""
    return [found for file in FILES for found in yaml.safe_load_all(file.read_text())]


def of_kind(kind: str) -> list[Object]:
    return [found for found in objects() if found["kind"] == kind]


def pods() -> list[Object]:
    """Every pod template of ours."""
    return list(_templates(objects()))


def _templates(value: object) -> Iterator[Object]:
    if isinstance(value, Mapping):
        if "containers" in value.get("spec", {}):
            yield value
        for member in value.values():
            yield from _templates(member)
    elif isinstance(value, list):
        for member in value:
            yield from _templates(member)


def faults(found: Object) -> list[str]:
    """What the definition of a custom resource has against it; skips where the definitions are absent."""
    group, _, version = found["apiVersion"].partition("/")
    definition = json.loads((_definitions() / f"{found['kind']}.json").read_text())
    assert definition["group"] == group
    validator = jsonschema.Draft202012Validator(_strict(definition["versions"][version]))
    return [f"{'.'.join(map(str, fault.path))}: {fault.message}" for fault in validator.iter_errors(found)]


@cache
def _definitions() -> Path:
    """A folder of one file a kind, {group, kind, versions: {name: OpenAPI schema}}."""
    named = os.environ.get("IMAGEYARD_CRD_SCHEMAS")
    folder = Path(named) if named else ROOT.parent / "shared" / "reference" / "k8s-schemas"
    if not (folder / "RayCluster.json").is_file():
        pytest.skip("the definitions of KubeRay and Kueue are not here; IMAGEYARD_CRD_SCHEMAS names their folder")
    return folder


def _strict(schema: Any) -> Any:
    """The schema as an API server takes it, but with unknown fields refused; what has a default may be absent."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(one) for name, one in schema.items()}
    members = schema.get("properties")
    if isinstance(members, dict) and schema.get("type", "object") == "object":
        strict["properties"] = {name: _strict(one) for name, one in members.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            strict["additionalProperties"] = False
        needed = [name for name in schema.get("required", ()) if "default" not in members.get(name, {})]
        strict["required"] = needed
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    # The top of an object is Kubernetes' own, the same for every kind.
    if "apiVersion" in strict.get("properties", {}) and "spec" in strict["properties"]:
        strict["properties"]["metadata"] = copy.deepcopy(METADATA)
    return strict


METADATA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector means what has these labels; an empty one means everything."""
    unknown = set(selector) - {"matchLabels", "matchExpressions"}
    assert not unknown, unknown
    for name, value in selector.get("matchLabels", {}).items():
        if labels.get(name) != value:
            return False
    for term in selector.get("matchExpressions", ()):
        assert term["operator"] == "In", term
        if labels.get(term["key"]) not in term["values"]:
            return False
    return True
