"""An S3 server that takes every request and does not answer, until it is told to: then it says that nobody may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Silent:
    """The server; `asked` is set when it was asked anything, and setting `answers` lets it answer."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()


@contextmanager
def silent_s3(environment: pytest.MonkeyPatch) -> Iterator[Silent]:
    """The server while the block runs, at whose end it answers; the environment says that it is the one of s3://."""
    silent = Silent()

    class Handler(BaseHTTPRequestHandler):
        def _go(self) -> None:
            silent.asked.set()
            silent.answers.wait()
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _go  # noqa: N815  # the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield silent
        finally:
            silent.answers.set()
            server.shutdown()
            thread.join()
