"""Which tier finds which copies: photographs changed as people change them, told from all other photographs.

python tests/bench/transformations.py [FOLDER ...] [--scenes FOLDER ...] [--workers 2] [--json]

Always taken: the photographs that scikit-image and scikit-learn ship. The pictures of a sub-folder of FOLDER are shots
of one subject; so are those in FOLDER itself, with those in the folders beside it that are named too. In a folder of
--scenes every picture is a scene of its own.

Every pair of files counts, but for two that were changed from one original. A pair of an original and what was made of
it is right to be found. A pair of files of two originals is wrong, and counted apart where these are shots of one
subject, of which some differ less than a picture from what people do to it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

sys.path.insert(0, str(Path(__file__).parent.parent))
import pictures
from imageyard.ray_jobs.alike import ENOUGH, agreement
from imageyard.ray_jobs.canonical import decode, fitted
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.pdq import TURNS
from imageyard.ray_jobs.extractors.phash import PARTS, SIDE, phash_parts

LONGEST = 512
"""Pixels of the longer side that originals are reduced to, to save time."""
COPY, QUALITY = 31, 50
PROPOSE = 10
PROPOSALS = (6, 8, 10, 12)
PART, PART_PROPOSALS = 8, (4, 6, 8)
ACCEPTED = (0.8, 0.85, 0.88, 0.9, 0.95)
COLUMNS = ("pixels", "copy", "proposed", "by parts", "agreed", "variant", "mirrored", "all")
BLOCK = 512

Change = Callable[[Image.Image], Image.Image | bytes]


def scaled(image: Image.Image, across: float, down: float | None = None) -> Image.Image:
    return image.resize((round(image.width * across), round(image.height * (down or across))))


def cropped(image: Image.Image, share: float, x: float = 0.5, y: float = 0.5) -> Image.Image:
    """Without `share` of the width and of the height; `x` and `y` of it are taken from the left and the top."""
    left, top = round(image.width * share * x), round(image.height * share * y)
    size = round(image.width * (1 - share)), round(image.height * (1 - share))
    return image.crop((left, top, left + size[0], top + size[1]))


def framed(image: Image.Image, share: float, colour: str) -> Image.Image:
    """With a frame of `share` of the shorter side all around."""
    return ImageOps.expand(image, round(min(image.size) * share), colour)


def wrote(image: Image.Image, text: str, height: float, size: float, fill: str | int, edge: str | None = None) -> None:
    font = ImageFont.load_default(max(8, size))
    width = max(1, round(size / 14)) if edge else 0
    at = (image.width / 2, height)
    ImageDraw.Draw(image).text(at, text, fill, font, anchor="mm", stroke_width=width, stroke_fill=edge)


def meme(image: Image.Image) -> Image.Image:
    image, size = image.copy(), image.width / 11
    wrote(image, "NOBODY:", size * 0.8, size, "white", "black")
    wrote(image, "A CAT AT FOUR", image.height - size * 0.8, size, "white", "black")
    return image


def watermarked(image: Image.Image) -> Image.Image:
    layer = Image.new("L", image.size)
    wrote(layer, "© sample photo", image.height / 2, image.width / 9, 140)
    slope = math.degrees(math.atan2(image.height, image.width))
    image = image.copy()
    image.paste("white", mask=layer.rotate(slope, Image.Resampling.BICUBIC))
    return image


def captioned(image: Image.Image, colour: str, *, over: bool) -> Image.Image:
    """With a bar of 12 % of the height, `over` the picture's lower end or below it."""
    bar = round(image.height * 0.12)
    if over:
        image = image.copy()
        image.paste(colour, (0, image.height - bar, image.width, image.height))
    else:
        image = ImageOps.expand(image, (0, 0, 0, bar), colour)
    wrote(image, "What the picture is about", image.height - bar / 2, bar * 0.4, "gray")
    return image


def bent(image: Image.Image, power: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)


def warmed(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    return Image.merge(
        "RGB", (red.point(lambda level: min(255, level * 1.15)), green, blue.point(lambda level: level * 0.8))
    )


def noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).standard_normal((image.height, image.width, 3), np.float32)
    return Image.fromarray((np.asarray(image) + 15 * noise).clip(0, 255).astype(np.uint8))


def rotated(image: Image.Image, degrees: float, *, inside: bool = False) -> Image.Image:
    """With black corners; or only what lies `inside`, of the same aspect, without them."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    width, height = image.size
    kept = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    return cropped(turned, 1 - kept) if inside else turned


def shot(image: Image.Image, share: float) -> Image.Image:
    """On the screen of a viewer, `share` of its width and height."""
    width, height = round(image.width / share), round(image.height / share)
    screen = Image.new("RGB", (width, height), "#f3f3f6")
    top = round((height - image.height) * 0.6)
    ImageDraw.Draw(screen).rectangle((0, 0, width, top * 0.6), "#343846")
    wrote(screen, "Gallery   Edit   View", top * 0.3, max(9, top * 0.25), "white")
    wrote(screen, "1 of 24", height - (height - image.height - top) / 2, max(9, top * 0.25), "gray")
    screen.paste(image, ((width - image.width) // 2, top))
    return screen


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    return pictures.encoded(image, kind, **options)


def turned(image: Image.Image, way: str) -> Image.Image:
    return image.transpose(Image.Transpose[way.upper()])


def enhanced(image: Image.Image, what: Callable[[Image.Image], Any], by: float) -> Image.Image:
    result: Image.Image = what(image).enhance(by)
    return result


CHANGES: dict[str, Change] = {
    "nothing but the format: PNG": partial(saved, kind="PNG", compress_level=1),
    "lossless WebP": partial(saved, kind="WEBP", lossless=True, quality=0, method=0),
    "GIF, 256 colours": lambda image: saved(image.quantize(), "GIF"),
    **{f"JPEG {quality}": partial(saved, quality=quality) for quality in (90, 60, 30)},
    "WebP 60": partial(saved, kind="WEBP", quality=60),
    **{f"size {share:.0%}": partial(scaled, across=share) for share in (0.5, 0.25, 2.0)},
    "10% wider": partial(scaled, across=1.1, down=1.0),
    **{f"crop {share:.0%}": partial(cropped, share=share) for share in (0.02, 0.05, 0.1, 0.2)},
    **{f"crop {share:.0%}, corner": partial(cropped, share=share, x=1.0, y=1.0) for share in (0.02, 0.05, 0.1, 0.2)},
    "crop 10%, side": lambda image: image.crop((image.width // 10, 0, image.width, image.height)),
    **{f"frame {share:.0%}, black": partial(framed, share=share, colour="black") for share in (0.05, 0.1)},
    **{f"frame {share:.0%}, white": partial(framed, share=share, colour="white") for share in (0.05, 0.1)},
    "text at top and bottom": meme,
    "watermark across": watermarked,
    "caption bar over it": partial(captioned, colour="white", over=True),
    "caption bar below": partial(captioned, colour="white", over=False),
    "caption bar below, black": partial(captioned, colour="black", over=False),
    **{f"brightness {by}": partial(enhanced, what=ImageEnhance.Brightness, by=by) for by in (0.7, 1.3)},
    **{f"contrast {by}": partial(enhanced, what=ImageEnhance.Contrast, by=by) for by in (0.6, 1.5)},
    **{f"gamma {power}": partial(bent, power=power) for power in (0.6, 1.6)},
    "saturation 1.8": partial(enhanced, what=ImageEnhance.Color, by=1.8),
    "grey": lambda image: image.convert("L"),
    "warmer": warmed,
    "blur of 2 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "noise of 15 levels": noisy,
    **{f"rotated {degrees}°": partial(rotated, degrees=degrees) for degrees in (1, 2, 5)},
    **{f"rotated {degrees}°, cropped": partial(rotated, degrees=degrees, inside=True) for degrees in (1, 2, 5)},
    "crop 5% and size 50%": lambda image: scaled(cropped(image, 0.05, 0.3, 0.8), 0.5),
    **{f"screenshot, {share:.0%} of it": partial(shot, share=share) for share in (0.9, 0.8, 0.6)},
    **{f"turned {way[7:]}°": partial(turned, way=way) for way in TURNS[:3]},
    "mirrored": ImageOps.mirror,
    "mirrored, JPEG 60, size 50%": lambda image: saved(scaled(ImageOps.mirror(image), 0.5), quality=60),
    "mirrored, crop 5%": lambda image: cropped(ImageOps.mirror(image), 0.05),
}  # fmt: skip
"""What people do to pictures, by name; what is not a file yet is saved as a JPEG of quality 88."""


@dataclass(frozen=True)
class Files:
    """The facts of all files: those of original number n begin at n * (1 + len(CHANGES)), its own before the others."""

    phash: np.ndarray
    dhash: np.ndarray
    pdq: np.ndarray
    quality: np.ndarray
    turned: np.ndarray
    pixels: np.ndarray
    parts: np.ndarray
    gray: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Pairs (i, j), i < j, of files that some tier may call alike."""

    i: np.ndarray
    j: np.ndarray
    phash: np.ndarray
    dhash: np.ndarray
    parts: np.ndarray
    """Bits from the pHash of one to that of the nearest part of the other."""
    pixels: np.ndarray
    copy: np.ndarray
    mirrored: np.ndarray
    agreement: np.ndarray


def originals(folders: Sequence[Path], scenes: Sequence[Path]) -> dict[str, str]:
    """Subject by path; of a picture that scikit-image ships, by name."""
    found = {name: name for name in pictures.BUNDLED}
    found |= {
        str(path): str(path) for path in sorted((Path(sklearn.__file__).parent / "datasets" / "images").glob("*.jpg"))
    }
    for folder in folders:
        for path in images(folder):
            found[str(path)] = str(folder.parent if path.parent == folder else path.parent)
    return found | {str(path): str(path) for folder in scenes for path in images(folder)}


def images(folder: Path) -> Iterator[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    if not paths:
        raise SystemExit(f"no pictures in {folder}; name a folder that holds some")
    yield from paths


def measured(path: str) -> list[dict[str, Any]]:
    """The facts of an original and of all that is made of it."""
    data = pictures.bundled(path) if path in pictures.BUNDLED else Path(path).read_bytes()
    image = fitted(decode(data).rgb, LONGEST)
    files = [saved(image, "PNG", compress_level=0)]
    for change in CHANGES.values():
        made = change(image)
        files.append(made if isinstance(made, bytes) else saved(made, quality=88))
    return [Hashes().measure(decode(file)) for file in files]


def collected(paths: Sequence[str], workers: int) -> Files:
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for rows in pool.map(measured, paths, chunksize=2) for row in rows]

    def words(name: str) -> np.ndarray:
        return np.frombuffer(b"".join(row[name] for row in rows), np.uint64).reshape(len(rows), -1, 4)

    gray = np.frombuffer(b"".join(row["gray"] for row in rows), np.uint8).reshape(-1, SIDE, SIDE)
    return Files(
        phash=np.array([row["phash"] for row in rows], np.uint64),
        dhash=np.array([row["dhash"] for row in rows], np.uint64),
        pdq=words("pdq")[:, 0],
        quality=np.array([row["pdq_quality"] for row in rows]),
        turned=words("turned"),
        pixels=words("pixels")[:, 0],
        parts=phash_parts(gray),
        gray=gray,
    )


def apart(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bits that differ, of each of `some` from each of `others`."""
    if some.ndim == 1:
        some, others = some[:, None], others[:, None]
    total = np.zeros((len(some), len(others)), np.uint16)
    for word in range(some.shape[1]):
        total += np.bitwise_count(some[:, word, None] ^ others[None, :, word])
    return total


def compared(files: Files, workers: int) -> Pairs:
    """All pairs but those of two files changed from one original; for `mirrored`, those that begin with an original."""
    step = 1 + len(CHANGES)
    count = len(files.phash)
    number = np.arange(count)
    good = files.quality >= QUALITY
    found: list[tuple[np.ndarray, ...]] = []
    for start in range(0, count, BLOCK):
        i, j = number[start : start + BLOCK], number[start:]
        same = i[:, None] // step == j // step
        counted = (j > i[:, None]) & (~same | (i[:, None] % step == 0))
        phash, dhash = apart(files.phash[i], files.phash[j]), apart(files.dhash[i], files.dhash[j])
        parts = np.full(phash.shape, SIDE * SIDE, np.uint16)
        for part in range(len(PARTS)):
            np.minimum(parts, apart(files.parts[i, part], files.phash[j]), out=parts)
            np.minimum(parts, apart(files.phash[i], files.parts[j, part]), out=parts)
        copy = (apart(files.pdq[i], files.pdq[j]) <= COPY) & good[i, None] & good[j]
        pixels = apart(files.pixels[i], files.pixels[j]) == 0
        mirrored = np.zeros_like(copy)
        for own in np.flatnonzero(i % step == 0):
            nearest = np.min([apart(code[None], files.pdq[j])[0] for code in files.turned[i[own]]], axis=0)
            mirrored[own] = (nearest <= COPY) & good[i[own]] & good[j]
        some = (np.minimum(phash, dhash) <= max(PROPOSALS)) | (parts <= max(PART_PROPOSALS))
        rows, columns = np.nonzero(counted & (same | some | copy | pixels | mirrored))
        values = (part[rows, columns] for part in (phash, dhash, parts, pixels, copy, mirrored))
        found.append((i[rows], j[columns], *values))
    i, j, phash, dhash, parts, pixels, copy, mirrored = (np.concatenate(values) for values in zip(*found, strict=True))
    shares = np.array_split(np.arange(len(i)), workers)
    with ThreadPoolExecutor(workers) as pool:
        agreements = list(pool.map(lambda share: agreement(files.gray[i[share]], files.gray[j[share]]), shares))
    return Pairs(i, j, phash, dhash, parts, pixels, copy, mirrored, np.concatenate(agreements))


@dataclass(frozen=True)
class Truth:
    """Which of the pairs are right, and which are wrong: of different scenes, or only of different shots."""

    right: np.ndarray
    scenes: np.ndarray
    shots: np.ndarray
    change: np.ndarray
    """By number, of a right pair; 0 for none."""
    unchanged: np.ndarray
    """Of two originals."""

    def counts(self, found: np.ndarray) -> dict[str, int]:
        kinds = {"right": self.right, "scenes": self.scenes, "shots": self.shots}
        return {kind: int((found & of).sum()) for kind, of in kinds.items()}


def truth(subject: np.ndarray, pairs: Pairs) -> Truth:
    step = 1 + len(CHANGES)
    one, other = pairs.i // step, pairs.j // step
    right, alike = one == other, subject[one] == subject[other]
    unchanged = (pairs.i % step == 0) & (pairs.j % step == 0)
    return Truth(right, ~alike, alike & ~right, np.where(right, pairs.j % step, 0), unchanged)


def judged(subjects: dict[str, str], pairs: Pairs) -> dict[str, Any]:
    """Recall by change and tier, precision by tier, and both for other thresholds of the variant tier."""
    step = 1 + len(CHANGES)
    subject = np.unique(list(subjects.values()), return_inverse=True)[1]
    true = truth(subject, pairs)
    proposed = np.minimum(pairs.phash, pairs.dhash) <= PROPOSE
    by_parts = proposed | (pairs.parts <= PART)
    agreed = pairs.agreement >= ENOUGH
    tiers = {"pixels": pairs.pixels, "copy": pairs.copy, "variant": by_parts & agreed, "mirrored": pairs.mirrored}
    tiers["all"] = np.any(list(tiers.values()), axis=0)
    recall = {
        name: {
            column: round(float(flags[true.change == number].mean()), 3)
            for column, flags in ({"proposed": proposed, "by parts": by_parts, "agreed": agreed} | tiers).items()
        }
        for number, name in enumerate(CHANGES, 1)
    }
    changes, originals = (
        ["nothing", *CHANGES] * len(subjects),
        [Path(path).name for path in subjects for _ in range(step)],
    )
    same = sum(count * (count - 1) // 2 for count in np.bincount(subject).tolist())
    scenes = len(subject) * (len(subject) - 1) // 2 - same
    return {
        "originals": len(subjects),
        "files": len(subjects) * step,
        "pairs of scenes": {"originals": scenes, "files": scenes * step**2},
        "recall": recall,
        "found": {tier: true.counts(flags) for tier, flags in tiers.items()},
        "scenes by change": most(changes, pairs, tiers["variant"] & true.scenes),
        "shots by change": most(changes, pairs, tiers["variant"] & true.shots),
        "shots by original": most(originals, pairs, tiers["all"] & true.shots),
        "sweep": list(swept(pairs, true)),
    }


def most(names: Sequence[str], pairs: Pairs, of: np.ndarray) -> dict[str, int]:
    """How many of some pairs there are by names, whichever comes first: the most common."""
    named = (sorted((names[i], names[j])) for i, j in zip(pairs.i[of], pairs.j[of], strict=True))
    return dict(Counter(map(" with ".join, named)).most_common(6))


def swept(pairs: Pairs, true: Truth) -> Iterator[dict[str, Any]]:
    """The variant tier at other thresholds; shares are of what the copy tier misses of the changes it is meant for."""
    upright = [n for n, name in enumerate(CHANGES, 1) if not name.startswith(("turned", "mirrored", "screenshot"))]
    meant = np.isin(true.change, upright) & ~pairs.copy
    nearest = np.minimum(pairs.phash, pairs.dhash)
    tried = [
        (by, within, near <= within)
        for by, near in (("pHash", pairs.phash), ("dHash", pairs.dhash), ("either", nearest))
        for within in PROPOSALS
    ]
    tried += [
        (f"{by} {PROPOSE}, parts", within, (near <= PROPOSE) | (pairs.parts <= within))
        for by, near in (("pHash", pairs.phash), ("either", nearest))
        for within in PART_PROPOSALS
    ]
    for by, within, proposed in tried:
        yield {
            "by": by,
            "within": within,
            "proposed": round(float(proposed[meant].mean()), 3),
            "scenes": int((proposed & true.scenes).sum()),
            "scenes of originals": int((proposed & true.scenes & true.unchanged).sum()),
            "accepted": {
                least: {"recall": round(float((accepted & meant).sum() / meant.sum()), 3), **true.counts(accepted)}
                for least in ACCEPTED
                for accepted in [proposed & (pairs.agreement >= least)]
            },
        }


def markdown(result: dict[str, Any]) -> str:
    pairs = result["pairs of scenes"]
    lines = [
        f"{result['originals']} originals, {result['files']:,} files, {pairs['files']:,} pairs of other scenes.",
        f"copy: PDQ <= {COPY}, quality >= {QUALITY}. mirrored: PDQ, turned, <= {COPY}. proposed: pHash or dHash <=",
        f"{PROPOSE}. by parts: or pHash of a part <= {PART}. agreed: agreement >= {ENOUGH}, proposed or not.",
        "variant: by parts, and agreed.",
        "",
        *table(
            ["recall", *COLUMNS], [[name, *(share[at] for at in COLUMNS)] for name, share in result["recall"].items()]
        ),
        "",
        *table(
            ["found", "right", "other scenes", "other shots of a subject", "precision, shots apart"],
            [[tier, *n.values(), n["right"] / max(1, n["right"] + n["scenes"])] for tier, n in result["found"].items()],
        ),
        "",
        f"Other scenes, by change (variant): {said(result['scenes by change'])}.",
        f"Other shots, by change (variant): {said(result['shots by change'])}.",
        f"Other shots, by original (all): {said(result['shots by original'])}.",
        "",
        "The variant tier by thresholds. Shares are of what the copy tier misses of all changes but turned, mirrored,",
        f"screenshots. originals: pairs of originals of other scenes, unchanged, of {pairs['originals']:,}.",
        "",
        *table(
            ["by", "within", "proposed", "scenes", "originals", *(f">= {c}: recall, scenes, shots" for c in ACCEPTED)],
            [
                [row["by"], row["within"], row["proposed"], row["scenes"], row["scenes of originals"]]
                + [f"{n['recall']:.3f}, {n['scenes']}, {n['shots']}" for n in row["accepted"].values()]
                for row in result["sweep"]
            ],
        ),
        "",
        f"{result['seconds']} s",
    ]
    return "\n".join(lines)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of Markdown; shares have three decimals, and none is a dot."""
    shown = [
        [f"{cell:.3f}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else cell for cell in row]
        for row in rows
    ]
    body = ["| " + " | ".join("·" if cell == "0.000" else cell for cell in row) + " |" for row in shown]
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *body]


def said(counts: dict[str, int]) -> str:
    return "; ".join(f"{what}: {count:,}" for what, count in counts.items()) or "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--scenes", nargs="*", type=Path, default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    subjects = originals(arguments.folders, arguments.scenes)
    files = collected(list(subjects), arguments.workers)
    pairs = compared(files, arguments.workers)
    result = judged(subjects, pairs)
    result["seconds"] = round(time.perf_counter() - begun, 1)
    print(json.dumps(result, indent=1) if arguments.json else markdown(result))


if __name__ == "__main__":
    main()
