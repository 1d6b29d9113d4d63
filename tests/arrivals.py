"""What people drop while machines die: pictures, copies, broken files, and the messages S3 would send of them."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

import pictures
from imageyard.manifests import Dataset, Store
from imageyard.manifests.version import ROLES, Version


@dataclass(frozen=True)
class Upload:
    """One object for the drop folder."""

    name: str
    data: bytes

    @property
    def content(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def uploads(count: int, *, seed: int = 0) -> list[Upload]:
    """`count` objects in no order: of fifty, one is a copy, one cannot be read, some have odd names."""
    chance = random.Random(seed)
    made: list[Upload] = []
    for at in range(count):
        folder = f"day {at % 7}/cäts+dogs" if at % 10 == 0 else f"day-{at % 7}"
        name = f"{folder}/IMG_{at:05d}.jpg"
        if at % 50 == 17:
            made.append(Upload(name, made[chance.randrange(at)].data))
        elif at % 50 == 33:
            made.append(Upload(name, b"<html>not a picture %d</html>" % at))
        else:
            made.append(Upload(name, pictures.photo(seed=seed * 1_000_000 + at, size=(72, 64))))
    chance.shuffle(made)
    return made


def message(store: Store, bucket: str, key: str, *, late: int = 0) -> str:
    """The body that S3 would send of the object at `key`, which a redelivery repeats."""
    entry = store.head(key)
    path = store.address(key).removeprefix(f"s3://{bucket}/")
    made = {"bucket": {"name": bucket}, "object": {"key": quote_plus(path, safe="/"), "size": entry.size}}
    made["object"]["eTag"] = entry.etag.strip('"')
    made["object"]["sequencer"] = f"{int(entry.modified.timestamp() * 1000) + late:016X}"
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": made}
    return json.dumps({"Records": [record]})


def deliveries(bodies: Sequence[str], chance: random.Random) -> Iterator[str]:
    """The same messages as a queue may deliver them: one in twenty lost, one in ten twice, out of order."""
    out = []
    for body in bodies:
        fate = chance.random()
        out += [] if fate < 0.05 else [body, body] if fate < 0.15 else [body]
    chance.shuffle(out)
    yield from out


def accounted(dataset: Dataset, version: Version, dropped: Sequence[Upload]) -> list[str]:
    """What is wrong with a version that must hold every upload once, as one sample or one rejection."""
    lines: Counter[str] = Counter()
    names: Counter[str] = Counter()
    home: dict[str, str] = {}
    for role in ROLES:
        for sample in dataset.read(version, role):
            lines[sample.key] += 1
            for origin in sample.value("origin") or ():
                names[str(origin["name"])] += 1
                home[str(origin["name"])] = role
    wrong = [f"{key} has {count} lines" for key, count in lines.items() if count != 1]
    for upload in dropped:
        if names[upload.name] != 1:
            wrong.append(f"{upload.name} is named by {names[upload.name]} lines")
        elif (home[upload.name] == "rejected") != upload.data.startswith(b"<html>"):
            wrong.append(f"{upload.name} is in {home[upload.name]}")
    strangers = names.keys() - {upload.name for upload in dropped}
    return wrong + [f"{name} was never dropped" for name in sorted(strangers)]
