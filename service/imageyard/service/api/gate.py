"""The gate before every route: host, lengths, the key, rates, and the body, whole and of bounded size and time."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imageyard.service.api.keys import Caller, bearer
from imageyard.service.api.problems import respond
from imageyard.service.api.yard import Yard
from imageyard.service.deployment import LOOPBACK, digest_of

PUBLIC = ("/healthz", "/readyz", "/openapi.json")
METRICS = "/metrics"
PROBED = ("/healthz", "/readyz", METRICS)
"""Asked by machines beside this one, which call it by its number."""
JSON = "application/json"
TOO_SLOW = 408
HEARD_BYTES, HEARD_SECONDS = 16 * 1024 * 1024, 2.0
"""How much of a refused body is still taken in, and for how long."""


@dataclass(frozen=True)
class _Refusal(Exception):  # noqa: N818  # not an error of ours: an answer
    status: int
    detail: str
    headers: Mapping[str, str]


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, yard: Yard) -> None:
        self._app, self._yard = app, yard
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        incoming = _Incoming(receive, headers)
        try:
            self._check_size(scope, headers)
            self._check_host(scope, headers)
            self._admit(scope, headers)
            body = await self._body(headers, incoming)
        except _Refusal as refusal:
            if refusal.status != TOO_SLOW and "expect" not in headers:
                await incoming.hear_out()
            answer = respond(scope["state"]["request_id"], refusal.status, refusal.detail, headers=refusal.headers)
            await answer(scope, receive, send)
            return
        except _Gone:
            return
        who = scope["state"].get("caller")
        if isinstance(who, Caller):
            await self._in_turn(who.name, scope, body, send)
        else:
            await self._app(scope, body, send)

    async def _in_turn(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Let so many requests of one key be worked on at once, each until its answer begins: a stream is no work."""
        turns = self._turns.setdefault(name, asyncio.Semaphore(self._yard.deployment.limits.threads_of_a_key))
        await turns.acquire()
        working = True

        async def answered(message: Message) -> None:
            done()
            await send(message)

        def done() -> None:
            nonlocal working
            if working:
                working = False
                turns.release()

        try:
            await self._app(scope, receive, answered)
        finally:
            done()

    def _check_size(self, scope: Scope, headers: Headers) -> None:
        limits = self._yard.deployment.limits
        if len(scope["raw_path"]) + len(scope["query_string"]) > limits.url_bytes:
            raise _Refusal(414, f"path and query may have {limits.url_bytes} bytes", {"Connection": "close"})
        if sum(len(name) + len(value) + 4 for name, value in headers.raw) > limits.header_bytes:
            raise _Refusal(431, f"the headers may have {limits.header_bytes} bytes", {"Connection": "close"})

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        allowed = self._yard.deployment.allowed_hosts
        host = headers.get("host", "").lower()
        if allowed and scope["path"] not in PROBED and host not in {one.lower() for one in allowed}:
            raise _Refusal(421, "this service is not called so", {})
        if self._yard.keyring.open:
            # Without keys a web page in a browser on this machine could ask, also by a name that leads here.
            name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
            if name not in LOOPBACK or "origin" in headers:
                raise _Refusal(421, "without keys only programs on this machine are answered, and no web page", {})

    def _admit(self, scope: Scope, headers: Headers) -> None:
        path = scope["path"]
        if path in PUBLIC:
            return
        sent = headers.getlist("authorization")
        peer = str((scope.get("client") or ("unknown",))[0])
        if path == METRICS:
            if not self._may_scrape(sent, peer):
                self._count_failure(peer)
                raise _Refusal(401, "the metrics need the scraper's key", {})
            return
        who = self._yard.keyring.caller(sent)
        if who is None:
            self._count_failure(peer)
            raise _Refusal(401, "send a key: Authorization: Bearer iy_…", {})
        scope["state"]["caller"] = who
        wait = self._yard.requests.take(who.name)
        if wait:
            raise _Refusal(429, f"more requests than {who.name} may make; wait {wait} s", {"Retry-After": str(wait)})

    def _may_scrape(self, sent: list[str], peer: str) -> bool:
        metrics = self._yard.deployment.metrics
        if metrics is None:
            return self._yard.deployment.dev and peer in LOOPBACK
        token = bearer(sent)
        return hmac.compare_digest(metrics.sha256, digest_of(token or "")) and token is not None

    def _count_failure(self, peer: str) -> None:
        """A valid key is never made to wait for what others behind the same address do."""
        wait = self._yard.failures.take(peer)
        if wait:
            raise _Refusal(429, f"too many requests without a valid key; wait {wait} s", {"Retry-After": str(wait)})

    async def _body(self, headers: Headers, receive: Receive) -> Receive:
        """A `receive` that gives the whole body, read here, and after it what the connection says."""
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            return receive
        most = self._yard.deployment.limits.body_bytes
        if length is not None and (not length.isascii() or not length.isdigit() or int(length[:19]) > most):
            raise _too_large(most)
        try:
            async with asyncio.timeout(self._yard.deployment.limits.body_seconds):
                body = await _whole(receive, most)
        except TimeoutError:
            raise _Refusal(TOO_SLOW, "the body came too slowly", {"Connection": "close"}) from None
        if body and headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _Refusal(415, "send the body as it is, without Content-Encoding", {"Accept-Encoding": "identity"})
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != JSON:
            raise _Refusal(415, f"send Content-Type: {JSON}", {"Accept": JSON})
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return first.pop() if first else await receive()

        return replayed


class _Incoming:
    """What a client sends as the body of its request."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._more = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

    async def __call__(self) -> Message:
        message = await self._receive()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def hear_out(self) -> None:
        """Take in what still comes of a body that is refused, within limits.

        A connection that is closed on bytes nobody has read takes back the answer that is on its way.
        """
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD_SECONDS):
                while self._more and size < HEARD_BYTES:
                    size += len((await self()).get("body", b""))


class _Gone(Exception):  # noqa: N818  # nobody is there to be told
    """The client left while it was sending."""


def _too_large(most: int) -> _Refusal:
    return _Refusal(413, f"a body may have {most} bytes", {"Connection": "close"})


async def _whole(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
