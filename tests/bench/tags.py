"""Images a second that the tag step decides, by options: `python tests/bench/tags.py [images]`.

Scores are made up: 40 an image, of 9,000 labels as frequent as words are. Measured in CPU seconds, as the machine may
have other work; reading the facts from the store and writing the manifest are not in it.
"""

import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from imageyard.manifests import Sample
from imageyard.ray_jobs.state import Stamp, State
from imageyard.ray_jobs.steps.tag import Tag
from imageyard.ray_jobs.tag_categories import CHARACTER, GENERAL, RATING
from imageyard.ray_jobs.tagging.decision import Vocabulary
from imageyard.ray_jobs.tagging.facts import TagFacts, tag_facts
from imageyard.ray_jobs.tagging.images import Images

LABELS, SCORES, PATTERNS, FLOOR = 9_000, 40, 2_000, 0.05
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"order": "frequency", "min_count": 2},
    {"mcut": True},
    {"drop_traits": True, "drop_overlap": True, "conflicts": True, "people_first": True, "expand_characters": True},
    {"blacklist": ["*_1*", "re:.*77.*"], "first": ["mychar"], "add_if_missing": True, "rating": "last", "sfw": True},
)


def measured(images: int) -> pa.Table:
    """Facts of so many images."""
    draw = np.random.default_rng(0)
    weight = 1 / (np.arange(LABELS) + 20)
    patterns = np.stack(
        [draw.choice(LABELS, SCORES - 4, replace=False, p=weight / weight.sum()) + 4 for _ in range(PATTERNS)]
    )
    indices = patterns[draw.integers(0, PATTERNS, images)].astype(np.int32)
    indices = np.concatenate([np.tile(np.arange(4, dtype=np.int32), (images, 1)), indices], axis=1).ravel()
    scores = -np.sort(-draw.uniform(FLOOR, 1, (images, SCORES)).astype(np.float32), axis=1).ravel()
    names = ["general", "sensitive", "questionable", "explicit"]
    names += [f"tag_number_{number}" if number < 7_000 else f"name{number}_(series)" for number in range(LABELS)]
    columns = {
        "index": pa.array(indices),
        "tag": pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(names)).cast(pa.string()),
        "category": pa.array(np.select([indices < 4, indices < 7_004], [RATING, GENERAL], CHARACTER).astype(np.uint8)),
        "score": pa.array(scores),
    }
    offsets = pa.array(np.arange(0, len(indices) + 1, SCORES, dtype=np.int32))
    lists = {name: pa.ListArray.from_arrays(offsets, column) for name, column in columns.items()}
    return pa.table(lists | {"error": pa.nulls(images, pa.string())})


def decided(facts: TagFacts, samples: list[Sample], parameters: dict[str, Any]) -> int:
    """Tag the samples; the number of tags."""
    step = Tag.model_validate({"model": "bench", **parameters})
    images = Images(
        step="tag",
        decision=step.decision([Vocabulary(facts.labels, {GENERAL: 0.35, CHARACTER: 0.85}, FLOOR)]),
        facts=[facts],
        rates=True,
        safe=step.sfw.above if step.sfw else None,
        existing=step.existing,
        stamp=Stamp("imageyard/bench", "2026-01-15T09:30:00.000000"),
        by={"model": "bench", "extractor": "tags-0123456789abcdef"},
    )
    state = State(range(len(samples)), samples, [None] * len(samples), range(len(samples)))  # type: ignore[arg-type]
    counts, standing = images.counted(state) if images.decision.counting else ({}, 0)
    tagged = [images.tagged(sample, row, counts, standing)[0] for row, sample in enumerate(samples)]
    return sum(len(sample.value("tags") or ()) for sample in tagged[:100])


def main(images: int) -> None:
    table = measured(images)
    samples = [Sample.of(f"s3://bucket/{row:064x}.jpg", **{"content-sha256": f"{row:064x}"}) for row in range(images)]
    for parameters in OPTIONS:
        for sample in samples:
            sample.forget()
        begun = time.process_time()
        tags = decided(tag_facts(table), samples, parameters)
        spent = time.process_time() - begun
        print(f"{images / spent:9,.0f} images/s  {spent / images * 1e6:5.0f} µs  {tags / 100:4.1f} tags  {parameters}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
