"""What is alike, as a person judges it: images, pairs and groups of them, with how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass

from imageyard.manifests.version import Role

_SHARES = {"variant": "agreement", "semantic": "cosine"}


@dataclass(frozen=True)
class Apart:
    """How far apart two images are, and from where on that would not have counted."""

    tier: str
    distance: float
    """Bits of 256 (copy, mirrored), 1 - agreement (variant), 1 - cosine (semantic), 0 (pixels)."""
    threshold: float
    """The largest distance that counts, in the same unit."""

    @property
    def doubt(self) -> float:
        """The distance as a share of the threshold: 0 for the same picture, 1 for one that only just counts."""
        if self.threshold:
            return self.distance / self.threshold
        return float(self.distance > 0)

    @property
    def words(self) -> str:
        """`12 of 31 bits`, `agreement 0.93 (0.9 or more)`."""
        unit, far = _SHARES.get(self.tier), self.distance > self.threshold
        if self.tier == "pixels":
            return "equal pixels"
        if unit is None:
            return (
                f"{self.distance:g} bits, more than {self.threshold:g}"
                if far
                else (f"{self.distance:g} of {self.threshold:g} bits")
            )
        said, least = (f"{round(1 - value, 4):g}" for value in (self.distance, self.threshold))
        return f"{unit} {said}, less than {least}" if far else f"{unit} {said} ({least} or more)"


@dataclass(frozen=True)
class Dropped:
    """Why an image gave way to another one."""

    witness: str
    """sha256 of the one that is kept."""
    apart: Apart
    because: str
    """What the kept one has before it, as `it holds more real pixels`; "" in a record that does not say."""


@dataclass(frozen=True)
class Member:
    """An image of a group."""

    key: str
    names: tuple[str, ...]
    """Under which it was dropped, the eldest first; its URL if it was not."""
    role: Role
    label: str
    """The class that a person gave it, as `class_of` says it."""
    reason: str
    """Of its rejection; "" if it is kept."""
    dropped: Dropped | None

    @property
    def name(self) -> str:
        return self.names[0]


@dataclass(frozen=True)
class Pair:
    """Two images, by sha256, and what was measured between them."""

    first: str
    second: str
    apart: Apart


@dataclass(frozen=True)
class Group:
    """Images that are joined by a chain of pairs; or two likenesses that are joined by nothing else."""

    members: tuple[Member, ...]
    """The kept ones, then the dropped ones, the nearest to their witness first."""
    alike: tuple[Pair, ...]
    """Pairs of which both are kept."""
    classes: tuple[str, ...]
    """If people put its images into several classes, these: then somebody is wrong. Else none."""

    @property
    def kept(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.role != "rejected")

    @property
    def dropped(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.dropped is not None)

    @property
    def aparts(self) -> tuple[Apart, ...]:
        """All that its members and pairs say."""
        dropped = tuple(member.dropped.apart for member in self.members if member.dropped is not None)
        return dropped + tuple(pair.apart for pair in self.alike)

    @property
    def doubt(self) -> float:
        return max((apart.doubt for apart in self.aparts), default=0.0)


@dataclass(frozen=True)
class Foreign:
    """An image that is in a version of another dataset too."""

    member: Member
    version: str
    """As `s3://bucket/eval@12`."""
    other: str
    """sha256 of the image there."""
    apart: Apart


@dataclass(frozen=True)
class Duplicates:
    """All that a version says is alike."""

    groups: tuple[Group, ...]
    """Label conflicts first, then those with the most doubtful pair, then the largest; likenesses by meaning last."""
    foreign: tuple[Foreign, ...]
    asked: bool
    """Whether the version's recipe has a dedup step; without one, what is there an earlier recipe decided."""
    conflicts: int
    """Label conflicts, also those of which the certificate names no image."""
