"""What a sample says in words: its training text, its tags, whether the names of tags are a model's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs.caption_text import joined, same_as
from imageyard.ray_jobs.state import CAPTION, TAGS, TEXT

FURTHER = "caption-"
"""How the names of further captions of an image begin."""

form_of = lru_cache(maxsize=1 << 16)(same_as)
"""`same_as`, remembered: the same tags come again and again."""

Reading = Callable[[], Iterable[Sample]]
"""Samples that can be read more than once, so that none need be held."""


class Training(NamedTuple):
    """What a trainer reads for an image."""

    member: str | None
    """`text`, `caption` or `tags`; None where it has none of them."""
    text: str
    """As it is written, line breaks and all."""


class Tag(NamedTuple):
    """A tag as the pair `tags` has it."""

    name: str
    score: float | None
    """Its confidence, if one is said."""


def reading(
    dataset: Dataset, version: Version, roles: Sequence[Role] = (), where: Callable[[Sample], bool] | None = None
) -> Reading:
    """The samples of `roles`, or if none are named of all but the rejected, in the order of their manifests; with
    `where` those of which it is true."""
    wanted = tuple(roles) or tuple(role for role in ROLES if role != "rejected")

    def samples() -> Iterator[Sample]:
        for role in wanted:
            yield from filter(where, dataset.read(version, role)) if where else dataset.read(version, role)

    return samples


def training_text(sample: Sample) -> Training:
    """The composed text of a sample, else its caption, else its tags joined; of these the first that is not empty."""
    empty: str | None = None
    for member in (TEXT, CAPTION):
        value = sample.value(member)
        if isinstance(value, str):
            if value:
                return Training(member, value)
            empty = empty or member
    tags = tags_of(sample)
    return Training(TAGS, joined(tag.name for tag in tags)) if tags else Training(empty, "")


def tags_of(sample: Sample) -> list[Tag]:
    """The tags of the pair `tags` in its own order; none where it is not a multi-label pair."""
    value, metadata = sample.value(TAGS), sample.metadata(TAGS) or {}
    names, scores = metadata.get("class-map"), metadata.get("confidence-map")
    if not isinstance(value, list) or not isinstance(names, dict):
        return []
    known = scores if isinstance(scores, dict) else {}
    found = []
    for index in map(str, value):
        if index in names:
            score = known.get(index)
            found.append(Tag(str(names[index]), float(score) if isinstance(score, int | float) else None))
    return found


def tags_in_order(sample: Sample) -> list[str]:
    """The names of `tags_of`."""
    return [tag.name for tag in tags_of(sample)]


def from_a_model(sample: Sample) -> bool:
    """Whether a model gave the tags: then their names are those of its vocabulary, and none is misspelt."""
    metadata = sample.metadata(TAGS) or {}
    return metadata.get("human-annotated") != "yes" and "model" in metadata


def further_captions(sample: Sample) -> list[str]:
    """Names of the other captions of the image."""
    return [name for name in sample.label_names if name.startswith(FURTHER) and isinstance(sample.value(name), str)]
