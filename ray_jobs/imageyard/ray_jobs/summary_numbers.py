"""What analysis counts over the tags and captions of a version, as far as its report tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import Version
from imageyard.ray_jobs.analysis.caption_numbers import CaptionNumbers, caption_numbers
from imageyard.ray_jobs.analysis.coverage import Coverage, coverage
from imageyard.ray_jobs.analysis.tag_numbers import TagNumbers, tag_numbers
from imageyard.ray_jobs.caption_text import is_prose, pieces_of
from imageyard.ray_jobs.state import CAPTION, TAGS
from imageyard.ray_jobs.summary_pictures import Line
from imageyard.ray_jobs.summary_texts import TEXT, spread, texts_of

COUNTED = 20_000
"""Images whose texts are counted; of a larger set evenly spread ones are, and its shot list is left out."""
TRIGGERS_SHOWN = 6
_TRIGGERS = "triggers"
"""Member of a pair's metadata: the trigger words in it."""


@dataclass(frozen=True)
class Numbers:
    """What was counted; None where there is nothing to say."""

    counted: int
    """Images."""
    per_image: tuple[tuple[int, int], ...] = ()
    tags: TagNumbers | None = None
    captions: CaptionNumbers | None = None
    coverage: Coverage | None = None


def numbers_of(dataset: Dataset, version: Version, kept: Sequence[Line], *, most: int = COUNTED) -> Numbers:
    """The numbers of the images in `kept`, which are all that are not rejected, or of `most` of them."""
    lines = spread(kept, most)

    def samples() -> Iterator[Sample]:
        for line in lines:
            yield line.sample
            line.sample.forget()

    if not any(texts_of(sample) for sample in samples()):
        return Numbers(len(lines))
    triggers = triggers_of(version, samples())
    tags = tag_numbers(samples, triggers=triggers)
    captions = caption_numbers(samples, triggers=triggers)
    shots = coverage(dataset, version) if len(lines) == len(kept) else None
    return Numbers(
        len(lines),
        tags_per_image(samples()),
        tags if tags.tagged else None,
        captions if captions.captioned else None,
        shots if shots is not None and shots.usable else None,
    )


def triggers_of(version: Version, samples: Iterable[Sample]) -> tuple[str, ...]:
    """The trigger words that the recipe names, then those that pairs say they have, the most frequent first."""
    steps: Any = version.recipe.get("steps") or ()
    asked = [word for step in steps for kind, said in step.items() if kind == "trigger" for word in _words(said)]
    counts: Counter[str] = Counter()
    for sample in samples:
        counts.update({word for name in sample.label_names for word in _held(sample, name)})
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(dict.fromkeys([*asked, *ranked]))[:TRIGGERS_SHOWN]


def _words(said: Any) -> list[str]:
    words = said.get("words") if isinstance(said, dict) else None
    return [words] if isinstance(words, str) else [str(word) for word in words] if isinstance(words, list) else []


def _held(sample: Sample, name: str) -> list[str]:
    held = (sample.metadata(name) or {}).get(_TRIGGERS)
    return [str(word) for word in held] if isinstance(held, list) else []


def tags_per_image(samples: Iterable[Sample]) -> tuple[tuple[int, int], ...]:
    """(tags, images that have so many), rising; of images without the pair `tags`, pieces of a text that is tags."""
    counts: Counter[int] = Counter()
    for sample in samples:
        texts = texts_of(sample)
        said = texts.get(TAGS, texts.get(TEXT, texts.get(CAPTION)))
        if isinstance(said, str):
            said = () if is_prose(said) else tuple(pieces_of(said))
        counts[len(said or ())] += 1
    return tuple(sorted(counts.items())) if set(counts) - {0} else ()
