"""What many tests share: one embedded S3 server, a bucket of its own for each test that asks, a small real tagger."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import ministack
from imageyard.service.local_s3 import LocalS3, serve
from sentinel import build_sentinel

# The same examples everywhere, and no clock: a busy machine fails nothing. --hypothesis-profile=default draws others.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalS3]:
    """A running S3 server."""
    with serve(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3: LocalS3, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a fresh bucket on `s3`; the environment says where that server is and how to sign."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid.uuid4().hex}"
    s3.create_bucket(name)
    return name


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the tagger `sentinel`."""
    folder = tmp_path_factory.mktemp("models")
    build_sentinel(folder / "sentinel")
    return folder


@pytest.fixture(scope="session")
def events_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ministack.Ministack]:
    """A running server of S3 and SQS that tells queues of uploads; tests share it, so they do not stop it."""
    with ministack.serve(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture
def events(events_server: ministack.Ministack, monkeypatch: pytest.MonkeyPatch) -> ministack.Ministack:
    """That server, and the environment says where it is."""
    for name, value in events_server.environment().items():
        monkeypatch.setenv(name, value)
    return events_server
