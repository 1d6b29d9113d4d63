"""The outermost layer: request ids, security headers, the access log, audit events, and what nobody foresaw."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imageyard.service.api.keys import Caller
from imageyard.service.api.problems import respond, shortened
from imageyard.service.api.yard import Yard

_access = logging.getLogger("imageyard.access")
_audit = logging.getLogger("imageyard.audit")
_log = logging.getLogger("imageyard.service")
READS = ("GET", "HEAD", "OPTIONS")
QUIET = ("/healthz", "/readyz", "/metrics")
"""Paths that are asked every few seconds: only their failures are logged."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PRIVATE = "no-store"
HSTS = "max-age=31536000; includeSubDomains"


class Edge:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, yard: Yard) -> None:
        self._app, self._yard = app, yard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A state of its own: the lifespan's is shared by all requests.
        state = scope["state"] = {**scope.get("state", {}), "request_id": secrets.token_hex(8)}
        started = time.perf_counter()
        status = 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(scope, message)
            await send(message)

        try:
            await self._app(scope, receive, answered)
        except Exception:  # the HTTP edge: whatever it was, the client gets a problem and the log the trace
            _log.exception("unforeseen", extra={"request_id": state["request_id"], **_named(scope)})
            if status:
                raise
            answer = respond(state["request_id"], 500, "this was not foreseen; the log says more by the request id")
            await answer(scope, receive, answered)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    def _dress(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", PRIVATE)
        headers["X-Request-Id"] = scope["state"]["request_id"]
        if self._yard.deployment.https or scope["scheme"] == "https":
            headers["Strict-Transport-Security"] = HSTS

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None)
        self._yard.metrics.request(scope["method"], route or "none", status, seconds)
        who = scope["state"].get("caller")
        said: dict[str, Any] = {
            "request_id": scope["state"]["request_id"],
            "who": who.name if isinstance(who, Caller) else None,
            "peer": (scope.get("client") or (None,))[0],
            "method": scope["method"][:16],
            "path": shortened(scope["path"], 300),
            "status": status,
            **_named(scope),
        }
        if scope["path"] not in QUIET or status >= 400:
            _access.info("request", extra={**said, "seconds": round(seconds, 4)})
        if scope["method"] not in READS and isinstance(who, Caller):
            noted = dict(scope["state"].get("noted", {}))
            said |= {name: noted.pop(name) for name in ("dataset", "job", "result") if name in noted}
            said.setdefault("result", "done" if 200 <= status < 400 else "refused" if status < 500 else "failed")
            action = getattr(scope.get("route"), "operation_id", None) or "unknown"
            _audit.info("change", extra={**said, "action": action, "more": noted or None})


def _named(scope: Scope) -> dict[str, str]:
    """The dataset and job that the path names, as far as it does."""
    found = scope.get("path_params", {})
    return {
        "job" if name == "id" else name: str(found[name])[:100] for name in ("dataset", "job", "id") if name in found
    }
