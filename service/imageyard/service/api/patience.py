"""A connection as uvicorn has it, but closed when a request's head does not come, and refused as everything else is."""

from __future__ import annotations

import asyncio
import secrets

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from imageyard.service.api.edge import HEADERS, PRIVATE
from imageyard.service.api.problems import respond

HEAD_SECONDS = 15.0
"""In which the first line and all headers must have come, from the connection's or the last request's end."""


class Connection(H11Protocol):
    """uvicorn times out only what is silent between two requests: a client that never ends its headers holds on."""

    head_seconds = HEAD_SECONDS
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._head_came()
        elif self._waiting is None:
            self._wait_for_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._waiting is None and not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP never reaches the application, so its answer is made here."""
        answer = respond(secrets.token_hex(8), 400, "this is no HTTP request that can be answered")
        dressed = {**HEADERS, "Cache-Control": PRIVATE, "Connection": "close", **dict(answer.headers)}
        headers = [(name.encode(), value.encode()) for name, value in dressed.items()]
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(self.head_seconds, self._too_late)

    def _head_came(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_late(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.close()


def patient_for(seconds: float) -> type[Connection]:
    """Connections that wait so long for a head: uvicorn takes a class, and makes the instances."""
    return type("Connection", (Connection,), {"head_seconds": seconds})
