"""A server that speaks S3 and SQS on one port and delivers bucket notifications: a process of its own, over a folder.

It comes from the environment of the tests' tools. Stopped and started again it has everything it had; killed, it has
every object, and its queues as they were when it was last stopped: messages since are lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from programs import TOOLS, free_port

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 180.0


@dataclass
class Ministack:
    """The server of a folder; it runs between `start` and `stop`, on the same port every time."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What to lay over an environment so that boto3 and obstore in it use this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ENDPOINT_URL_SQS": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.process is None
        self.port = self.port or free_port()
        folders = {"S3_DATA_DIR": self.folder / "s3", "STATE_DIR": self.folder / "state"}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "S3_PERSIST": "1",
            "PERSIST_STATE": "1",
            "LOG_LEVEL": "WARNING",
            "IOT_MTLS_ENABLED": "0",  # these two listen on every address
            "SFTP_ENABLED": "0",
            **{name: str(folder) for name, folder in folders.items()},
        }
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [TOOLS / "ministack"], env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.kill()
                raise RuntimeError(f"ministack did not start; the end of its log:\n{said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it in its own time."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again; what was stored and sent stays."""
        self.stop()
        self.start()

    def client(self, service: str) -> Any:
        """A boto3 client of this server: `s3` or `sqs`."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"}),
        )

    def queue(self, name: str, *, visibility: int = 30, dead_letters_after: int | None = None) -> str:
        """The URL of a new queue; with `dead_letters_after`, `<name>-dead` takes what is received so often."""
        sqs = self.client("sqs")
        attributes = {"VisibilityTimeout": str(visibility)}
        if dead_letters_after is not None:
            dead = self.queue(f"{name}-dead")
            policy = {"deadLetterTargetArn": arn(dead), "maxReceiveCount": dead_letters_after}
            attributes["RedrivePolicy"] = json.dumps(policy)
        url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        allowed = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage"}
        document = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn(url)}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(document)})
        return url

    def bucket(self, name: str, *, tells: str | None = None, prefix: str = "") -> str:
        """A new bucket; `tells` is the URL of the queue that is told of what is created below `prefix`."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        if tells is not None:
            only = {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}
            told = [{"Id": "drop", "QueueArn": arn(tells), "Events": ["s3:ObjectCreated:*"], "Filter": only}]
            s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"QueueConfigurations": told}
            )
        return name

    def messages(self, url: str) -> int:
        """How many messages a queue holds, hidden ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2):  # noqa: S310  # ours
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.send_signal(how)
            process.wait(20)
        process.kill()
        process.wait()


@contextmanager
def serve(folder: Path) -> Iterator[Ministack]:
    """A running server; ended when the block is left."""
    server = Ministack(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def arn(url: str) -> str:
    """The ARN of the queue at `url`."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"
