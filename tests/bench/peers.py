"""The tag step against kohya's tagger script and imgutils, on the same models and pictures: what is equal, what is not.

    python tests/bench/peers.py FOLDER … [--model FOLDER] [--kohya SD-SCRIPTS … --kohya-python PYTHON]
                                [--imgutils PYTHON] [--limit 60] [--texts]

FOLDERs have photographs. PYTHON is an interpreter that has what the peer needs: for kohya's script onnx, onnxruntime,
opencv, pillow, tqdm, torch and huggingface_hub, for the other dghs-imgutils. --model is a folder with model.onnx and
selected_tags.csv; without it there are four: one that always says the same, two with random weights and awkward names,
and EfficientNet-Lite0. Texts are compared on pictures of the model's size, which nobody resizes; scores also on the
photographs as they are and on odd pictures. --texts prints what a peer wrote for the first picture.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from peers_options import OPTIONS, Option
from peers_pictures import ODD_REASONS, odd, squares
from peers_runs import Answer, Imgutils, Kohya, Ours, our_scores

import pictures as made
from imageyard.ray_jobs.models import efficientnet
from wide_tagger import GOLDEN, LINE, build_constant, build_wide

Peer = Kohya | Imgutils
BASE = {"threshold": 0.35, "character_threshold": 0.35, "underscores": "keep"}
PLAIN = ("threshold", "character_threshold", "underscores", "order")
ORDERS = {"kohya": "model", "imgutils": "score"}
EQUAL = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--kohya", type=Path, nargs="*", default=[])
    parser.add_argument("--kohya-python", default=sys.executable)
    parser.add_argument("--imgutils")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--texts", action="store_true")
    said = parser.parse_args()
    peers: dict[str, Peer] = {}
    for root in said.kohya:
        peers[f"kohya ({root.name})"] = Kohya(root.absolute(), said.kohya_python)
    if said.imgutils:
        peers["imgutils"] = Imgutils(said.imgutils)
    photos = sorted(path for folder in said.folders for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    photos = photos[:: max(1, len(photos) // said.limit)][: said.limit]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sets = {
            "of the model's size": squares(
                {path.name: path for path in photos} and dict(_named(photos)), work / "squares"
            ),
            "as they are": dict(_named(photos)),
            "odd": odd(work / "odd"),
        }
        models = [said.model] if said.model else [
            build_constant(work / "constant", GOLDEN),
            build_wide(work / "wide"),
            build_wide(work / "wide-without-characters", characters=()),
            efficientnet.build(work / "efficientnet"),
        ]  # fmt: skip
        for model in models:
            compare(peers, model, sets, work, texts=said.texts)
        for name, peer in peers.items():
            if isinstance(peer, Kohya):
                endings(name, peer, work)


def _named(photos: Sequence[Path]) -> list[tuple[str, Path]]:
    return [(f"{number:03}{path.suffix}", path) for number, path in enumerate(photos)]


def compare(
    peers: Mapping[str, Peer], model: Path, sets: Mapping[str, Mapping[str, Path]], work: Path, *, texts: bool
) -> None:
    """Print what each peer makes of one model."""
    tagged = {path.name: path for path in sets["of the model's size"].values()}
    scored = [path for some in sets.values() for path in some.values()]
    mine = our_scores(model, scored)
    datasets = {said: Ours(model, tagged, said) for said in {option.said for option in OPTIONS}}
    for name, peer in peers.items():
        place = work / f"{name} {model.name}"
        place.mkdir()
        answer = peer.answer(OPTIONS, model, tagged, scored, place)
        print(f"\n{name} on {model.name}: {', '.join(answer.versions)}\n")
        for which, some in sets.items():
            if which == "odd":
                odd_scores(peer.kind, some, mine, answer)
            else:
                photo_scores(which, some, mine, answer)
        print(f"\n{'option':38} same rounded known differs")
        for option in OPTIONS:
            if option.name in answer.tags:
                one(peer.kind, option, datasets[option.said], answer.tags[option.name], mine, tagged)
                if texts:
                    print(f"    writes {', '.join(next(iter(answer.tags[option.name].values())))}")
        for why in sorted(set(answer.died.values())):
            names = [option for option in answer.died if answer.died[option] == why]
            print(f"{len(names)} options die of {why}: {'; '.join(names)}")


def photo_scores(which: str, some: Mapping[str, Path], mine: Mapping[Path, np.ndarray], answer: Answer) -> None:
    found = {path: answer.scores[path] for path in some.values()}
    apart = {path: np.abs(mine[path] - scores) for path, scores in found.items() if not isinstance(scores, str)}
    every = np.array(list(apart.values()))
    flips = sum(int(((mine[path] >= 0.35) != (found[path] >= 0.35)).sum()) for path in apart)  # type: ignore[operator]
    tags = sum(int((mine[path] >= 0.35).sum()) for path in apart)
    print(
        f"scores, {len(some)} photographs {which}: at most {every.max():.2g} apart, {every.mean():.2g} on average; "
        f"{flips} of {tags} tags at 0.35 come or go"
    )


def odd_scores(peer: str, some: Mapping[str, Path], mine: Mapping[Path, np.ndarray], answer: Answer) -> None:
    for name, path in some.items():
        theirs = answer.scores[path]
        reason = ODD_REASONS.get((name, peer), "")
        if isinstance(theirs, str):
            print(f"scores, {name}: {theirs}; {reason or 'NOT KNOWN'}")
            continue
        apart = float(np.abs(mine[path] - theirs).max())
        verdict = "same" if apart <= EQUAL else reason or "NOT KNOWN"
        print(f"scores, {name}: at most {apart:.2g} apart; {verdict}")


def one(
    peer: str,
    option: Option,
    ours: Ours,
    theirs: Mapping[str, Sequence[str]],
    scores: Mapping[Path, np.ndarray],
    paths: Mapping[str, Path],
) -> None:
    """Print one row."""
    parameters: dict[str, Any] = {**BASE, "order": ORDERS[peer], **option.ours}
    here = ours.tags(**parameters)
    plain = ours.tags(**{name: value for name, value in parameters.items() if name in PLAIN})
    fault = option.faults.get(peer)
    limits = [parameters["threshold"], parameters["character_threshold"]]
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for name, mine in here.items():
        tags, said = [*mine], settled(mine, theirs[name])
        if tags == [*theirs[name]]:
            verdict = "same"
        elif tags == said or at_limit(mine, said, scores[paths[name]], limits):
            verdict = "rounded"
        elif fault and fault.shows(tags, said, [*plain[name]]):
            verdict = "known"
        else:
            verdict = "differs"
        counts[verdict] += 1
        examples.setdefault(verdict, apart(tags, said))
    row = "".join(f"{counts[verdict]:8}" for verdict in ("same", "rounded", "known", "differs"))
    print(f"{option.name:38}{row[3:]}" + (f"  {fault.reason}" if fault and counts["known"] else ""))
    for verdict in ("known", "differs"):
        if verdict in examples:
            print(f"    {verdict}: {examples[verdict]}")


def settled(mine: Mapping[str, float], theirs: Sequence[str]) -> list[str]:
    """`theirs` with neighbours whose scores are equal in four decimals in our order."""
    places = {tag: at for at, tag in enumerate(mine)}
    found: list[str] = []
    for _, tags in groupby(theirs, key=lambda tag: mine.get(tag)):
        found += sorted(tags, key=lambda tag: places.get(tag, 0))
    return found


def at_limit(mine: Mapping[str, float], theirs: Sequence[str], scores: np.ndarray, limits: Sequence[float]) -> bool:
    """Whether no more differs than tags whose score is a threshold in four decimals."""
    apart = set(mine) ^ set(theirs)
    near = sum(int((np.abs(scores - limit) < EQUAL / 2).sum()) for limit in limits if limit != LINE)
    return 0 < len(apart) <= near and [tag for tag in mine if tag in theirs] == [tag for tag in theirs if tag in mine]


def apart(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """The first place where two lists differ, and what follows."""
    at = next(
        (at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    return f"at {at} ours {', '.join(ours[at : at + 4]) or 'end'} | theirs {', '.join(theirs[at : at + 4]) or 'end'}"


def endings(who: str, kohya: Kohya, work: Path) -> None:
    """Print what becomes of runs with one thing in them that is not as it should be."""
    print()
    rows = [("general", 9, 0.9), ("s", 9, 0.1), ("q", 9, 0.1), ("e", 9, 0.1), ("1girl", 0, 0.9), ("solo", 0, 0.3)]
    photo = made.photo(1, (448, 448), "PNG")
    for name, more, batch, files in (
        ("a file that is no picture", [], None, {"a.png": made.text(), "b.png": photo}),
        ("a batch of 4 in the model, 5 pictures", [], 4, {f"{n}.png": photo for n in range(5)}),
        ("a tag of another category last", [("somebody", 1, 0.9)], None, {"a.png": photo}),
        ("a character", [("saber_(fate)", 4, 0.9)], None, {"a.png": photo}),
        ("a character before a general tag", [("saber_(fate)", 4, 0.9), ("smile", 0, 0.1)], None, {"a.png": photo}),
    ):
        model = build_constant(work / f"{who} {name}".replace(" ", "-") / "model", [*rows, *more], batch=batch)
        place = model.parent / "pictures"
        place.mkdir()
        for file, data in files.items():
            (place / file).write_bytes(data)
        (died,) = kohya.run([[str(place), *kohya.arguments(model, model.parent)]])["runs"]
        written = {path.name: path.read_text(encoding="utf-8").strip() for path in sorted(place.glob("*.txt"))}
        print(f"{name}: {who} {died or 'ends well'}, and wrote {written}"[:400])


if __name__ == "__main__":
    main()
