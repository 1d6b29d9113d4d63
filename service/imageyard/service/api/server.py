"""The server process: uvicorn around the application, told everything here and nothing by the environment."""

from __future__ import annotations

from types import FrameType

import uvicorn
from fastapi import FastAPI

from imageyard.service.api.patience import patient_for
from imageyard.service.api.yard import Yard
from imageyard.service.deployment import Deployment

KEEP_ALIVE_SECONDS = 30
MOST_HEAD_BYTES = 64 * 1024
"""Of a request's first line and headers, before the gate counts them."""


class Server(uvicorn.Server):
    """uvicorn, whose first signal also lets the open event streams end."""

    def __init__(self, config: uvicorn.Config, yard: Yard) -> None:
        super().__init__(config)
        self._yard = yard

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._yard.stopping.set()
        super().handle_exit(sig, frame)


def server_of(app: FastAPI, deployment: Deployment, *, host: str, port: int) -> Server:
    """A server that is ready to `run()`. Raises DeploymentError where anybody could come in without a key."""
    deployment.check_guarded(host)
    limits = deployment.limits
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=patient_for(limits.head_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(deployment.trusted_proxies),
        forwarded_allow_ips=list(deployment.trusted_proxies),
        limit_concurrency=limits.connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=limits.shutdown_seconds,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )
    return Server(config, app.state.yard)
