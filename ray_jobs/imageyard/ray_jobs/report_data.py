"""What a job report is written from: plain frozen values that the job has already measured, decided and sampled."""

from dataclasses import dataclass

from imageyard.ray_jobs.analysis.caption_numbers import CaptionNumbers
from imageyard.ray_jobs.analysis.coverage import Coverage
from imageyard.ray_jobs.analysis.tag_numbers import TagNumbers
from imageyard.ray_jobs.likeness import Apart
from imageyard.ray_jobs.report_split import Certified
from imageyard.ray_jobs.rewording import Rewording

__all__ = ["Alike", "Apart", "Box", "Picture", "Rejection", "Report", "Reworded", "Rewording", "Rewordings", "Totals"]


@dataclass(frozen=True)
class Rejection:
    """Why one picture is out.

    `reason` is a sentence with the measured value and the threshold; `kept` is the sha256 of the picture kept in its
    place, `apart` how far they are apart, and `because` what that one has before it, as `it holds more real pixels`:
    all only for duplicates.
    """

    check: str
    reason: str
    step: str
    kept: str | None = None
    apart: Apart | None = None
    because: str = ""


@dataclass(frozen=True)
class Box:
    """What is seen where: sides as parts of the picture's width and height, 0 to 1, from its top left corner."""

    label: str
    left: float
    top: float
    width: float
    height: float
    score: float | None = None


@dataclass(frozen=True)
class Picture:
    """One picture of a contact sheet.

    `name` is the one people know, `thumbnail` a JPEG of at most 160 px a side, `width` and `height` the picture's own
    pixels, `role` one of train, validation, test, unsplit, rejected; `tags` come by falling score, 0 where there is
    none, and `people` are those of them that a person gave. `also` are the other names under which the same file was
    dropped; `rating` is a name and a score; of `boxes` there are `boxes_more` that are not among them.
    """

    name: str
    sha256: str
    source_ref: str
    thumbnail: bytes | None
    width: int | None
    height: int | None
    role: str
    caption: str | None
    tags: tuple[tuple[str, float], ...]
    label: str | None
    rejection: Rejection | None
    also: tuple[str, ...] = ()
    people: frozenset[str] = frozenset()
    rating: tuple[str, float] | None = None
    boxes: tuple[Box, ...] = ()
    boxes_more: int = 0


@dataclass(frozen=True)
class Reworded:
    """One picture with those of its texts that are not what they were."""

    picture: Picture
    rewordings: tuple[Rewording, ...]


@dataclass(frozen=True)
class Rewordings:
    """How texts differ from those of version `older`, or where that is None, what they are; pictures kept alone.

    `changed` counts the pictures whose texts are other ones, `fresh` those that have texts and are new. `members` are
    (member, texts that came, that changed, that went); `came` and `went` are (tag, pictures), the most frequent first,
    and may be the beginnings of longer lists. `shown` is a sample, the changed before the fresh.
    """

    older: int | None
    changed: int = 0
    fresh: int = 0
    members: tuple[tuple[str, int, int, int], ...] = ()
    came: tuple[tuple[str, int], ...] = ()
    went: tuple[tuple[str, int], ...] = ()
    shown: tuple[Reworded, ...] = ()


@dataclass(frozen=True)
class Alike:
    """Pictures that are shown side by side because they are alike.

    `dropped` gave way to the first of `kept`, unless `classes` says that people put the pictures into several: then
    the whole group stands here. `apart` is between the two that were both kept, or the picture and the one in `other`,
    a version of another dataset. `more` counts the dropped ones that are not shown.
    """

    kept: tuple[Picture, ...]
    dropped: tuple[Picture, ...] = ()
    more: int = 0
    apart: Apart | None = None
    classes: tuple[str, ...] = ()
    other: str = ""


@dataclass(frozen=True)
class Totals:
    """How many there are of what a report may show a sample of."""

    kept: int = 0
    rejected: int = 0
    conflicts: int = 0
    duplicates: int = 0
    likenesses: int = 0
    foreign: int = 0


@dataclass(frozen=True)
class Report:
    """What one job did, in the order in which it is told.

    `created` is ISO 8601 in UTC and `recipe` its YAML. `tags` holds every tag by falling count; `labels` the count
    per role of each class. `sizes` (width, height) and the lists of pictures may be samples: `shown` has the totals
    behind `kept`, `rejected`, and of what is alike, `conflicts` (in their labels), `duplicates` (a kept one and the
    dropped), `likenesses` (both kept) and `foreign` (in other datasets), so that the page can say "48 of 1,204".
    `distances` are those of dropped copies and `within` the largest that counted as one, in bits of 256. `promises`
    are sentences on the search for duplicates; `rewordings` is None where no picture has a text. Of `counted`
    pictures, `per_image` are (tags, images that have so many), rising; `tag_numbers`, `caption_numbers` and
    `coverage` are None where nothing was counted. `split` is what the split certified, in sentences
    below headings. `funnel` names the stages from what was found to what is unique; where it is empty, those counts
    that have a stage's name stand in.
    """

    dataset: str
    version: int | None
    parent: int | None
    job: str
    created: str
    recipe: str
    counts: tuple[tuple[str, int], ...]
    rejected_by_check: tuple[tuple[str, int], ...]
    roles: tuple[tuple[str, int], ...]
    tags: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    sizes: tuple[tuple[int, int], ...]
    distances: tuple[int, ...]
    work: tuple[tuple[str, float], ...]
    kept: tuple[Picture, ...]
    rejected: tuple[Picture, ...]
    duplicates: tuple[Alike, ...]
    waiting: tuple[tuple[str, str], ...]
    shown: Totals
    within: int | None = None
    funnel: tuple[tuple[str, int], ...] = ()
    conflicts: tuple[Alike, ...] = ()
    likenesses: tuple[Alike, ...] = ()
    foreign: tuple[Alike, ...] = ()
    promises: tuple[str, ...] = ()
    split: Certified = ()
    rewordings: Rewordings | None = None
    counted: int | None = None
    per_image: tuple[tuple[int, int], ...] = ()
    tag_numbers: TagNumbers | None = None
    caption_numbers: CaptionNumbers | None = None
    coverage: Coverage | None = None
