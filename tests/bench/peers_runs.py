"""One answer from each: the tag step in a dataset in memory, kohya's script and imgutils in their own interpreters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from peers_options import Option

from imageyard.manifests import Dataset, Sample
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.models.files import locate
from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger
from imageyard.ray_jobs.tag_text import underscored
from imageyard.ray_jobs.tagging.overlap import IMPLICATIONS
from jobs import by_name, drop, go, recipe

HERE = Path(__file__).parent
REPOSITORY = "local/tagger"


@dataclass(frozen=True)
class Answer:
    """What a peer said."""

    versions: Sequence[str]
    tags: Mapping[str, Mapping[str, list[str]]]
    """By option and picture, those of options that it has."""
    died: Mapping[str, str]
    """What ended its run, by option."""
    scores: Mapping[Path, np.ndarray | str]
    """By picture: one for each label, or what it died of."""


@dataclass(frozen=True)
class Kohya:
    """A folder of sd-scripts, and the interpreter for it."""

    root: Path
    python: str
    kind: ClassVar[str] = "kohya"

    def run(
        self, runs: Sequence[Sequence[str]], arguments: Sequence[str] = (), scored: Sequence[Path] = ()
    ) -> dict[str, Any]:
        """What ended each of the `runs`, "" for nothing; with the scores of pictures, one run with `arguments` each."""
        asked = {
            "kohya": str(self.root),
            "runs": runs,
            "arguments": arguments,
            "pictures": [str(path.absolute()) for path in scored],
        }
        return _asked(self.python, "peers_kohya.py", asked)

    def arguments(self, model: Path, work: Path) -> list[str]:
        """For a run with `model`, which is put where the script expects what it downloaded."""
        models = work / "models"
        models.mkdir(exist_ok=True)
        link = models / REPOSITORY.replace("/", "_")
        if not link.exists():
            link.symlink_to(model.absolute(), target_is_directory=True)
        return ["--onnx", "--model_dir", str(models), "--repo_id", REPOSITORY]

    def answer(
        self, options: Sequence[Option], model: Path, tagged: Mapping[str, Path], scored: Sequence[Path], work: Path
    ) -> Answer:
        """Over the pictures `tagged` by every option, and the scores of all `scored`."""
        having = [option for option in options if option.kohya is not None]
        arguments = self.arguments(model, work)
        runs, places = [], []
        for number, option in enumerate(having):
            place = work / f"{number:02}"
            place.mkdir()
            for name, path in tagged.items():
                (place / name).symlink_to(path.absolute())
                if option.said:
                    (place / name).with_suffix(".txt").write_text(option.said, encoding="utf-8")
            places.append(place)
            runs.append([str(place), *arguments, *(option.kohya or ())])
        said = self.run(runs, arguments, scored)
        tags, died = {}, {}
        for option, place, end in zip(having, places, said["runs"], strict=True):
            if end:
                died[option.name] = end
                continue
            files = {name: (place / name).with_suffix(".txt") for name in tagged}
            tags[option.name] = {name: _split(file.read_text(encoding="utf-8")) for name, file in files.items()}
        return Answer(said["versions"], tags, died, _scores(said["scores"]))


@dataclass(frozen=True)
class Imgutils:
    """An interpreter that has imgutils."""

    python: str
    kind: ClassVar[str] = "imgutils"

    def answer(
        self, options: Sequence[Option], model: Path, tagged: Mapping[str, Path], scored: Sequence[Path], work: Path
    ) -> Answer:
        """Over the pictures `tagged` by every option, and the scores of all `scored`."""
        having = [option for option in options if option.imgutils is not None]
        table: dict[str, list[str]] = {}
        for tag, implied in IMPLICATIONS.items():
            for other in implied:
                table.setdefault(underscored(other), []).append(underscored(tag))
        asked = {
            "model": str(model / "model.onnx"),
            "labels": str(model / "selected_tags.csv"),
            "overlap": table,
            "tagged": [str(path) for path in tagged.values()],
            "pictures": [str(path) for path in scored],
            "runs": [option.imgutils for option in having],
        }
        said = _asked(self.python, "peers_imgutils.py", asked)
        tags = {
            option.name: {name: _split(found[str(path)]) for name, path in tagged.items()}
            for option, found in zip(having, said["runs"], strict=True)
        }
        return Answer(said["versions"], tags, {}, _scores(said["scores"]))


class Ours:
    """The tag step over pictures that are measured once."""

    def __init__(self, model: Path, pictures: Mapping[str, Path], said: str) -> None:
        self._model = model
        self._dataset = Dataset.open(f"memory://peers-{id(self)}")
        files = {name: path.read_bytes() for name, path in pictures.items()}
        captions = {str(Path(name).with_suffix(".txt")): said.encode() for name in pictures if said}
        drop(self._dataset, files | captions)

    def tags(self, **parameters: Any) -> dict[str, dict[str, float]]:
        """Scores by tag in order, by picture."""
        step = {"tag": {"model": str(self._model), **parameters}}
        outcome = go(self._dataset, recipe(self._dataset, "ingest", step), self._model.parent)
        version = outcome.version or self._dataset.newest()
        return {name: _scored(sample) for name, (_, sample) in by_name(self._dataset, version).items()}


def our_scores(model: Path, pictures: Sequence[Path]) -> dict[Path, np.ndarray]:
    """The model's output for each picture as we prepare it."""
    tagger = OnnxTagger(locate(str(model), folder=model.parent))
    return {path: tagger.scores(tagger.prepare(decode(path.read_bytes()))[None])[0] for path in pictures}


def _scored(sample: Sample) -> dict[str, float]:
    metadata = sample.metadata("tags") or {}
    names: Any = metadata["class-map"]
    scores: Any = metadata["confidence-map"]
    return {names[str(index)]: scores[str(index)] for index in sample.value("tags")}


def _split(text: str) -> list[str]:
    return [tag for tag in text.rstrip("\n").split(", ") if tag]


def _scores(said: Mapping[str, Any]) -> dict[Path, np.ndarray | str]:
    return {Path(path): found if isinstance(found, str) else np.array(found) for path, found in said.items()}


def _asked(python: str, script: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a script of ours in another interpreter, which is kept from the network."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    offline = {**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, str(HERE / script)], input=json.dumps(asked), capture_output=True, text=True, env=offline
    )
    if done.returncode:
        sys.exit(f"{script}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
