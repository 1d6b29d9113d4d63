"""The server process: uvicorn around the application, told everything here and nothing by the environment."""

from __future__ import annotations

import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from imageyard.service.api.patience import patient_for
from imageyard.service.api.yard import Yard
from imageyard.service.deployment import Deployment, DeploymentError

KEEP_ALIVE_SECONDS = 30
MOST_HEAD_BYTES = 64 * 1024
"""Of a request's first line and headers, before the gate counts them."""


class Server(uvicorn.Server):
    """uvicorn, whose first signal also lets the open event streams end."""

    def __init__(self, config: uvicorn.Config, yard: Yard) -> None:
        super().__init__(config)
        self._yard = yard

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal. Raises DeploymentError, before anything is begun, where it cannot listen."""
        super().run(sockets or [_bound(self.config.host, self.config.port)])

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


def _bound(host: str, port: int) -> socket.socket:
    """A socket at that address, at which the server will listen once it has started."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise DeploymentError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}); "
            "name an address of this machine with --host, and a free port with --port"
        ) from error
    return bound
