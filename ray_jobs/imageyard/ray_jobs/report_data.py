"""What a job report is written from: plain frozen values that the job has already measured, decided and sampled."""

from dataclasses import dataclass

__all__ = ["Picture", "Rejection", "Report"]


@dataclass(frozen=True)
class Rejection:
    """Why one picture is out.

    `reason` is a sentence with the measured value and the threshold; `kept` is the sha256 of the picture kept in its
    place and `distance` their Hamming distance in bits of 256, both only for duplicates.
    """

    check: str
    reason: str
    step: str
    kept: str | None
    distance: int | None


@dataclass(frozen=True)
class Picture:
    """One picture of a contact sheet.

    `name` is the one people know, `thumbnail` a JPEG of at most 160 px a side, `width` and `height` the picture's own
    pixels, `role` one of train, validation, test, unsplit, rejected; `tags` come by falling score.
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


@dataclass(frozen=True)
class Report:
    """What one job did, in the order in which it is told.

    `created` is ISO 8601 in UTC and `recipe` its YAML. `tags` holds every tag by falling count; `labels` the count per
    role of each class. `sizes` (width, height) and the three lists of pictures may be samples: `shown` has the totals
    behind `kept`, `rejected` and `duplicates` (groups), so that the page can say "48 of 1,204". `distances` are those
    of near-duplicate edges and `within` the largest that counted as one, in bits of 256. `funnel` names the stages
    from what was found to what is unique; where it is empty, those counts that have a stage's name stand in for it.
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
    duplicates: tuple[tuple[Picture, tuple[Picture, ...]], ...]
    waiting: tuple[tuple[str, str], ...]
    shown: tuple[int, int, int]
    within: int | None = None
    funnel: tuple[tuple[str, int], ...] = ()
