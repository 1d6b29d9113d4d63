"""Where an image came from: the drop-folder objects a sample was made of, which are its ledger."""

from __future__ import annotations

from collections.abc import Iterator

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.state import CAPTION, CUSTOM, ORIGIN, Stamp, labelled
from imageyard.ray_jobs.steps.merging import unmerged

DROP = "drop/"
INSTEAD = "instead-of"
"""Member of a caption's metadata: the drop-folder object whose caption a person has replaced by it."""
STEP = "ingest"
"""The step that says all of this."""
NEWER = "superseded-by"
"""Member of an origin: the key of the sample that came under the same name later."""


def folders_of(sample: Sample) -> list[str]:
    """The first-level folders of the drop folder that an image came in, the eldest first."""
    parts = (name.split("/") for name in names_of(sample))
    return list(dict.fromkeys(part[0] for part in parts if len(part) > 1 and part[0]))


def captioned(sample: Sample, text: str, source: tuple[str, str], stamp: Stamp) -> Sample:
    """`sample` with a person's caption, from the drop-folder object `source`, a (key, ETag).

    Unchanged if it has another one that came under another name: people's words are not written over.
    """
    key, etag = source
    name = key.removeprefix(DROP)
    if text:
        sample = unmerged(sample, (CAPTION,))  # its own words come before those of a copy
    if not text or caption_name(sample) not in (None, name):
        return sample
    said: dict[str, Json] = {"human-annotated": "yes", ORIGIN: {"name": name, "etag": etag}}
    return labelled(sample, CAPTION, text, stamp.metadata(CUSTOM, STEP, **said))


def caption_name(sample: Sample) -> str | None:
    """The name of the object that a person's caption came from, "" for one that did not come by the drop folder."""
    metadata = sample.metadata(CAPTION) or {}
    if metadata.get("human-annotated") != "yes":
        return None
    origin = metadata.get(ORIGIN)
    return str(origin["name"]) if isinstance(origin, dict) else ""


def names_of(sample: Sample) -> list[str]:
    """The names under which an image was dropped, relative to the drop folder; the first is the eldest."""
    return [str(origin["name"]) for origin in _origins(sample)]


def held_names(sample: Sample) -> list[str]:
    """Those of its names under which nothing else has come since."""
    return [str(origin["name"]) for origin in _origins(sample) if NEWER not in origin]


def successor(sample: Sample) -> tuple[str, str] | None:
    """(name, key of the newer sample) where every name of an image was overwritten with another, the eldest name's;
    None while it holds a name, or never had one."""
    origins = _origins(sample)
    if not origins or any(NEWER not in origin for origin in origins):
        return None
    return str(origins[0]["name"]), str(origins[0][NEWER])


def called(sample: Sample) -> str:
    """What people know an image by: the name it was first dropped under, else its URL."""
    return next(iter(names_of(sample)), sample.source_ref)


def called_briefly(sample: Sample) -> str:
    """The same, else the beginning of its key, where a URL would be too long."""
    return next(iter(names_of(sample)), sample.key[:12])


def ledger(sample: Sample) -> Iterator[tuple[str, str]]:
    """The drop-folder objects, as (key, ETag), that a sample was made from: its images and its caption, that
    which a person has replaced too.

    Not those that were overwritten since: should one of them lie there again, it has come again.
    """
    origins = [origin for origin in _origins(sample) if NEWER not in origin]
    captioned_by = sample.metadata(CAPTION) or {}
    captions = [said for said in (captioned_by.get(ORIGIN), captioned_by.get(INSTEAD)) if isinstance(said, dict)]
    for origin in [*origins, *captions]:
        yield DROP + str(origin["name"]), str(origin["etag"])


def _origins(sample: Sample) -> list[dict[str, Json]]:
    value = sample.value(ORIGIN)
    return [dict(origin) for origin in value] if isinstance(value, list) else []


def named(sample: Sample, key: str, etag: str, stamp: Stamp) -> Sample:
    """Record under which name, and as which object, the content came; the pair's date stays that of the first."""
    name = key.removeprefix(DROP)
    origins = _origins(sample)
    known = next((origin for origin in origins if origin["name"] == name), None)
    if known is None:
        origins.append({"name": name, "etag": etag})
    else:
        known["etag"] = etag
        known.pop(NEWER, None)
    return _with_origins(sample, origins, stamp)


def overwritten(sample: Sample, name: str, newer: str, stamp: Stamp) -> Sample:
    """Record that the sample of key `newer` has come under a name that `sample` came under before."""
    origins = _origins(sample)
    for origin in origins:
        if origin["name"] == name:
            origin[NEWER] = newer
    return _with_origins(sample, origins, stamp)


def _with_origins(sample: Sample, origins: list[dict[str, Json]], stamp: Stamp) -> Sample:
    metadata = stamp.metadata(CUSTOM, STEP)
    before = sample.metadata(ORIGIN)
    if before is not None:
        metadata["creation-date"] = before.get("creation-date")
    return labelled(sample, ORIGIN, origins, metadata)
