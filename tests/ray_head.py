"""A Ray cluster of one head that asks for a token: started as a program, killed, started again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imageyard.manifests.errors import ClusterError
from imageyard.ray_jobs.submit import RayJobs

MARK = "IMAGEYARD_TEST_HEAD"
"""In the environment of every process of a head, and so what tells them from all others on the machine."""
PORTS = (
    "port",
    "dashboard-port",
    "ray-client-server-port",
    "metrics-export-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "node-manager-port",
    "object-manager-port",
    "runtime-env-agent-port",
)
METRICS = ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")
START_SECONDS = 240


@dataclass
class RayHead:
    """One head on loopback; its ports and token stay when it is killed and started again, and nothing else does."""

    cpus: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its jobs and workers find in theirs: where the S3 server is, and how to sign."""
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    _mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _folder: Path | None = None
    _ports: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._ports['dashboard-port']}"

    def jobs(self, *, token: str | None = None) -> RayJobs:
        """Its Jobs API, asked with its token or another."""
        return RayJobs(self.address, self.token if token is None else token, timeout=20)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="yr", dir="/tmp"))  # sockets need short paths
            names = (*PORTS, *METRICS)
            self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
        bin_folder = Path(sys.executable).parent
        command = [
            str(bin_folder / "ray"),
            "start",
            "--head",
            "--node-ip-address=127.0.0.1",
            "--dashboard-host=127.0.0.1",
            *(f"--{name}={self._ports[name]}" for name in PORTS),
            "--min-worker-port=0",
            "--max-worker-port=0",
            f"--num-cpus={self.cpus}",
            "--object-store-memory=100000000",
            f"--temp-dir={self._folder}",
            "--disable-usage-stats",
        ]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            **self.environment,
            **{name: str(self._ports[name]) for name in METRICS},
            MARK: self._mark,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            # As its image would have it installed.
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
        }
        said = self._folder / "start.log"
        with said.open("w") as log:
            subprocess.run(command, env=environment, stdout=log, stderr=log, check=False, timeout=START_SECONDS)
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self.jobs().check()
            except ClusterError:
                if time.monotonic() > until:
                    raise AssertionError(said.read_text()) from None
                time.sleep(0.2)
            else:
                return

    def pids(self, having: str = "") -> list[int]:
        """Its processes, or those of them whose command line has a word in it: `raylet`, `imageyard.ray_jobs.main`."""
        return [pid for pid in _marked(self._mark) if having in _command(pid)]

    def kill(self) -> None:
        """SIGKILL to all of it, drivers and workers too, as when its machine is gone."""
        until = time.monotonic() + 90
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < until, [_command(pid) for pid in pids]
            time.sleep(0.05)

    def restart(self) -> None:
        """Kill it, and start another that knows nothing of the first."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it, and remove what it left."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def running_head(*, cpus: int = 2, environment: Mapping[str, str] | None = None) -> Iterator[RayHead]:
    """A head, while the block runs."""
    head = RayHead(cpus, environment or {})
    try:
        head.start()
        yield head
    finally:
        head.stop()


def _marked(mark: str) -> list[int]:
    pids = []
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                pids.append(int(folder.name))
    return pids


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody has now, all at once so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
