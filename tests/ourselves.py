"""Our own programs as processes: started, killed, started again, with what they said kept in a file."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STOP_SECONDS = 60


@dataclass
class Program:
    """`imageyard ARGUMENTS…` in a process of its own."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        assert self.process is None
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "imageyard.service.cli", *self.arguments],
                env={**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End it; its exit code."""
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(how)
        try:
            return process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.kill(how)
        self.start()

    def end(self) -> None:
        if self.process is not None:
            self.kill()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass(frozen=True)
class Client:
    """A client of the service: what people would do with curl."""

    address: str
    key: str

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and answer, parsed if it is JSON."""
        data = None if body is None else json.dumps(body).encode()
        said = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.address + path, data, said, method=method)  # noqa: S310  # loopback
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # loopback
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())

    def wait(self, path: str = "/readyz", *, seconds: float = 60) -> None:
        """Until the service answers 200 there."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self.ask("GET", path)[0] == 200:
                    return
            assert time.monotonic() < until, f"{self.address}{path} does not answer"
            time.sleep(0.2)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
