"""A server that speaks the Jobs API as Ray's head does, with states that a test sets: for moments that no Ray can show.

Its answers are those of Ray 2.60: 500 to a second submission of an id, 404 to what it does not know, True to whoever
stops a job that cannot be stopped.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "the-token"


@dataclass
class RayApi:
    """What the head knows, and how it answers."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(method, path) of every request."""
    refuses: str = ""
    """A part of the ids that it answers 500 to."""
    gone: str = ""
    """A part of the ids of jobs whose node is gone: they are said to run, and cannot be stopped."""
    raw: tuple[int, dict[str, str], bytes] | None = None
    """What it answers to everything, if set."""
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, name: str, status: str, message: str = "") -> None:
        self.jobs[name] |= {"status": status, "message": message}

    @property
    def stopped(self) -> list[str]:
        return [path.split("/")[3] for method, path in self.asked if path.endswith("/stop")]

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.raw is not None:
            return self.raw
        if token != f"Bearer {TOKEN}":
            return (403, {}, b"Forbidden") if token else (401, {}, b"Unauthorized")
        self.asked.append((method, path))
        if path == "/api/version":
            return 200, {}, b'{"version": "4", "ray_version": "2.60.0"}'
        if method == "POST" and path == "/api/jobs/":
            wish = json.loads(body)
            name = wish["submission_id"]
            if self.refuses and self.refuses in name:
                return 500, {}, b"Traceback\n  ...\nRuntimeError: no room"
            if name in self.jobs:
                return 500, {}, f"Traceback\nValueError: Job with submission_id {name} already exists.".encode()
            self.jobs[name] = {**wish, "status": "PENDING", "message": ""}
            return 200, {}, json.dumps({"submission_id": name}).encode()
        name = path.split("/")[3]
        if name not in self.jobs:
            return 404, {}, b"Job does not exist"
        if path.endswith("/stop"):
            if self.gone and self.gone in name:
                return 500, {}, b"Traceback\n  ...\nConnectionRefusedError: [Errno 111] Connect call failed"
            return 200, {}, b'{"stopped": true}'
        return 200, {}, json.dumps(self.jobs[name]).encode()


@contextmanager
def ray_api(api: RayApi | None = None) -> Iterator[RayApi]:
    """The server, while the block runs; at the port it had before, if it had one."""
    api = api or RayApi()

    class Handler(BaseHTTPRequestHandler):
        def _go(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, data = api.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _go  # noqa: N815  # the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return None

    with ThreadingHTTPServer(("127.0.0.1", api.port), Handler) as server:
        api.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
