"""Versions for tests whose samples say what the test wants: texts, tags, scores of a tagger, embeddings; no pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imageyard.manifests import Dataset, Sample
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.embedding import Embedding
from imageyard.ray_jobs.extractors.tagger import Tagger
from versions import recorded

MANY = "groundtruth/image-classification-multilabel"


def tagged(tags: Mapping[str, float] | Sequence[str], *, human: bool = False) -> dict[str, Any]:
    """The members of the pair `tags`; scores are those of the mapping."""
    scores = tags if isinstance(tags, Mapping) else {}
    metadata: dict[str, Any] = {"type": MANY, "human-annotated": "yes" if human else "no"}
    metadata["class-map"] = {str(index): tag for index, tag in enumerate(tags)}
    if scores:
        metadata["confidence-map"] = {str(index): score for index, score in enumerate(scores.values())}
    if not human:
        metadata["model"] = "a-tagger"
    return {"tags": list(range(len(tags))), "tags-metadata": metadata}


def sample(name: str, **members: Any) -> Sample:
    """A sample that was dropped as `name`."""
    pairs = {f"{member}-metadata": {"type": "groundtruth/custom"} for member in members if member.startswith("caption")}
    return Sample.of(
        f"s3://b/{name}", **{"content-sha256": key(name), "origin": [{"name": name, "etag": "1"}]}, **members, **pairs
    )


def key(name: str) -> str:
    return name.encode().hex().ljust(64, "0")[:64]


def texts(*captions: str) -> list[Sample]:
    """Samples 0.png, 1.png … with these captions."""
    return [sample(f"{number}.png", caption=caption) for number, caption in enumerate(captions)]


def committed(
    dataset: Dataset,
    samples: Mapping[Role, Sequence[Sample]],
    *,
    scores: Mapping[str, Mapping[str, float]] | None = None,
    vectors: Mapping[str, Sequence[float]] | None = None,
    models: Sequence[str] = ("vit-v3",),
) -> Version:
    """A version of these samples; `scores`, of the first model, and `vectors` are facts by the name of the image."""
    extractors: dict[str, str] = {}
    if scores is not None:
        extractors["tags"] = "tags-of-the-test"
        rows = {
            key(name): {
                "index": list(range(len(said))),
                "tag": list(said),
                "category": [0] * len(said),
                "score": list(said.values()),
            }
            for name, said in scores.items()
        }
        facts.write(dataset.store, extractors["tags"], Tagger.columns(), rows)
    if vectors is not None:
        extractors["embedding"] = "embedding-of-the-test"
        stored = {key(name): {"vector": np.array(vector, "<f2").tobytes()} for name, vector in vectors.items()}
        facts.write(dataset.store, extractors["embedding"], Embedding.columns(), stored)
    draft = dataset.draft((role, one) for role, held in samples.items() for one in held)

    recipe = {"steps": [{"tag": {"model": models[0], "also": list(models[1:])}}] if scores is not None else []}
    version = dataset.commit(lambda parent: recorded(parent, draft, recipe=recipe, extractors=extractors))
    assert version is not None
    return version
