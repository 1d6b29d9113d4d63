"""The images that something is true of: how many, and the names of the first few."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = 20
"""Names kept of the images that one thing is true of."""


@dataclass(frozen=True)
class Affected:
    """How many images, and what the first of them are called, in the order of the manifest."""

    images: int = 0
    names: tuple[str, ...] = ()
    """At most NAMES, as `origin.called` says them."""


class Tally:
    """An `Affected` that still grows."""

    __slots__ = ("_names", "images")

    def __init__(self) -> None:
        self.images = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        """One more image."""
        self.images += 1
        if len(self._names) < NAMES:
            self._names.append(name)

    def done(self) -> Affected:
        return Affected(self.images, tuple(self._names))
