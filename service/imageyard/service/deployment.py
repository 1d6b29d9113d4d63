"""A deployment of the service: tenants, their prefixes and keys, Ray, the queue and the limits, from one YAML file."""

from __future__ import annotations

import hashlib
import secrets
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from imageyard.manifests.errors import ImageyardError
from imageyard.ray_jobs.job_records import Options

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")
"""Rising: who may submit may read, who may administer may submit."""
KEY_PREFIX = "iy_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
NOTHING = frozenset(hashlib.sha256(said).hexdigest() for said in (b"", b"\n"))
"""What `sha256sum` says of a key that was not there."""


def _of_something(digest: str) -> str:
    if digest in NOTHING:
        raise ValueError("is the digest of nothing: the key was empty; make one with `imageyard key`")
    return digest


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$"), AfterValidator(_of_something)]


class DeploymentError(ImageyardError):
    """The configuration of the service is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Key(_Part):
    """A bearer key: only its digest is known here."""

    name: Name
    sha256: Digest
    scopes: tuple[Scope, ...] = Field(min_length=1)


class Tenant(_Part):
    """Whoever shares one prefix of a bucket and sees nothing else."""

    name: Name
    prefix: str = Field(max_length=512)
    """URL below which all datasets of the tenant lie: s3://bucket/path."""
    also: tuple[Annotated[str, Field(max_length=512)], ...] = ()
    """Further prefixes that recipes may read from, such as one with the team's models."""
    keys: tuple[Key, ...] = ()

    @field_validator("prefix")
    @classmethod
    def _slashless(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("also")
    @classmethod
    def _all_slashless(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.rstrip("/") for one in value)


class Ray(_Part):
    """The Ray cluster that runs jobs."""

    address: str = Field(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+$", max_length=256)
    """Of its dashboard, where the Jobs API is: http://ray-head:8265. The token is not here: it is a secret."""


class Queue(_Part):
    """Where the bucket's events arrive."""

    url: str = Field(pattern=r"^https?://[A-Za-z0-9./\[\]:_-]+$", max_length=512)
    """Of the SQS queue."""
    dead_letters: str | None = Field(default=None, pattern=r"^https?://[A-Za-z0-9./\[\]:_-]+$", max_length=512)
    """Of the queue for messages that nobody can read; unset, they are left to the redrive policy."""


class Watch(_Part):
    """When what arrives in a drop folder is taken in."""

    window: float = Field(default=30, gt=0, le=3600)
    """Seconds from the first arrival to the job that takes it in; a caption has as long to follow its image."""
    most: int = Field(default=5000, ge=1, le=1_000_000)
    """Arrivals after which the job begins at once."""
    every: float = Field(default=300, ge=1, le=86_400)
    """Seconds between listings of a drop folder, which find what no event told of."""
    options: Options = Options()
    """How the jobs are spread over the cluster, such as with GPUs."""


class Models(_Part):
    """Which models recipes may name besides those of the tables."""

    folders: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=100)], ...] = ()
    """Names of folders in the workers' folder of models. No other place on a disk is ever allowed."""


class Metrics(_Part):
    """Who may read /metrics."""

    sha256: Digest
    """Of the bearer key that the scraper sends; `imageyard key --name metrics` makes one."""


class Limits(_Part):
    """What one client can take of the service."""

    body_bytes: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    head_seconds: float = Field(default=15, gt=0, le=300)
    """In which the first line and the headers of a request must have come."""
    body_seconds: float = Field(default=15, gt=0, le=300)
    """In which a whole body must have come."""
    url_bytes: int = Field(default=4096, ge=256, le=16384)
    """Of path and query together."""
    header_bytes: int = Field(default=16 * 1024, ge=1024, le=32 * 1024)
    requests_per_second: float = Field(default=100, gt=0, le=100_000)
    """Of one key, on average."""
    burst: int = Field(default=200, ge=1, le=1_000_000)
    """Of one key, at once."""
    failures_per_minute: float = Field(default=30, gt=0, le=10_000)
    """Requests without a valid key that one peer may make before it is told to wait."""
    connections: int = Field(default=1000, ge=1, le=100_000)
    streams: int = Field(default=100, ge=1, le=10_000)
    """Event streams open at once, of all clients."""
    streams_of_a_key: int = Field(default=10, ge=1, le=10_000)
    threads: int = Field(default=40, ge=1, le=500)
    """Requests worked on at once; further ones wait."""
    threads_of_a_key: int = Field(default=30, ge=1, le=500)
    """Of them those of one key: while its own are slow, others still have some."""
    upload_files: int = Field(default=1000, ge=1, le=10_000)
    """Files in one request for upload forms."""
    upload_bytes: int = Field(default=100 * 1024 * 1024, ge=1)
    """Of one uploaded file."""
    upload_seconds: int = Field(default=900, ge=60, le=900)
    """For which an upload form is good."""
    open_jobs: int = Field(default=500, ge=1, le=100_000)
    """Of one dataset, jobs that have not ended: each is looked at every few seconds."""
    recipe_bytes: int = Field(default=64 * 1024, ge=256, le=1024 * 1024)
    shutdown_seconds: int = Field(default=20, ge=0, le=600)
    """That running requests have when the service is told to stop."""


class Deployment(_Part):
    """Everything the service is told; it holds no secret, only digests of keys."""

    tenants: tuple[Tenant, ...] = Field(min_length=1)
    ray: Ray | None = None
    queue: Queue | None = None
    watch: Watch = Watch()
    models: Models = Models()
    metrics: Metrics | None = None
    limits: Limits = Limits()
    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:\[\]-]+$", max_length=253)], ...] = ()
    """Values of the Host header that are answered; unset, any. Probes and the scraper may call it by its number."""
    trusted_proxies: tuple[Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:/]+$")], ...] = ()
    """Addresses whose X-Forwarded-For and -Proto are believed; unset, nobody's."""
    https: bool = False
    """Whether clients come by https, which a proxy ends: answers then say Strict-Transport-Security."""
    dev: bool = False
    """Set by --dev alone: file:// prefixes and, on loopback, no keys."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        _once("tenant", [tenant.name for tenant in self.tenants])
        _once("key digest", [key.sha256 for tenant in self.tenants for key in tenant.keys])
        for tenant in self.tenants:
            _once(f"key of tenant {tenant.name}", [key.name for key in tenant.keys])
            for url in (tenant.prefix, *tenant.also):
                _check_prefix(url, dev=self.dev)
        prefixes = sorted((tenant.prefix + "/", tenant.name) for tenant in self.tenants)
        for (first, one), (second, other) in pairwise(prefixes):
            if second.startswith(first):
                raise ValueError(f"the prefixes of tenants {one} and {other} lie inside each other; keep them apart")
        return self

    @property
    def has_keys(self) -> bool:
        return any(tenant.keys for tenant in self.tenants)

    def check_guarded(self, host: str) -> None:
        """Raises DeploymentError if anybody could come in without a key from another machine."""
        if not self.has_keys and not (self.dev and host in LOOPBACK):
            raise DeploymentError(
                "the configuration has no key, so anybody could use the service; make one with `imageyard key`, "
                "or try it without on this machine alone: --dev --host 127.0.0.1"
            )


def load_deployment(path: Path, *, dev: bool = False) -> Deployment:
    """The deployment in a YAML file. Raises DeploymentError, which names every fault, each on a line."""
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise DeploymentError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise DeploymentError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    return parse_deployment(data, where=str(path), dev=dev)


def parse_deployment(data: object, *, where: str, dev: bool = False) -> Deployment:
    """The deployment in parsed YAML."""
    if not isinstance(data, dict):
        raise DeploymentError(f"{where}: a deployment has `tenants:`, each with a name, a prefix and keys")
    if "dev" in data:
        raise DeploymentError(f"{where}: `dev` is no setting of the file; start with --dev")
    try:
        return Deployment.model_validate({**data, "dev": dev})
    except ValidationError as error:
        found = error.errors(include_input=False)
        # A list is also said to be too short of what is wrong in it.
        deeper = {fault["loc"][:-1] for fault in found} | {fault["loc"][:1] for fault in found if len(fault["loc"]) > 1}
        told = [fault for fault in found if fault["type"] != "too_short" or fault["loc"] not in deeper]
        faults = "\n".join(f"{where}: {_said(fault)}" for fault in told)
        raise DeploymentError(faults) from None


def new_key() -> str:
    """A fresh key of 256 random bits. It is shown once and stored nowhere."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """The sha256 under which a key stands in the configuration. A key is random, so no salt or slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _said(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"`{place}` is missing"
    if fault["type"] == "extra_forbidden":
        return f"there is no setting `{place}`"
    return f"`{place}`: {message}" if place else message


def _once(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the {what} {name} stands twice; each must be of its own")


def _check_prefix(url: str, *, dev: bool) -> None:
    from imageyard.service.addresses import fault_of

    schemes = ("s3", "gs", "az", "file", "memory") if dev else ("s3", "gs", "az")
    fault = fault_of(url, schemes=schemes)
    if fault is not None:
        raise ValueError(f"prefix {url[:200]!r}: {fault}")
