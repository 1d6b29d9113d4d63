"""`imageyard act`: what a person says of images, as a commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.errors import SampleError
from imageyard.ray_jobs.actions import Actions
from imageyard.ray_jobs.verdicts import Acting, act
from imageyard.service.console import say, say_json
from imageyard.service.look_commands import opened
from imageyard.service.settings import read_settings

CLI = "cli"
"""Who says it."""


@dataclass(frozen=True)
class Said:
    """The action with what belongs to it; each action takes its own."""

    action: str
    reason: str | None = None
    attribute: str | None = None
    name: str | None = None
    """Of a class."""
    new: bool = False
    text: str | None = None
    to: str | None = None
    comment: str | None = None
    expected: int | None = None
    """The newest version that the person has seen."""


def act_on(url: str, said: Said, keys: Sequence[str], *, as_json: bool) -> None:
    """Commit what `said` says of the samples `keys`, and tell which version says so."""
    dataset = opened(url)
    settings = read_settings()
    acting = Acting(by=CLI, clock=lambda: settings.date or datetime.now(UTC), chunks=Chunks())
    acted = act(dataset, _parsed(said, keys), acting, expected=said.expected)
    if as_json:
        say_json({"dataset": url, "version": acted.version.number, "changed": list(acted.changed)})
        return
    if not acted.changed:
        say(f"version {acted.version.number} says so already; nothing was committed")
        return
    say(f"committed version {acted.version.number} of {url}: {len(acted.changed):,} changed")


def _parsed(said: Said, keys: Sequence[str]) -> Actions:
    """Raises SampleError for an action that there is not, or that lacks something or has too much."""
    given: dict[str, Any] = {
        "reason": said.reason,
        "attribute": said.attribute,
        "class": said.name,
        "new": said.new or None,
        "text": said.text,
        "to": said.to,
    }
    plain = {name: value for name, value in given.items() if value is not None}
    try:
        action = {"action": said.action, "samples": tuple(keys), **plain}
        return Actions.model_validate({"actions": (action,), "comment": said.comment})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"][3:]) or said.action
        raise SampleError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
