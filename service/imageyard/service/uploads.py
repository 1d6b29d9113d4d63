"""Names under which files may be dropped, and what kind of file a name says."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 512
"""Bytes of a name in UTF-8; with the dataset's prefix it stays below the 1,024 of an S3 key."""
DEEPEST = 8
IMAGES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "avif": "image/avif",
}
CAPTIONS = {"txt": "text/plain", "caption": "text/plain"}
CAPTION_BYTES = 1024 * 1024
# Path separators of other systems, wildcards, what shells, templates and S3's own ${filename} would act on, and what a
# URL would read as another character.
_BAD = re.compile(r"[\\\"<>|*?:;`${}\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")


def fault_of_name(name: str) -> str | None:
    """What is wrong with `name` as the name of a dropped file, below `drop/`; None if nothing is."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not Unicode text"
    if not 0 < size <= LONGEST:
        return f"must have 1 to {LONGEST} bytes"
    if unicodedata.normalize("NFC", name) != name:
        return "must be in Unicode's normal form C"
    if _BAD.search(name) or any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for char in name):
        return "has a character that file names may not have here"
    segments = name.split("/")
    if len(segments) > DEEPEST:
        return f"may have {DEEPEST - 1} folders"
    if any(segment in ("", ".", "..") for segment in segments):
        return "has an empty, '.' or '..' segment"
    if any(segment != segment.strip() or segment.startswith(".") for segment in segments):
        return "has a segment that begins with a dot or a blank, or ends with one"
    if kind_of(name) is None:
        return f"must end with one of {', '.join('.' + ending for ending in (*IMAGES, *CAPTIONS))}"
    return None


def kind_of(name: str) -> str | None:
    """The media type that the ending of `name` says, None if none of ours."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return IMAGES.get(ending) or CAPTIONS.get(ending)
