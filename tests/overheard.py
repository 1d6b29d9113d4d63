"""A proxy before an S3 server that notes each request as IAM would call it, to hold policies to real runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from policies import Asked

_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def overhearing(endpoint: str) -> Iterator[tuple[str, list[Asked]]]:
    """A URL in place of `endpoint`, and the requests that came by it so far."""
    heard: list[Asked] = []
    host = urlsplit(endpoint).netloc

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            heard.extend(_in_words_of_iam(self.command, self.path, dict(self.headers)))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = HTTPConnection(host, timeout=60)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(data)
            upstream.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815  # the names http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heard
        finally:
            server.shutdown()
            thread.join()


def _in_words_of_iam(method: str, path: str, headers: dict[str, str]) -> list[Asked]:
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        context = {"s3:prefix": query["prefix"][0]} if "prefix" in query else {}
        return [Asked("s3:ListBucket" if method in ("GET", "HEAD") else f"s3:{method}Bucket", arn, context=context)]
    if method in ("GET", "HEAD"):
        return [Asked("s3:GetObject", f"{arn}/{key}")]
    if method == "DELETE":
        return [Asked("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", f"{arn}/{key}")]
    creates = "partNumber" not in query and "uploads" not in query
    condition = {name.lower(): value for name, value in headers.items()}.get("if-none-match")
    context = {"s3:ObjectCreationOperation": str(creates).lower()}
    return [
        Asked("s3:PutObject", f"{arn}/{key}", context=context | ({"s3:if-none-match": condition} if condition else {}))
    ]
