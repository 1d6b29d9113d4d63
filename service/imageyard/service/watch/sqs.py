"""An SQS queue, as a watcher uses one: receive many, hide, delete, and bury what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from imageyard.manifests.errors import QueueError

BATCH = 10
"""Messages a request, by SQS's own limit."""
_PATH = re.compile(r"/(?:[A-Za-z0-9_-]+/){0,3}[A-Za-z0-9_-]{1,80}(?:\.fifo)?")
_REGION = re.compile(r"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?")
_PRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True)
class Message:
    """A message, hidden from others for a while."""

    id: str
    receipt: str
    """What this receipt of it is known by; a later one makes it stale."""
    body: str
    sent: float
    """When it was sent, in seconds since 1970."""
    receives: int = 1
    """How often it was received."""


class Queue(Protocol):
    """What a watcher asks of a queue. Every method raises QueueError if the queue cannot be asked."""

    def receive(self, *, wait: int, hide: int, most: int) -> Sequence[Message]:
        """Up to `most` messages, hidden for `hide` seconds; if none is there, what comes within `wait` seconds."""
        ...

    def hide(self, messages: Sequence[Message], seconds: int) -> set[str]:
        """Hide messages for so many seconds from now, 0 to show them; the ids of those that are ours no longer."""
        ...

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages; one that cannot be deleted comes again."""
        ...

    def bury(self, message: Message, reason: str) -> bool:
        """Move a message to the dead-letter queue; False, and nothing done, if there is none."""
        ...


class SqsQueue:
    """The queue at a URL; credentials as boto3 finds them, the endpoint by AWS_ENDPOINT_URL_SQS if it is set."""

    def __init__(self, client: Any, url: str, dead_letters: str | None) -> None:
        self._client, self._url, self._dead_letters = client, url, dead_letters

    @classmethod
    def open(cls, url: str, *, dead_letters: str | None = None) -> SqsQueue:
        """The queue at `url`, which is asked whether it is there. Raises QueueError."""
        for one in (url, dead_letters):
            if one is not None:
                _refuse_unless_queue(one)
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        named = _REGION.fullmatch(urlsplit(url).hostname or "")
        try:
            session = boto3.Session()
            region = (named and (named.group(1) or named.group(2))) or session.region_name or "us-east-1"
            config = Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=5, read_timeout=30)
            client = session.client("sqs", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise QueueError(f"{url}: the AWS configuration cannot be used ({error})") from error
        queue = cls(client, url, dead_letters)
        with queue._errors():
            client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return queue

    def receive(self, *, wait: int, hide: int, most: int) -> list[Message]:
        found: list[Message] = []
        while len(found) < most:
            batch = self._receive(wait if not found else 0, hide)
            found += batch
            if not batch:
                break
        return found

    def hide(self, messages: Sequence[Message], seconds: int) -> set[str]:
        lost: set[str] = set()
        for some in _batches(messages):
            entries = [
                {"Id": str(at), "ReceiptHandle": message.receipt, "VisibilityTimeout": seconds}
                for at, message in enumerate(some)
            ]
            with self._errors():
                said = self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            lost |= {some[int(entry["Id"])].id for entry in said.get("Failed", ()) if entry.get("SenderFault")}
        return lost

    def delete(self, messages: Sequence[Message]) -> None:
        for some in _batches(messages):
            entries = [{"Id": str(at), "ReceiptHandle": message.receipt} for at, message in enumerate(some)]
            with self._errors():
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)

    def bury(self, message: Message, reason: str) -> bool:
        """Sent first and deleted then, so that it may come twice but is never lost."""
        if self._dead_letters is None:
            return False
        said = {"reason": _PRINTABLE.sub("?", reason)[:256], "message": _PRINTABLE.sub("?", message.id)[:256]}
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items()}
        with self._errors(self._dead_letters):
            self._client.send_message(
                QueueUrl=self._dead_letters, MessageBody=message.body, MessageAttributes=attributes
            )
        self.delete([message])
        return True

    def _receive(self, wait: int, hide: int) -> list[Message]:
        with self._errors():
            said = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=wait,
                VisibilityTimeout=hide,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
        return [_message(found) for found in said.get("Messages", ())]

    @contextmanager
    def _errors(self, url: str | None = None) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        where = url or self._url
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
                raise QueueError(f"{where}: there is no such queue; create it, or correct the URL") from error
            raise QueueError(f"{where}: {code}; check the credentials and the policy of the queue") from error
        except BotoCoreError as error:
            raise QueueError(f"{where}: cannot be reached ({error})") from error


def _batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for start in range(0, len(messages), BATCH):
        yield messages[start : start + BATCH]


def _message(found: dict[str, Any]) -> Message:
    said = found.get("Attributes", {})
    return Message(
        id=found["MessageId"],
        receipt=found["ReceiptHandle"],
        body=found["Body"],
        sent=int(said.get("SentTimestamp", 0)) / 1000,
        receives=int(said.get("ApproximateReceiveCount", 1)),
    )


def _refuse_unless_queue(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or not _PATH.fullmatch(parts.path) or parts.query:
        raise QueueError(
            f"{url}: not the URL of a queue, such as https://sqs.eu-west-1.amazonaws.com/123456789012/name"
        )
    if parts.username or parts.password:
        raise QueueError("the URL of the queue has credentials in it; boto3 finds them by itself, leave them out")
