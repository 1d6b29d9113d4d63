"""A model that lies in an object store, copied to this machine once for each content it ever had."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imageyard.manifests.errors import ModelError, StoreError
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs.ordered import ordered

RECORD = ".mirror.json"
"""In a copy: where it came from, and the key, size in bytes and ETag of every object."""
DEPTH = 2
"""Names in a key: the files of the folder, and those of folders in it."""
MOST_FILES = 1000
MOST_BYTES = 128 * 2**30
PART = 8 * 2**20
"""Bytes fetched at a time."""
SIDE_BY_SIDE = 4
"""Parts fetched at once; with PART, what a copy takes of memory."""
DIGITS = 16
"""Of a digest, in the name of a copy."""
ABANDONED = 24 * 3600
"""Seconds after which what an interrupted copy left is taken away."""
_SAFE = re.compile(r"[^\x00-\x1f\x7f/\\:]+")


def is_address(model: str) -> bool:
    """Whether `model` is the URL of a store."""
    return "://" in model


def name_of(url: str) -> str:
    """The last name in the path of `url`: what a model is called that lies there. Raises ModelError without one."""
    try:
        path = urlsplit(url).path
    except ValueError as error:
        raise ModelError(f"{url}: not a URL ({error})") from error
    name = unquote(path).rstrip("/").rpartition("/")[2]
    if not _harmless(name) or name.startswith("."):
        raise ModelError(f"{url}: names no folder of a model; write one, such as s3://bucket/models/my-tagger")
    return name


def mirrored(url: str, folder: Path, *, wanted: Sequence[str] = ("*",)) -> Path:
    """A folder in `folder` with the objects below `url` whose keys match one of the patterns `wanted`.

    Of the folder at `url` and the folders directly in it: `model.onnx` is that of the first, `*.onnx` all of both.
    Hidden files stay where they are. Only what is not in
    `folder` yet is copied: a copy's name says the URL and every object's size and ETag, so that a changed object
    makes another copy and the content of one never changes. A copy appears whole or not at all. Safe if several
    processes do it at once: one copies, all get its folder.

    Raises ModelError: the URL, and what to do.
    """
    name = name_of(url)
    url = url.rstrip("/")
    try:
        store = _opened(url)
        entries = to_copy(url, store.list(), wanted)
        said = {"url": url, "objects": [[entry.key, entry.size, entry.etag] for entry in entries]}
        text = json.dumps(said, indent=1, ensure_ascii=False)
        place = folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"
        if _holds(place, text):
            return place
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder):
            if not _holds(place, text):
                _copy(store, entries, place, text)
    except StoreError as error:
        raise ModelError(f"{url}: the model cannot be copied from there ({error})") from error
    except OSError as error:
        raise ModelError(
            f"{url}: the model cannot be written to {folder.absolute()} ({error}); make room there, or allow it"
        ) from error
    return place


def _opened(url: str) -> Store:
    parts = urlsplit(url)
    if parts.scheme == "file" and not Path(unquote(parts.path)).is_dir():  # opening it as a store would make it
        raise ModelError(f"{url}: there is no such folder; put the model there, or correct the URL")
    return Store.open(url)


def to_copy(url: str, listed: Iterable[Entry], wanted: Sequence[str]) -> list[Entry]:
    """The objects that `mirrored` copies, in the order of their keys. Raises ModelError: none, too many, odd keys."""
    found: dict[str, Entry] = {}
    for count, entry in enumerate(listed, start=1):
        if count > MOST_FILES:
            raise ModelError(f"{url}: more than {MOST_FILES} objects lie there; name the folder of one model")
        names = entry.key.split("/")
        if len(names) > DEPTH or not any(fnmatchcase(entry.key, pattern) for pattern in wanted):
            continue
        if not names[-1] and not entry.size:  # how some tools mark a folder
            continue
        if not all(_harmless(part) for part in names):
            raise ModelError(f"{url}: the key {entry.key!r} cannot be a file's name; rename or remove that object")
        if not any(part.startswith(".") for part in names):
            found[entry.key] = entry
    folders = {key.rpartition("/")[0] for key in found}
    entries = [entry for key, entry in sorted(found.items()) if entry.size or key not in folders]
    if not entries:
        such = "" if tuple(wanted) == ("*",) else f" called {' or '.join(wanted)}"
        raise ModelError(f"{url}: there is no file{such} in it; put the model's files there, or correct the URL")
    total = sum(entry.size for entry in entries)
    if total > MOST_BYTES:
        raise ModelError(
            f"{url}: its files have {total / 2**30:.0f} GiB, more than the {MOST_BYTES / 2**30:.0f} GiB that "
            "are copied; name the folder of one model, without its checkpoints"
        )
    return entries


def _harmless(name: str) -> bool:
    """Whether a file of that name lies in the folder that it is put into."""
    return name not in (".", "..") and _SAFE.fullmatch(name) is not None


def _holds(place: Path, text: str) -> bool:
    try:
        return (place / RECORD).read_text(encoding="utf-8") == text
    except FileNotFoundError:
        return False


def _copy(store: Store, entries: Iterable[Entry], place: Path, text: str) -> None:
    """Make `place` with the objects `entries` and the record `text`."""
    _sweep(place)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
        made = Path(temporary) / place.name
        made.mkdir()
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="model-copy") as pool:
            for entry in entries:
                _copy_one(store, entry, made / entry.key, pool)
        _write(made / RECORD, [text.encode()])
        try:
            made.rename(place)
        except OSError:
            if not _holds(place, text):  # else another process won
                raise


def _copy_one(store: Store, entry: Entry, path: Path, pool: ThreadPoolExecutor) -> None:
    path.parent.mkdir(exist_ok=True)

    def part(at: int) -> bytes:
        return store.get_range(entry.key, at, min(PART, entry.size - at))

    _write(path, ordered(pool, part, range(0, entry.size, PART), ahead=SIDE_BY_SIDE))
    now = store.head(entry.key)
    if (now.size, now.etag) != (entry.size, entry.etag) or path.stat().st_size != entry.size:
        raise ModelError(f"{store.address(entry.key)}: changed while it was copied; start again when it is all there")


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("xb") as stream:
        for data in parts:
            stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sweep(place: Path) -> None:
    """Take away what copies of this model that were killed left beside `place`."""
    ours = re.compile(re.escape(f".{place.name[:-DIGITS]}") + f"[0-9a-f]{{{DIGITS}}}" + r"\.[a-z0-9_]{8}")
    for left in place.parent.iterdir():
        if not ours.fullmatch(left.name):
            continue
        with suppress(FileNotFoundError):  # it is being taken away
            if time.time() - max(path.stat().st_mtime for path in (left, *left.rglob("*"))) > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One copy at a time into `folder`, as far as its file system can lock: without, several do the same work."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
