"""Programs that tests start: the servers and checkers of infra/tools.txt, free ports, a server that is up."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.prefix) / "tools" / "bin"


def tool(name: str) -> str:
    """The path of a program of infra/tools.txt; skips the test where they are not installed."""
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not installed; make test installs it from infra/tools.txt")
    return str(path)


def said(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> tuple[int, str]:
    """The exit status of a program and all it said; with `env`, that beside the present environment."""
    done = subprocess.run(
        command, env={**os.environ, **(env or {})}, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


def free_port() -> int:
    """A port of loopback that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """The program, from when it listens on `port` of loopback to the end of the block."""
    with subprocess.Popen(
        command, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_until_it_listens(process, port)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not listen on port {port} after a minute")
