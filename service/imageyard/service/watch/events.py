"""Notifications of object storage: which objects a message says were created, in every envelope it comes in.

Amazon S3 writes `Records` with keys that are form-encoded ("red flower.jpg" comes as "red+flower.jpg"; user guide,
"Event message structure", notification-content-structure.html), to SQS directly or through SNS. Through EventBridge
("EventBridge event message structure", ev-events.html) the key stands as it is: decoding it would turn a plus sign
into a space. Events are delivered at least once and in no order; the sequencer orders those of one key, compared as
hexadecimal numbers padded with zeros on the left, and some servers leave it out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

MAX_BODY = 256 * 1024
"""Bytes of a message; S3 writes at most 64 KB."""
MAX_RECORDS = 1000
MAX_KEY = 1024
"""Bytes of a key, by S3's own limit."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_SEQUENCER = re.compile(r"[0-9A-Fa-f]{1,64}")
_ETAG = re.compile(r'"?([\x21\x23-\x7e]{0,128})"?')


@dataclass(frozen=True)
class Event:
    """An object was created."""

    bucket: str
    key: str
    etag: str = ""
    """Without quotation marks; "" where the message does not say."""
    sequencer: str = ""
    """Hexadecimal, "" where there is none."""


@dataclass(frozen=True)
class Malformed:
    """A message that is no notification of storage, and why not; fit for a log."""

    reason: str


def parse(body: str) -> tuple[Event, ...] | Malformed:
    """What a message says was created; () for a test event, and for deletions and all else that brings no object."""
    import orjson

    size = len(body.encode("utf-8", "surrogatepass"))
    if size > MAX_BODY:
        return Malformed(f"{size:,} bytes; a notification has at most {MAX_BODY:,}")
    try:
        return _said(orjson.loads(body), enveloped=False)
    except orjson.JSONDecodeError:
        return Malformed("not JSON")
    except _WrongError as error:
        return Malformed(str(error))


def is_older(one: Event, other: Event) -> bool:
    """Whether `one` is known to be of before `other`, an event of the same key; equal or unnumbered ones are not."""
    width = max(len(one.sequencer), len(other.sequencer))
    if not one.sequencer or not other.sequencer:
        return False
    return one.sequencer.lower().rjust(width, "0") < other.sequencer.lower().rjust(width, "0")


class _WrongError(Exception):
    """A message is not what it must be; the text says what is wrong."""


def _said(data: Any, *, enveloped: bool) -> tuple[Event, ...]:
    if not isinstance(data, dict):
        raise _WrongError("not a JSON object")
    if "Records" in data:
        return _records(data["Records"])
    if "detail-type" in data:
        return _bridged(data)
    if data.get("Event") == "s3:TestEvent":
        return ()
    if data.get("Type") == "Notification" and not enveloped:
        return _enveloped(data.get("Message"))
    raise _WrongError("neither S3's Records, nor an event of EventBridge, nor a notification of SNS")


def _enveloped(message: Any) -> tuple[Event, ...]:
    import orjson

    try:
        return _said(orjson.loads(message if isinstance(message, str) else ""), enveloped=True)
    except orjson.JSONDecodeError as error:
        raise _WrongError("a notification of SNS whose Message is not JSON") from error


def _records(records: Any) -> tuple[Event, ...]:
    if not isinstance(records, list):
        raise _WrongError("Records is not a list")
    if len(records) > MAX_RECORDS:
        raise _WrongError(f"{len(records):,} records; at most {MAX_RECORDS:,} are taken")
    found = []
    for number, record in enumerate(records, start=1):
        where = f"record {number}"
        name = _text(record, "eventName", where)
        if not name.removeprefix("s3:").startswith("ObjectCreated:"):
            continue
        s3 = _inner(record, "s3", where)
        thing = _inner(s3, "object", where)
        try:
            key = unquote_plus(_text(thing, "key", where), errors="strict")
        except UnicodeDecodeError as error:
            raise _WrongError(f"{where}: its key is not UTF-8") from error
        found.append(_event(_inner(s3, "bucket", where), key, thing, thing.get("eTag"), where))
    return tuple(found)


def _bridged(data: dict[str, Any]) -> tuple[Event, ...]:
    if data.get("source") != "aws.s3":
        raise _WrongError("an event of EventBridge that does not come from S3")
    if data["detail-type"] != "Object Created":
        return ()
    detail = _inner(data, "detail", "the event")
    thing = _inner(detail, "object", "the event")
    key = _text(thing, "key", "the event")
    return (_event(_inner(detail, "bucket", "the event"), key, thing, thing.get("etag"), "the event"),)


def _event(bucket: dict[str, Any], key: str, thing: dict[str, Any], etag: Any, where: str) -> Event:
    name = _text(bucket, "name", where)
    if not _BUCKET.fullmatch(name):
        raise _WrongError(f"{where}: its bucket is not the name of one")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise _WrongError(f"{where}: its key is not UTF-8") from error
    if not 0 < size <= MAX_KEY:
        raise _WrongError(f"{where}: its key has {size:,} bytes; keys have 1 to {MAX_KEY:,}")
    sequencer = thing.get("sequencer")
    numbered = isinstance(sequencer, str) and _SEQUENCER.fullmatch(sequencer)
    plain = _ETAG.fullmatch(etag) if isinstance(etag, str) else None
    return Event(name, key, plain.group(1) if plain else "", str(sequencer) if numbered else "")


def _inner(data: Any, name: str, where: str) -> dict[str, Any]:
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, dict):
        raise _WrongError(f"{where}: no `{name}`")
    return value


def _text(data: Any, name: str, where: str) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise _WrongError(f"{where}: no `{name}`")
    return value
