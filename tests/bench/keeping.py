"""Which rule keeps a witness for everything that it drops: drift chains, and pans across real pictures.

    python tests/bench/keeping.py [FOLDER …] [--json]

Rules: ours (greedy leader by quality), "one a component" (imagededup and others: of everything connected one stays),
and SemDeDup's (drop what is within the distance of any earlier one, kept or not). A dropped picture is unwitnessed
if no kept one lies within the distance. FOLDERs of pictures add bursts: pictures as they are, by PDQ at 31 bits and,
since shots of one scene are rarely that near, at 90.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from imageyard.ray_jobs.canonical import Unreadable, decode
from imageyard.ray_jobs.edges import Edges
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.hamming import pairs_within
from pictures import BUNDLED, bundled


def drift(chains: int, length: int, step: int, seed: int = 0) -> np.ndarray:
    """Codes that wander: chains of `length`, `step` bits from each to the next."""
    rng = np.random.default_rng(seed)
    codes = np.zeros((chains, length, 256), np.uint8)
    codes[:, 0] = rng.integers(0, 2, (chains, 256))
    for at in range(1, length):
        codes[:, at] = codes[:, at - 1]
        for chain in range(chains):
            codes[chain, at, rng.choice(256, step, replace=False)] ^= 1
    return np.packbits(codes.reshape(-1, 256), axis=1).view(np.uint64)


def pans(frames: int = 40) -> np.ndarray:
    """PDQ codes of a window that moves across each bundled photograph, as a camera would."""
    codes = []
    for name in BUNDLED:
        image = Image.open(io.BytesIO(bundled(name))).convert("RGB")
        width, height = round(image.width * 0.7), round(image.height * 0.7)
        for frame in range(frames):
            x = round((image.width - width) * frame / (frames - 1))
            file = io.BytesIO()
            image.crop((x, 0, x + width, height)).save(file, "JPEG", quality=90)
            codes += codes_of([file.getvalue()])
    return np.array(codes, np.uint8).view(np.uint64)


def codes_of(files: list[bytes]) -> list[np.ndarray]:
    found = []
    for data in files:
        try:
            row: dict[str, Any] = Hashes().measure(decode(data))
        except Unreadable:
            continue
        if row["pdq_quality"] >= 50:
            found.append(np.frombuffer(row["pdq"], np.uint8))
    return found


def judged(codes: np.ndarray, within: int, seed: int = 0) -> dict[str, Any]:
    """How many each rule keeps and drops, and how many of the dropped have no kept witness."""
    n = len(codes)
    first, second, distance = pairs_within(codes, within)
    order = np.random.default_rng(seed).permutation(n)  # a quality that is nobody's place in the chain
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    edges = Edges.of_pairs(
        n, zip(first.tolist(), second.tolist(), ["copy"] * len(first), distance.tolist(), strict=True)
    )
    ours = np.ones(n, bool)
    ours[list(edges.leaders(order, np.full(n, -1, np.int64)))] = False
    component = edges.components() if edges.layers else np.arange(n)
    best = np.full(n, n, np.int64)
    np.minimum.at(best, component, rank)
    semdedup = np.ones(n, bool)
    semdedup[np.where(rank[first] > rank[second], first, second)] = False
    said: dict[str, Any] = {"pictures": n, "pairs": len(first)}
    for name, kept in (("greedy leader", ours), ("one a component", best[component] == rank), ("SemDeDup", semdedup)):
        witnessed = kept.copy()
        for one, other in ((first, second), (second, first)):
            witnessed[one[kept[other]]] = True
        dropped = int((~kept).sum())
        said[name] = {
            "kept": int(kept.sum()),
            "dropped": dropped,
            "unwitnessed": int((~witnessed).sum()),
            "unwitnessed share": round(float((~witnessed).sum()) / dropped, 4) if dropped else 0.0,
            "kept pairs still alike": int((kept[first] & kept[second]).sum()),
        }
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    said = {
        "drift chains, 200 of 50, 12 bits a step, within 31": judged(drift(200, 50, 12), 31),
        "pans across 17 photographs, 40 frames each, within 31": judged(pans(), 31),
    }
    for folder in asked.folders:
        files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
        codes = np.array(codes_of(files), np.uint8).view(np.uint64)
        for within in (31, 90):
            said[f"{folder.name}, within {within}"] = judged(codes, within)
    if asked.json:
        print(json.dumps(said, indent=1))
        return
    print("| pictures | rule | kept | dropped | dropped without a kept witness | kept pairs still alike |")
    print("|---|---|---|---|---|---|")
    for name, rules in said.items():
        for rule, counts in rules.items():
            if isinstance(counts, dict):
                share = f"{counts['unwitnessed']} ({100 * counts['unwitnessed share']:.0f} %)"
                print(
                    f"| {name} ({rules['pictures']}) | {rule} | {counts['kept']} | {counts['dropped']} | {share} | "
                    f"{counts['kept pairs still alike']} |"
                )


if __name__ == "__main__":
    main()
