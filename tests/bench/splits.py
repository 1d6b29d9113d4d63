"""Splits of a dataset that grows: ours against drawing anew with scikit-learn's StratifiedGroupKFold, side by side.

python tests/bench/splits.py [--rows 100000] [--json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from imageyard.manifests import Sample, Store
from imageyard.ray_jobs.edges import Edges, Layer
from imageyard.ray_jobs.state import Stamp, State, World
from imageyard.ray_jobs.steps.split import Split

NOWHERE = World(Store.open("memory://nowhere"), Stamp("imageyard/bench", "2026-01-15T09:30:00.000000"), {})
TRAIN, TEST, NONE = 0, 1, -1
SHARE = 0.1
GROWTH = 0.02
CLASSES = (0.6, 0.25, 0.1, 0.036, 0.01, 0.004)
"""Shares of the classes."""
TITLES = (
    "method",
    "of the old test set stays",
    "once trained on, now in test",
    "leaked pairs",
    "pairs of once trained on and test",
    "worst class is off by",
    "first split",
    "after growth",
)


@dataclass(frozen=True)
class Data:
    """Rows with a class each, and the pairs of copies that make groups of them."""

    label: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def upto(self, rows: int) -> Data:
        """The first so many rows."""
        kept = (self.first < rows) & (self.second < rows)
        return Data(self.label[:rows], self.first[kept], self.second[kept])

    def edges(self, place: np.ndarray) -> Edges:
        """The pairs, when row r lies at place[r]."""
        pairs = (place[self.first], place[self.second], np.full(len(self.first), 9.0))
        return Edges(len(place), (Layer("copy", np.arange(len(place)), *pairs),))


@dataclass(frozen=True)
class Result:
    """How a method came through the growth; shares are per cent."""

    method: str
    kept: float
    crossed: int
    leaked: int
    tainted: int
    deviation: float
    first_seconds: float
    grown_seconds: float


def made(rows: int, seed: int = 7) -> Data:
    """`rows` in three tenths as many groups, and GROWTH more: half copies of old images, one in a hundred of two."""
    rng = np.random.default_rng(seed)
    groups, new = rows * 3 // 10, int(rows * GROWTH)
    again = rng.random(new) < 0.5
    joined = np.where(again, rng.integers(0, groups, new), np.arange(groups, groups + new))
    group = np.concatenate([np.arange(groups), rng.integers(0, groups, rows - groups), joined])
    label = rng.choice(len(CLASSES), groups + new, p=CLASSES)[group]
    order = np.argsort(group, kind="stable")
    chained = np.flatnonzero(group[order][1:] == group[order][:-1])
    bridges = rows + np.flatnonzero(again & (rng.random(new) < 0.02))
    first = np.concatenate([order[chained], bridges])
    second = np.concatenate([order[chained + 1], rng.integers(0, rows, len(bridges))])
    return Data(label, first, second)


def ours(mode: Literal["stratified", "hash"]) -> Callable[[Data, np.ndarray], tuple[np.ndarray, float]]:
    """Lines in, lines out, as in a job: reading and writing them counts, and so does the audit."""
    step = Split(test=SHARE, mode=mode)

    def split(data: Data, before: np.ndarray) -> tuple[np.ndarray, float]:
        keys = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(len(data.label))]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        place = np.argsort(order)
        said = [*before.tolist(), *[NONE] * (len(keys) - len(before))]
        samples = [line(keys[row], int(data.label[row]), said[row]) for row in order]
        sorted_keys = [keys[row] for row in order]
        state = State(sorted_keys, samples, [None] * len(keys), range(len(keys)), data.edges(place))
        begun = time.perf_counter()
        after = step.decide(state, NOWHERE)
        step.certify(after, NOWHERE)
        seconds = time.perf_counter() - begun
        sides = [{"train": TRAIN, "test": TEST}.get(sample.value("split"), NONE) for sample in after.samples]
        return np.array(sides)[place], seconds

    return split


def line(key: str, label: int, side: int) -> Sample:
    """A line as the main job writes it, of an image with a class."""
    said = {"type": "groundtruth/image-classification", "class-name": f"class {label}", "human-annotated": "yes"}
    origin = {"type": "groundtruth/custom", "human-annotated": "no", "creation-date": "2026-01-15T09:30:00.000000"}
    members = {"content-sha256": key, "origin": [{"name": f"{key[:9]}.jpg", "etag": key[:32]}]}
    sample = Sample.of(f"s3://bucket/images/{key}.jpg", **members, **{"origin-metadata": origin})
    sample = sample.with_label("label", label, said)
    if side != NONE:
        sample = sample.with_label("split", ["train", "test"][side], {"type": "groundtruth/custom", "step": "split"})
    return sample.forget()


def theirs(data: Data, before: np.ndarray) -> tuple[np.ndarray, float]:
    """One of ten folds over arrays, drawn anew; the connected groups are given, and their search is not counted."""
    groups = data.edges(np.arange(len(data.label))).components()
    begun = time.perf_counter()
    drawing = StratifiedGroupKFold(n_splits=round(1 / SHARE), shuffle=True, random_state=0)
    _, test = next(drawing.split(np.zeros((len(groups), 1)), data.label, groups))
    seconds = time.perf_counter() - begun
    side = np.full(len(groups), TRAIN)
    side[test] = TEST
    return side, seconds


def measured(
    method: str, split: Callable[[Data, np.ndarray], tuple[np.ndarray, float]], data: Data, rows: int
) -> Result:
    nothing = np.zeros(0, np.int64)
    old, first_seconds = split(data.upto(rows), nothing)
    new, grown_seconds = split(data, old)
    trained = np.concatenate([old == TRAIN, np.zeros(len(new) - rows, np.bool_)])
    pairs = ((data.first, data.second), (data.second, data.first))
    off = [
        abs((new[(data.label == label) & (new != NONE)] == TEST).mean() / SHARE - 1) for label in np.unique(data.label)
    ]
    return Result(
        method,
        kept=100 * float((new[:rows][old == TEST] == TEST).mean()),
        crossed=int((trained & (new == TEST)).sum()),
        leaked=int(sum(((new[one] == TRAIN) & (new[other] == TEST)).sum() for one, other in pairs)),
        tainted=int(sum((trained[one] & (new[other] == TEST)).sum() for one, other in pairs)),
        deviation=100 * float(max(off)),
        first_seconds=first_seconds,
        grown_seconds=grown_seconds,
    )


def row(result: Result) -> str:
    cells = (
        result.method,
        f"{result.kept:.2f} %",
        f"{result.crossed:,}",
        f"{result.leaked:,}",
        f"{result.tainted:,}",
        f"{result.deviation:.1f} %",
        f"{result.first_seconds:.1f} s",
        f"{result.grown_seconds:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--alone", action="store_true", help="only ours: scikit-learn's time grows with the groups")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    data = made(arguments.rows)
    methods: dict[str, Callable[[Data, np.ndarray], tuple[np.ndarray, float]]] = {
        "split": ours("stratified"),
        "split, mode hash": ours("hash"),
    }
    if not arguments.alone:
        methods["StratifiedGroupKFold, drawn anew"] = theirs
    results = [measured(name, split, data, arguments.rows) for name, split in methods.items()]
    if arguments.json:
        print(json.dumps({"rows": arguments.rows, "results": [asdict(result) for result in results]}, indent=1))
        return
    print(f"{arguments.rows:,} rows in {arguments.rows * 3 // 10:,} groups, {len(data.first):,} pairs, then 2 % more")
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
    print("\n".join(row(result) for result in results))


if __name__ == "__main__":
    main()
