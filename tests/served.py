"""A service to ask: a deployment with two tenants and their keys, in this process or as a server of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from imageyard.service.deployment import KEY_PREFIX, Deployment, digest_of, parse_deployment
from programs import free_port

# As long as real ones; always the same, for tests are named by them.
READ, SUBMIT, ADMIN, OTHER, SCRAPER, UNKNOWN = (
    KEY_PREFIX + digest_of(name)[:43] for name in ("read", "submit", "admin", "other", "scraper", "unknown")
)
START_SECONDS = 180


def configuration(prefix: str, **more: Any) -> dict[str, Any]:
    """Tenants `acme` and `bees` below `prefix`, as a YAML file has them."""
    keys = [
        {"name": name, "sha256": digest_of(key), "scopes": [name]}
        for name, key in (("read", READ), ("submit", SUBMIT), ("admin", ADMIN))
    ]
    other = [{"name": "all", "sha256": digest_of(OTHER), "scopes": ["admin"]}]
    return {
        "tenants": [
            {"name": "acme", "prefix": f"{prefix}/acme", "also": [f"{prefix}/models"], "keys": keys},
            {"name": "bees", "prefix": f"{prefix}/bees", "keys": other},
        ],
        "metrics": {"sha256": digest_of(SCRAPER)},
        **more,
    }


def deployment(prefix: str, **more: Any) -> Deployment:
    return parse_deployment(configuration(prefix, **more), where="test", dev=True)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Served:
    """A running `imageyard serve`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def serving(
    folder: Path, said: Mapping[str, Any], *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """`imageyard serve --dev` on a free port of loopback, until the block ends."""
    config, log = folder / "deployment.yaml", folder / "service.log"
    config.write_text(yaml.safe_dump(dict(said)))
    port = free_port()
    arguments = ["serve", "--config", str(config), "--port", str(port), "--dev", *options]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "imageyard.service.cli", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    served = Served(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait(served)
        yield served
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(served: Served) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if served.process.poll() is not None:
            break
        try:
            if httpx.get(f"{served.url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the service did not start:\n{served.log.read_text()}")
