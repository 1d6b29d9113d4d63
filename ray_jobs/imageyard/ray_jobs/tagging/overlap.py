"""Overlap: general tags that a more specific one says already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from imageyard.ray_jobs.tag_text import normal

_NEGATIONS = frozenset(["no", "not", "without"])
"""First words of tags that deny what their other words say: `no shirt` is no `shirt`."""

IMPLICATIONS: Mapping[str, Sequence[str]] = {
    "absurdly long hair": ["very long hair"],
    "animal ear fluff": ["animal ears"],
    "anklet": ["jewelry"],
    "baseball cap": ["hat"],
    "beanie": ["hat"],
    "beret": ["hat"],
    "bikini": ["swimsuit"],
    "blazer": ["jacket"],
    "bracelet": ["jewelry"],
    "cat ears": ["animal ears"],
    "cityscape": ["city"],
    "cumulonimbus cloud": ["cloud"],
    "denim shorts": ["denim"],
    "dog ears": ["animal ears"],
    "double bun": ["hair bun"],
    "earrings": ["jewelry"],
    "fedora": ["hat"],
    "forest": ["nature"],
    "fox ears": ["animal ears"],
    "grin": ["smile"],
    "hair bow": ["hair ornament"],
    "hair flower": ["hair ornament"],
    "hair ribbon": ["hair ornament"],
    "hairclip": ["hair ornament"],
    "horse ears": ["animal ears"],
    "kitchen": ["indoors"],
    "loafers": ["shoes"],
    "microskirt": ["skirt"],
    "miniskirt": ["skirt"],
    "multiple braids": ["braid"],
    "necklace": ["jewelry"],
    "night sky": ["night"],
    "pencil skirt": ["skirt"],
    "rabbit ears": ["animal ears"],
    "ring": ["jewelry"],
    "school swimsuit": ["one-piece swimsuit"],
    "smirk": ["smile"],
    "sneakers": ["shoes"],
    "starry sky": ["star (sky)"],
    "sundress": ["dress"],
    "turtleneck sweater": ["turtleneck"],
    "twin braids": ["braid"],
    "very short hair": ["short hair"],
    "wolf ears": ["animal ears"],
}
"""Tags with what they imply, as on boorus; a small table, which recipes extend."""


class Implications:
    """What tags imply, by table, all the way down; names in any spelling."""

    def __init__(self, more: Mapping[str, Collection[str]]) -> None:
        direct: dict[str, set[str]] = {}
        for table in (IMPLICATIONS, more):
            for tag, implied in table.items():
                direct.setdefault(normal(tag), set()).update(map(normal, implied))
        self._implied = {tag: _with_tails(_reached([tag], direct)) for tag in direct}
        every = {tag: _with_tails({tag, *implied}) for tag, implied in self._implied.items()}
        self._circular = any(tag in _reached(self._implied[tag], every) for tag in direct)

    def said_already(self, forms: Iterable[str]) -> set[str]:
        """Of one image's tags, in normal form and by falling score, those that others imply by the table, or end in.

        Words count whole and in order: `white shirt` says `shirt`, and `chair` does not say `hair`. Of tags that say
        each other, in a circle, the first stays.
        """
        here = dict.fromkeys(forms)
        said = {form: [one for one in (*_tails(form), *self._implied.get(form, ())) if one in here] for form in here}
        gone = {one for form, others in said.items() for one in others if one != form}
        while self._circular and (lost := gone - _reached(here.keys() - gone, said)):
            gone.remove(next(form for form in here if form in lost))
        return gone


def _reached(tags: Iterable[str], direct: Mapping[str, Iterable[str]]) -> set[str]:
    """All that is said by one of `tags`, or by what these say, as `direct` has it."""
    found: set[str] = set()
    open_ends = list(tags)
    while open_ends:
        for implied in direct.get(open_ends.pop(), ()):
            if implied not in found:
                found.add(implied)
                open_ends.append(implied)
    return found


def _with_tails(tags: set[str]) -> set[str]:
    return tags.union(*map(_tails, tags))


@lru_cache(maxsize=65536)
def _tails(form: str) -> tuple[str, ...]:
    words = form.split()
    if len(words) < 2 or words[0] in _NEGATIONS:
        return ()
    return tuple(" ".join(words[at:]) for at in range(1, len(words)))
