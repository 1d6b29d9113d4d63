"""What is said to be in each image: by the raw scores of the version's taggers, else by its tags, else by its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any, Literal

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.analysis.conflicts import is_solo
from imageyard.ray_jobs.analysis.said import Reading, form_of, tags_of, training_text
from imageyard.ray_jobs.caption_text import is_prose, pieces_of
from imageyard.ray_jobs.models import table
from imageyard.ray_jobs.origin import called
from imageyard.ray_jobs.tag_text import normal

Source = Literal["scores", "tags", "captions"]
"""Raw scores of the version's taggers, the pair `tags`, or the pieces and words of training texts."""

BATCH = 20_000
"""Images whose facts are read at a time."""
LONGEST = 4
"""Words of the longest phrase that is looked for in sentences."""
_CHARACTER, _RATING = 4, 9
_WORDS = re.compile(r"[\w'’:+/-]+")


@dataclass(frozen=True)
class Described:
    """One image in words."""

    name: str
    key: str
    words: frozenset[str]
    """Tags, and of sentences the phrases of up to LONGEST words, in normal form."""
    faint: frozenset[str]
    """Tags that a tagger scored at all, below its threshold too."""
    source: Source | None
    """None where nothing is said."""


@dataclass(frozen=True)
class _Tagger:
    identity: str
    general: float
    character: float


def tagger_names(version: Version) -> tuple[str, ...]:
    """The models that tagged a version, as its recipe names them, in the order of its extractors."""
    steps: Any = version.recipe.get("steps") or ()
    asked = (said for step in steps for kind, said in step.items() if kind == "tag")
    models = (model for said in asked for model in (said.get("model"), *(said.get("also") or ())))
    return tuple(dict.fromkeys(PurePath(str(model)).name for model in models if model))


def described(dataset: Dataset, version: Version, samples: Reading) -> Iterator[Described]:
    """Each of `samples` in words, BATCH at a time.

    A tag counts from the default threshold of its model in the table on, or of one that is not in it from 0.35, and a
    character from 0.85, whatever the recipe's: thresholds and blacklists of a recipe are for captions, which leave out
    what should stick to the trigger. Of several taggers one is enough.
    """
    taggers = _taggers(version)
    rest = iter(samples())
    while batch := list(islice(rest, BATCH)):
        scored = [_scores(dataset, tagger, [sample.key for sample in batch]) for tagger in taggers]
        for row, sample in enumerate(batch):
            yield _described(sample, [found for column in scored if (found := column[row]) is not None])


def _taggers(version: Version) -> list[_Tagger]:
    identities = [version.extractors[name] for name in sorted(version.extractors, key=_rank) if _rank(name)]
    entries = [table.find(name) for name in tagger_names(version)]
    padded = [*entries, *[None] * len(identities)]
    return [
        _Tagger(identity, entry.general, entry.character)
        if entry
        else _Tagger(identity, table.GENERAL, table.CHARACTER)
        for identity, entry in zip(identities, padded, strict=False)
    ]


def _rank(name: str) -> int:
    """1 for the extractor `tags`, 2 for `tags#2` …, 0 for others."""
    kind, _, number = name.partition("#")
    return 0 if kind != "tags" else int(number or 1)


def _scores(
    dataset: Dataset, tagger: _Tagger, keys: Sequence[str]
) -> list[tuple[frozenset[str], frozenset[str]] | None]:
    """For each key the tags that count and all that are scored; None where nothing was measured."""
    rows = facts.read(dataset.store, tagger.identity, keys, ["tag", "category", "score"]).to_pylist()
    found: list[tuple[frozenset[str], frozenset[str]] | None] = []
    for row in rows:
        if row["tag"] is None:
            found.append(None)
            continue
        counting, faint = set(), set()
        for tag, category, score in zip(row["tag"], row["category"], row["score"], strict=True):
            if category == _RATING:
                continue
            form = form_of(tag)
            faint.add(form)
            if round(score, 4) >= (tagger.character if category == _CHARACTER else tagger.general):
                counting.add(form)
        found.append((frozenset(counting), frozenset(faint)))
    return found


def _described(sample: Sample, scored: Sequence[tuple[frozenset[str], frozenset[str]]]) -> Described:
    name, key = called(sample), sample.key
    if scored:
        words = _counted(word for counting, _ in scored for word in counting)
        return Described(name, key, words, frozenset().union(*(faint for _, faint in scored)), "scores")
    tags = tags_of(sample)
    if tags:
        words = _counted(form_of(tag.name) for tag in tags)
        return Described(name, key, words, words, "tags")
    text = training_text(sample).text
    if not text.strip():
        return Described(name, key, frozenset(), frozenset(), None)
    words = frozenset(_phrases(text)) if is_prose(text) else _counted(map(form_of, pieces_of(text)))
    return Described(name, key, words, words, "captions")


def _counted(tags: Iterable[str]) -> frozenset[str]:
    """Tags, and how many people they make."""
    found = set(tags)
    if is_solo(found):
        found.add("solo")
    elif {"1girl", "1boy"} <= found:
        found.add("couple")
    return frozenset(found)


def _phrases(text: str) -> Iterator[str]:
    words = [word.strip("'’:/-") or word for word in _WORDS.findall(normal(text))]
    for length in range(1, LONGEST + 1):
        for at in range(len(words) - length + 1):
            yield " ".join(words[at : at + length])
