"""The demo: an S3 server of its own, pictures in a drop folder, the main job, and the first batch of a trainer."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError
from imageyard.manifests.store import Store
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs.origin import names_of
from imageyard.service.console import say, table
from imageyard.service.demo_pictures import write_demo_pictures
from imageyard.service.local_s3 import serve
from imageyard.service.run_command import run_recipe

if TYPE_CHECKING:
    from PIL import Image

BUCKET = "imageyard-demo"
RECIPE = """\
dataset: {url}
steps:
  - ingest: {{}}
  - validate: {{min_side: 256}}
  - dedup: {{within: 31}}
  - tag: {{model: efficientnet-lite0, threshold: 0.3, blacklist: [bubble]}}
  - trigger: my_demo
  - compose: "{{caption}}, {{tags}}"
  - split: {{test: 0.1, validation: 0.1}}
"""


def main() -> None:
    """`python -m imageyard.service.demo [--images FOLDER]`: keeps everything below --folder and can be run again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder of your own pictures, instead of the demo's")
    parser.add_argument("--folder", type=Path, default=Path(".imageyard/demo"), help="where everything is kept")
    arguments = parser.parse_args()
    try:
        demonstrate(arguments.folder.resolve(), arguments.images)
    except ImageyardError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing is lost: run the same command again to go on\n")
        raise SystemExit(130) from None


def demonstrate(folder: Path, images: Path | None) -> None:
    """Run the main job on the demo's pictures, or on those in `images`. Raises ImageyardError."""
    if images is not None and not images.is_dir():
        raise ImageyardError(f"{images}: not a folder; IMAGES=… names the folder that holds your pictures")
    source = images or folder / "pictures"
    if images is None and not source.exists():
        write_demo_pictures(source)
    os.environ.setdefault("IMAGEYARD_MODELS", str(folder / "models"))
    say(f"starting the embedded S3 server, data in {folder / 's3'}")
    with serve(folder / "s3") as server:
        os.environ.update(server.environment())
        server.create_bucket(BUCKET)
        name = "pictures" if images is None else _dataset_name(images.resolve())
        url = f"s3://{BUCKET}/datasets/{name}"
        count = _upload(source, Store.open(f"{url}/drop"))
        say(f"{count:,} files from {source} lie in {url}/drop/")
        recipe = folder / f"{name}.yaml"
        recipe.write_text(RECIPE.format(url=url))
        say(f"running {recipe}\n")
        outcome = run_recipe(
            recipe, dataset=None, actors=None, cpus=1, gpus=0, shard=None, address="local", as_json=False
        )
        if outcome.report is not None:
            page = folder / f"{name}-report.html"
            dataset = Store.open(url)
            page.write_bytes(dataset.get(str(dataset.key_of(outcome.report))))
            say(f"a copy of the report to open in a browser: {page}")
        if outcome.state == "committed" and outcome.version is not None:
            _read_a_batch(Dataset.open(url), outcome.version)


def _dataset_name(images: Path) -> str:
    """A name for the dataset of one folder, and of no other of the same name."""
    name = re.sub(r"[^a-z0-9]+", "-", images.name.lower()).strip("-") or "images"
    return f"{name}-{hashlib.sha256(str(images).encode()).hexdigest()[:6]}"


def _upload(source: Path, drop: Store) -> int:
    """Put every file below `source` that is not in the drop folder there; how many were looked at."""
    files = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ImageyardError(f"{source}: no files in it")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda path: drop.ensure(path.relative_to(source).as_posix(), path.read_bytes()), files))
    return len(files)


def _read_a_batch(dataset: Dataset, version: Version) -> None:
    """Print what a trainer would see first."""
    from torch import Tensor

    from imageyard.manifests.loader import VersionStream, to_tensor

    def square(image: Image.Image) -> Tensor:
        return to_tensor(image.resize((256, 256)))

    role: Role = "train" if "train" in version.manifests else "unsplit"
    if role not in version.manifests:
        return
    names = {sample.source_ref: names_of(sample)[0] for sample in dataset.read(version, role)}
    size = min(4, version.manifests[role].lines)
    batch = next(iter(VersionStream(dataset, version.number, role, global_batch=size, transform=square).batches()))
    images = batch["image"]
    say(f"\nthe first batch that a training loader reads from version {version.number}, role {role}:")
    say(f"images {tuple(images.shape)} {str(images.dtype).removeprefix('torch.')}")
    table(
        "",
        ("image", "text"),
        [(names[ref], text) for ref, text in zip(batch["source_ref"], batch["text"], strict=True)],
    )


if __name__ == "__main__":
    main()
