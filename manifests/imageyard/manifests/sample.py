"""One image and what is said about it: one line of a Ground Truth manifest, changed only where asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed does not list it
from typing import Any, cast

import orjson

from imageyard.manifests.errors import ManifestError

Json = Any
"""A parsed JSON value; the parser is the one place where its type cannot be known."""

CONTENT = "content-sha256"
"""The member that holds the sha256 (hex) of the image's bytes: what an image is known by, wherever it lies."""

_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str)
_BLANK = b" \t\r\n"


class Sample:
    """One line. Reading parses it; a change returns a new sample in which every other byte is the same."""

    __slots__ = ("_data", "line")

    line: bytes
    """The JSON object as it stands in the manifest, UTF-8, without a line break."""

    def __init__(self, line: bytes) -> None:
        """`line` is taken as it is; use `Sample.parse` for lines that nobody has checked."""
        self.line = line
        self._data: dict[str, Json] | None = None

    @classmethod
    def parse(cls, line: bytes, *, where: str = "line") -> Sample:
        """The sample of `line`; raises ManifestError, beginning with `where`, if it is not one."""
        sample = cls(line)
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ManifestError(f"{where}: not a JSON object on one line ({error})") from error
        if not isinstance(data, dict):
            raise ManifestError(f"{where}: a JSON {type(data).__name__}, not an object; each line is one object")
        if "source-ref" not in data and "source" not in data:
            raise ManifestError(f"{where}: no source-ref; each line needs one, such as s3://bucket/key.jpg")
        if "source-ref" in data and not isinstance(data["source-ref"], str):
            raise ManifestError(f"{where}: source-ref is {data['source-ref']!r}, not the URL of an object")
        sample._data = data
        return sample

    @classmethod
    def of(cls, source_ref: str, **members: Json) -> Sample:
        """A new sample of `source_ref` with further members in the order given."""
        return cls(orjson.dumps({"source-ref": source_ref, **members}))

    @property
    def data(self) -> Mapping[str, Json]:
        """The parsed line; not to be changed."""
        if self._data is None:
            self._data = cast(dict[str, Json], orjson.loads(self.line))
        return self._data

    @property
    def source_ref(self) -> str:
        """The URL of the image."""
        return str(self.data.get("source-ref") or self.data.get("source"))

    @property
    def key(self) -> str:
        """What identifies the sample in its dataset, and orders manifests: its content's sha256, or else a digest of
        its reference."""
        content = self.data.get(CONTENT)
        return str(content) if content else hashlib.sha256(self.source_ref.encode()).hexdigest()

    @property
    def label_names(self) -> list[str]:
        """Names of the label attributes: members that have a `-metadata` sibling, in line order."""
        return [key for key in self.data if f"{key}-metadata" in self.data]

    def value(self, name: str) -> Json:
        """The value of a member, or None."""
        return self.data.get(name)

    def metadata(self, name: str) -> Mapping[str, Json] | None:
        """The metadata object of label attribute `name`, or None."""
        found = self.data.get(f"{name}-metadata")
        return found if isinstance(found, dict) else None

    def with_label(self, name: str, value: Json, metadata: Mapping[str, Json]) -> Sample:
        """A sample with the pair `name` and `name-metadata` set; an older pair of that name is replaced."""
        return self._changed({name: orjson.dumps(value), f"{name}-metadata": orjson.dumps(metadata)})

    def with_member(self, name: str, value: Json) -> Sample:
        """A sample with one plain member set."""
        return self._changed({name: orjson.dumps(value)})

    def without(self, *names: str) -> Sample:
        """A sample without these members and their metadata."""
        gone = {key: None for name in names for key in (name, f"{name}-metadata") if key in self.data}
        return self._changed(gone) if gone else self

    def forget(self) -> Sample:
        """The same sample holding its bytes alone; it parses again when it is next read."""
        self._data = None
        return self

    def _changed(self, changes: Mapping[str, bytes | None]) -> Sample:
        if all(change is not None and key not in self.data for key, change in changes.items()):
            body = self.line.rstrip(_BLANK)[:-1].rstrip(_BLANK)
            added = b",".join(orjson.dumps(key) + b":" + cast(bytes, raw) for key, raw in changes.items())
            return Sample(body + (b"" if body.endswith(b"{") else b",") + added + b"}")
        return Sample(_spliced(self.line.decode(), changes).encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and other.line == self.line

    def __hash__(self) -> int:
        return hash(self.line)

    def __repr__(self) -> str:
        return f"Sample({self.source_ref})"


def _spliced(text: str, changes: Mapping[str, bytes | None]) -> str:
    """`text` with members set or (None) removed; keys and values of the others are kept as written."""
    kept: list[str] = []
    pending = dict(changes)
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        start = at
        key, at = scanstring(text, at + 1)
        at = _skip(text, _skip(text, at) + 1)
        value_at = at
        _, at = _SCANNER.raw_decode(text, at)
        if key not in changes:
            kept.append(text[start:at])
        else:
            raw = pending.pop(key, None)
            if raw is not None:
                kept.append(text[start:value_at] + raw.decode())
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    kept.extend(f"{orjson.dumps(key).decode()}:{raw.decode()}" for key, raw in pending.items() if raw is not None)
    return "{" + ",".join(kept) + "}"


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at
