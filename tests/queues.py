"""A queue in memory that treats messages as SQS does, and worse where a test asks for it; messages as S3 sends them."""

import itertools
import json
from collections.abc import Callable, Sequence
from urllib.parse import quote_plus

from imageyard.service.watch.sqs import Message


def s3_message(*keys: str, bucket: str = "b", etag: str = "", sequencer: str = "") -> str:
    """The body of a notification that objects were created."""
    records = []
    for key in keys:
        thing = {"key": quote_plus(key, safe="/"), "size": 1, "eTag": etag, "sequencer": sequencer}
        named = {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}
        record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
        records.append({**record, "s3": {"bucket": named, "object": thing}})
    return json.dumps({"Records": records})


class MemoryQueue:
    """At least once, in no order: what is hidden comes again when its time is over."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self.shown: dict[str, tuple[float, str]] = {}
        """By id, when the message shows and its body."""
        self.receives: dict[str, int] = {}
        self.buried: list[tuple[str, str]] = []
        self._receipts: dict[str, str] = {}

    def send(self, body: str, *, after: float = 0) -> None:
        self.shown[f"m{next(self._numbers)}"] = (self._clock() + after, body)

    def receive(self, *, wait: int, hide: int, most: int) -> list[Message]:
        now = self._clock()
        found = [name for name, (at, _) in self.shown.items() if at <= now][:most]
        messages = []
        for name in found:
            body = self.shown[name][1]
            self.shown[name] = (now + hide, body)
            self.receives[name] = self.receives.get(name, 0) + 1
            self._receipts[name] = f"{name}-{self.receives[name]}"
            messages.append(Message(name, self._receipts[name], body, 0.0, self.receives[name]))
        return messages

    def hide(self, messages: Sequence[Message], seconds: int) -> set[str]:
        lost = set()
        for message in messages:
            if message.id in self.shown and self._receipts[message.id] == message.receipt:
                self.shown[message.id] = (self._clock() + seconds, message.body)
            else:
                lost.add(message.id)
        return lost

    def delete(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.shown.pop(message.id, None)

    def bury(self, message: Message, reason: str) -> bool:
        self.buried.append((message.body, reason))
        self.delete([message])
        return True
