"""What a queue's messages say: every envelope, odd keys, order, and what is no notification at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageyard.service.watch.events import MAX_BODY, MAX_RECORDS, Event, Malformed, is_older, parse
from queues import s3_message


def bridged(key: str, kind: str = "Object Created", **more: Any) -> dict[str, Any]:
    thing = {"key": key, "size": 5, "etag": "b1946ac9", "sequencer": "617f08299329d189"}
    detail = {"version": "0", "bucket": {"name": "bucket-1"}, "object": thing, "reason": "PutObject"}
    return {"version": "0", "id": "x", "detail-type": kind, "source": "aws.s3", "detail": detail, **more}


def enveloped(body: str) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "x", "TopicArn": "arn:aws:sns:x", "Message": body})


def record(**changes: Any) -> str:
    data = json.loads(s3_message("a/drop/x.jpg", bucket="bucket-1"))
    data["Records"][0].update(changes)
    return json.dumps(data)


KEYS = [
    "cats/drop/a.jpg",
    "cats/drop/red flower+1 100%.jpg",
    "cats/drop/Ärger/%2F.jpg",
    "drop/猫.png",
    "a=b&c/drop/;$()",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("wrap", [str, enveloped], ids=["plain", "sns"])
def test_a_key_is_what_the_object_is_called_in_every_envelope(key: str, wrap: Any) -> None:
    s3 = s3_message(key, bucket="bucket-1", etag="b1946ac9", sequencer="617f08299329d189")
    expected = (Event("bucket-1", key, "b1946ac9", "617f08299329d189"),)
    assert parse(wrap(s3)) == expected
    assert parse(wrap(json.dumps(bridged(key)))) == expected


@given(st.text(min_size=1, max_size=200).filter(lambda key: not any("\ud800" <= c <= "\udfff" for c in key)))
def test_any_key_survives(key: str) -> None:
    assert parse(s3_message(key, bucket="bucket-1")) == (Event("bucket-1", key),)
    assert parse(json.dumps(bridged(key)))[0].key == key  # type: ignore[index]


def test_a_message_may_tell_of_many_objects_and_of_none() -> None:
    keys = [f"drop/{number}.jpg" for number in range(3)]
    assert [event.key for event in parse(s3_message(*keys, bucket="bucket-1"))] == keys  # type: ignore[union-attr]
    assert parse(json.dumps({"Records": []})) == ()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket-1"}),
        enveloped(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket-1"})),
        record(eventName="ObjectRemoved:Delete"),
        record(eventName="LifecycleExpiration:Delete", s3=None),
        json.dumps(bridged("k", "Object Deleted")),
        json.dumps(bridged("k", "Object Tags Added")),
    ],
)
def test_what_brings_no_object_is_no_event_and_no_fault(body: str) -> None:
    assert parse(body) == ()


@pytest.mark.parametrize("name", ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "s3:ObjectCreated:Put"])
def test_however_an_object_is_created_it_is(name: str) -> None:
    assert parse(record(eventName=name)) == (Event("bucket-1", "a/drop/x.jpg"),)


def s3_part(**thing: Any) -> dict[str, Any]:
    return {"bucket": {"name": "bucket-1"}, "object": {"key": "k", **thing}}


@pytest.mark.parametrize(
    ("thing", "event"),
    [
        ({}, Event("bucket-1", "k")),
        ({"eTag": '"abc"'}, Event("bucket-1", "k", "abc")),
        ({"eTag": "abc-3", "sequencer": "00FF"}, Event("bucket-1", "k", "abc-3", "00FF")),
        ({"eTag": None, "sequencer": 7}, Event("bucket-1", "k")),
        ({"sequencer": "not hex"}, Event("bucket-1", "k")),
    ],
)
def test_etag_and_sequencer_may_be_missing(thing: dict[str, Any], event: Event) -> None:
    assert parse(record(s3=s3_part(**thing))) == (event,)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "neither S3's Records"),
        (json.dumps({"Records": {}}), "Records is not a list"),
        (json.dumps({"Records": [{}] * (MAX_RECORDS + 1)}), "1,001 records; at most 1,000"),
        (json.dumps({"Records": ["x"]}), "record 1: no `eventName`"),
        (record(s3={}), "record 1: no `object`"),
        (record(s3={"object": {"key": "k"}}), "record 1: no `bucket`"),
        (record(s3=s3_part(key="")), "0 bytes; keys have 1 to 1,024"),
        (record(s3=s3_part(key="a" * 1025)), "1,025 bytes"),
        (record(s3=s3_part(key="%ff")), "not UTF-8"),
        (record(s3=s3_part(key=None)), "no `key`"),
        (record(s3={"bucket": {"name": "../x"}, "object": {"key": "k"}}), "its bucket is not the name of one"),
        (json.dumps(bridged("k", source="aws.ec2")), "does not come from S3"),
        (json.dumps({"detail-type": "Object Created", "source": "aws.s3"}), "no `detail`"),
        (json.dumps({"Type": "Notification", "Message": "hello"}), "SNS whose Message is not JSON"),
        (json.dumps({"Type": "Notification"}), "SNS whose Message is not JSON"),
        (enveloped(enveloped(s3_message("k", bucket="bucket-1"))), "neither S3's Records"),
        (json.dumps({"Records": [], "padding": "x" * MAX_BODY}), "a notification has at most 262,144"),
    ],
)
def test_what_is_no_notification_is_said_to_be_none(body: str, reason: str) -> None:
    found = parse(body)
    assert isinstance(found, Malformed)
    assert reason in found.reason


@given(
    st.text()
    | st.recursive(st.none() | st.text(), lambda x: st.dictionaries(st.text(), x) | st.lists(x)).map(json.dumps)
)
def test_nothing_that_is_sent_breaks_the_reader(body: str) -> None:
    assert isinstance(parse(body), tuple | Malformed)


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("1", "2", True),
        ("2", "1", False),
        ("9", "A", True),
        ("9", "10", True),
        ("ff", "100", True),
        ("FF", "ff", False),
        ("00FF", "ff", False),
        ("", "1", False),
        ("1", "", False),
    ],
)
def test_sequencers_are_numbers_however_long(one: str, other: str, older: bool) -> None:
    assert is_older(Event("b", "k", sequencer=one), Event("b", "k", sequencer=other)) is older
