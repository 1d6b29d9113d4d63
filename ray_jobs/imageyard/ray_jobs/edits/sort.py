"""Sort: the order of tags, with the first ones and the trigger words held in their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field

from imageyard.ray_jobs.caption_text import same_as
from imageyard.ray_jobs.edits.base import About, Edit, Words
from imageyard.ray_jobs.edits.wording import Piece, Wording
from imageyard.ray_jobs.state import CAPTION, TAGS, State, World


class Sort(Edit):
    """Tags and captions that are lists of tags; sentences stay as they are."""

    kind: ClassVar[str] = "sort"
    shorthand: ClassVar[str] = "by"
    counting: ClassVar[bool] = True

    on: Words = (TAGS, CAPTION)
    by: Literal["alphabetical", "score", "frequency"] = "score"
    """`score`: falling, pieces without one last, in their order; `frequency`: in how many images, falling."""
    reverse: bool = False
    hold: int = Field(default=0, ge=0)
    """How many pieces at the beginning stay where they are, as kohya's keep_tokens counts them."""
    most: int | None = Field(default=None, ge=1)
    """Pieces that are kept, trigger words not counted; the others go."""

    def decide(self, state: State, world: World) -> State:
        state = super().decide(state, world)
        if self.by != "frequency" or self.most is None:
            return state
        return super().decide(state, world)  # what went counts no longer

    def edited(self, words: Wording, about: About) -> Wording:
        """The words in order."""
        if words.prose:
            return words
        places = [at for at, piece in enumerate(words.pieces) if at >= self.hold and not words.held(piece)]
        key = self._key(about)
        free = sorted((words.pieces[at] for at in places), key=key, reverse=self.reverse)
        pieces = list(words.pieces)
        for at, piece in zip(places, free, strict=True):
            pieces[at] = piece
        if self.most is not None:
            spare = [at for at, piece in enumerate(pieces) if not words.held(piece)][self.most :]
            gone = set(spare)
            pieces = [piece for at, piece in enumerate(pieces) if at not in gone]
        return words.having(pieces)

    def _key(self, about: About) -> Callable[[Piece], Any]:
        if self.by == "score":
            return lambda piece: (piece.score is None, -(piece.score or 0.0))
        if self.by == "frequency":
            return lambda piece: (-about.counts[same_as(piece.text)], same_as(piece.text))
        return lambda piece: same_as(piece.text)
