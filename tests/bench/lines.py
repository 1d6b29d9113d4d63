"""Manifest lines: parsed and written a second, against json and pydantic; and a version of a million lines.

python tests/bench/lines.py [--lines 1000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from imageyard.manifests import Dataset, Sample, Version
from imageyard.manifests.lines import parse


class Line(BaseModel):
    """What a schema-first reader would have."""

    model_config = ConfigDict(extra="allow")
    source_ref: str = Field(alias="source-ref")


def line(number: int) -> bytes:
    """A line as the main job writes it: about 1.3 kB, ten tags."""
    tags = list(range(10))
    return json.dumps(
        {
            "source-ref": f"s3://bucket/datasets/cats/images/{number % 256:02x}/{number:064x}.jpg",
            "content-sha256": f"{number:064x}",
            "origin": [{"name": f"batch/{number}.jpg", "etag": f'"{number:032x}"'}],
            "origin-metadata": {"type": "groundtruth/custom", "human-annotated": "no", "step": "ingest"},
            "tags": tags,
            "tags-metadata": {
                "type": "groundtruth/image-classification-multilabel",
                "human-annotated": "no",
                "creation-date": "2026-01-15T09:30:00.000000",
                "job-name": "imageyard/ingest-validate-dedup-tag-split",
                "class-map": {str(tag): f"a tag number {tag}" for tag in tags},
                "confidence-map": {str(tag): 0.5 + tag / 100 for tag in tags},
            },
            "split": "test" if number % 10 == 0 else "train",
            "split-metadata": {"type": "groundtruth/custom", "human-annotated": "no", "step": "split"},
        },
        separators=(",", ":"),
    ).encode()


def rate(call: Callable[[bytes], Any], lines: list[bytes]) -> float:
    """Best of five rounds, lines a second."""
    best = 0.0
    for _ in range(5):
        begun = time.process_time()
        for one in lines:
            call(one)
        best = max(best, len(lines) / (time.process_time() - begun))
    return best


def compare() -> None:
    lines = [line(number) for number in range(20_000)]
    parsed = [Sample.parse(one) for one in lines]
    models = [Line.model_validate_json(one) for one in lines[:5000]]
    label = {"type": "groundtruth/custom", "human-annotated": "yes"}
    ours = rate(Sample.parse, lines)
    theirs = rate(json.loads, lines)
    pydantic = rate(Line.model_validate_json, lines)
    print(f"parse, lines/s and core: ours {ours:,.0f}, json {theirs:,.0f} (x{ours / theirs:.1f}), ", end="")
    print(f"pydantic {pydantic:,.0f} (x{ours / pydantic:.1f})")
    at = iter(parsed * 6)
    ours = rate(lambda _: next(at).with_label("caption", "a cat", label).line, lines)
    loaded = [json.loads(one) for one in lines]
    at_dict = iter(loaded * 6)
    theirs = rate(
        lambda _: json.dumps({**next(at_dict), "caption": "a cat", "caption-metadata": label}).encode(), lines
    )
    at_model = iter(models * 60)
    pydantic = rate(
        lambda _: next(at_model).model_copy(update={"caption": "a cat"}).model_dump_json(by_alias=True), lines[:5000]
    )
    print(f"label and write, lines/s and core: ours {ours:,.0f}, json {theirs:,.0f} (x{ours / theirs:.1f}), ", end="")
    print(f"pydantic {pydantic:,.0f} (x{ours / pydantic:.1f})")


def record(parent: Version | None, transaction: str, manifests: Any) -> Version:
    return Version(
        number=parent.number + 1 if parent else 1,
        transaction=transaction,
        parent=parent.number if parent else None,
        parent_sha256=parent.sha256 if parent else None,
        created="2026-01-15T09:30:00.000000",
        job="bench",
        fingerprint="f",
        recipe={},
        extractors={},
        counts={},
        manifests=manifests,
        consumed=None,
    )


def write(folder: str, count: int) -> None:
    dataset = Dataset.open(f"file://{folder}")

    def build(parent: Version | None) -> Version:
        samples = parse((line(number) + b"\n" for number in range(count)), name="made")
        draft = dataset.draft(("train", sample) for sample in samples)
        return record(parent, draft.transaction, dict(draft.manifests))

    timed("write and commit", count, lambda: dataset.commit(build))


def filtered(folder: str, count: int) -> None:
    dataset = Dataset.open(f"file://{folder}")

    def build(parent: Version | None) -> Version:
        assert parent is not None

        def kept() -> Iterator[tuple[Any, Sample]]:
            for sample in dataset.read(parent, "train"):
                if "a tag number 3" in sample.data["tags-metadata"]["class-map"].values():
                    yield sample.value("split"), sample

        draft = dataset.draft(kept())
        return record(parent, draft.transaction, dict(draft.manifests))

    timed("open, filter and commit", count, lambda: dataset.commit(build))


def timed(what: str, count: int, call: Callable[[], object]) -> None:
    begun = time.perf_counter()
    call()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what} {count:,} lines: {seconds:.1f} s, {count / seconds:,.0f} lines/s, peak memory {peak:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--part", choices=["write", "filter"])
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    if arguments.part:
        (write if arguments.part == "write" else filtered)(arguments.folder, arguments.lines)
        return
    compare()
    with tempfile.TemporaryDirectory(prefix="imageyard-bench-") as folder:
        for part in ("write", "filter"):  # processes of their own, so that each peak is its own
            options = ["--part", part, "--folder", str(Path(folder)), "--lines", str(arguments.lines)]
            subprocess.run([sys.executable, __file__, *options], check=True)


if __name__ == "__main__":
    main()
