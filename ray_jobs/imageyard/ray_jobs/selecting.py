"""Conditions on samples, as people write them: `class == cat and tag "1girl" and not tags < 5`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.analysis.said import tags_in_order, training_text
from imageyard.ray_jobs.caption_text import bare, pieces_of
from imageyard.ray_jobs.origin import folders_of, names_of
from imageyard.ray_jobs.state import CAPTION, ONE_LABEL, RATING, SPLIT, TEXT
from imageyard.ray_jobs.tag_text import normal

LONGEST, DEEPEST, MOST = 2_000, 40, 100
"""Characters of a condition, parentheses in parentheses, and things that it asks of a sample."""

Test = Callable[[Sample], bool]
Fits = Callable[[str], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign>==|!=|>=|<=|[()<>=:])|"""
                    r"""(?P<word>[^\s()<>=!:"']+))""")  # fmt: skip
_NUMBERS = ("tags", "chars", "words", "tokens")
_TEXTS = ("tag", "caption", "text", "name", "folder", "class", "rating", "role")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}
HELP = (
    'write, for example: class == cat and (tag "1girl" or tag *_hair) and not tags < 5; there are tag, caption, text, '
    "name, folder, class, rating, role, label.<attribute>, the numbers tags, chars, words, tokens, and has caption"
)


@dataclass(frozen=True)
class Condition:
    """A condition that has been understood."""

    text: str
    matches: Test
    """Whether a sample meets it."""


@lru_cache(maxsize=64)
def condition(text: str) -> Condition:
    """The condition that `text` says. Raises ValueError: what was not understood, and what may be written.

    `tag`: one of its tags, or a piece of its caption where it has no tags, in any spelling. `caption`, `text`: words
    that stand in it, in this order. `name`, `folder`, `class`, `rating`, `role`: equal. `*` and `?` stand for any
    characters. `chars`, `words` and `tokens` (of CLIP) are of the text that training sees.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a condition has at most {LONGEST} characters, this one has {len(text)}")
    parser = _Parser(_tokens(text))
    found = parser.either(0)
    if parser.rest:
        raise ValueError(f"`{parser.rest[0][1]}` is not expected here; {HELP}")
    return Condition(text, found)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"`{text[at:].strip()[:20]}` is not understood; {HELP}")
        kind = str(token.lastgroup)
        said = token[kind]
        found.append((kind, re.sub(r"\\(.)", r"\1", said[1:-1]) if kind == "quoted" else said))
        at = token.end()
    return found


class _Parser:
    """Recursive descent over tokens; `rest` is what is not read yet."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.rest = tokens
        self._asked = 0

    def either(self, depth: int) -> Test:
        found = [self._both(depth)]
        while self._word("or"):
            found.append(self._both(depth))
        return found[0] if len(found) == 1 else lambda sample: any(test(sample) for test in found)

    def _both(self, depth: int) -> Test:
        found = [self._one(depth)]
        while self._word("and"):
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else lambda sample: all(test(sample) for test in found)

    def _one(self, depth: int) -> Test:
        self._asked += 1
        if self._asked > MOST:
            raise ValueError(f"a condition asks at most {MOST} things; ask for some of them with * and ?")
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} parentheses or nots in each other; write it plainer")
        if self._word("not"):
            inner = self._one(depth + 1)
            return lambda sample: not inner(sample)
        if self._sign("("):
            inner = self.either(depth + 1)
            if not self._sign(")"):
                raise ValueError(f"a parenthesis is not closed; {HELP}")
            return inner
        if self._word("has"):
            return _has(self._take("the name of an attribute, such as caption"))
        return self._test(self._take("a condition"))

    def _test(self, name: str) -> Test:
        field = name.lower()
        sign = next((sign for sign in (*_COMPARE, ":") if self._sign(sign)), "")
        if field in _NUMBERS:
            return _number(field, sign, self._take("a number"))
        if field not in _TEXTS and not field.startswith("label."):
            raise ValueError(f"`{name}` is nothing that a condition can ask for; {HELP}")
        if sign in (">", "<", ">=", "<="):
            raise ValueError(f"`{name}` is no number, so it cannot be compared by {sign}; {HELP}")
        test = _says(name if field.startswith("label.") else field, self._take(f"what {name} is compared with"))
        return (lambda sample: not test(sample)) if sign == "!=" else test

    def _word(self, word: str) -> bool:
        if self.rest and self.rest[0][0] == "word" and self.rest[0][1].lower() == word:
            self.rest = self.rest[1:]
            return True
        return False

    def _sign(self, sign: str) -> bool:
        if self.rest and self.rest[0] == ("sign", sign):
            self.rest = self.rest[1:]
            return True
        return False

    def _take(self, what: str) -> str:
        if not self.rest or self.rest[0][0] == "sign":
            raise ValueError(f"{what} is missing; {HELP}")
        self.rest, said = self.rest[1:], self.rest[0][1]
        return said


def _number(field: str, sign: str, said: str) -> Test:
    try:
        wanted = float(said)
    except ValueError:
        raise ValueError(f"`{field}` is compared with a number, not with {said!r}; {HELP}") from None
    if sign not in _COMPARE:
        raise ValueError(f"`{field}` needs one of {', '.join(_COMPARE)} before {said}; {HELP}")
    compare = _COMPARE[sign]
    return lambda sample: compare(_count(field, sample), wanted)


def _count(field: str, sample: Sample) -> float:
    if field == "tags":
        return len(_tags(sample))
    text = training_text(sample).text
    if field == "tokens":
        return _tokens_of(text)
    return len(text) if field == "chars" else len(text.split())


@lru_cache(maxsize=4)
def _tokens_of(text: str) -> int:
    from imageyard.ray_jobs.analysis.clip_tokens import counted

    return counted(text)


@lru_cache(maxsize=4)
def _normal_once(text: str) -> str:
    """A condition asks many things of one text, one after the other."""
    return normal(text)


def _tags(sample: Sample) -> list[str]:
    """The tags, or the pieces of the caption where there are none."""
    caption = sample.value(CAPTION)
    return tags_in_order(sample) or ([bare(piece) for piece in pieces_of(caption)] if isinstance(caption, str) else [])


def _has(name: str) -> Test:
    return lambda sample: sample.value(name) not in (None, "", [])


def _says(field: str, wanted: str) -> Test:
    if field == "tag":
        means = _fits(normal(wanted))
        return lambda sample: any(means(normal(bare(tag))) for tag in _tags(sample))
    if field in (CAPTION, TEXT):
        said = _phrase(normal(wanted))
        return lambda sample: said(_normal_once(str(sample.value(field) or "")))
    fits = _fits(wanted)
    if field == "name":
        return lambda sample: any(fits(one) for name in names_of(sample) for one in (name, _file(name)))
    if field == "folder":
        return lambda sample: any(fits(folder) for folder in folders_of(sample))
    if field == "class":
        return lambda sample: any(fits(name) for name in classes_of(sample))
    if field == "role":
        return lambda sample: fits(str(sample.value(SPLIT) or "unsplit"))
    attribute = RATING if field == RATING else field.partition(".")[2]
    return lambda sample: fits(_said(sample, attribute))


def classes_of(sample: Sample) -> list[str]:
    """The classes a sample has, whoever says so, but its rating."""
    kinds = {name: sample.metadata(name) or {} for name in sample.label_names if name != RATING}
    single = (said for said in kinds.values() if str(said.get("type", "")).lower() == ONE_LABEL)
    return [str(said["class-name"]) for said in single if "class-name" in said]


def _said(sample: Sample, attribute: str) -> str:
    value = (sample.metadata(attribute) or {}).get("class-name", sample.value(attribute))
    return "" if value is None else str(value)


def _fits(wanted: str) -> Fits:
    """Whether a name is the wanted one, or fits its wildcards; what `[` begins is no wildcard."""
    if "*" not in wanted and "?" not in wanted:
        return lambda said: said == wanted
    # Not fnmatchcase, which keeps 32,768 expressions, whoever wrote them.
    matches = re.compile(translate(wanted.replace("[", "[[]"))).match
    return lambda said: said == wanted or matches(said) is not None


def _phrase(wanted: str) -> Fits:
    """Whether words with wildcards stand in a line of a text, in this order, the outer ones as whole words.

    Every part is looked for from where the one before was first found, and never again from elsewhere: the time grows
    with the length of the text. One expression for the whole would take the square of it, while nothing else runs.
    """
    parts = [re.escape(part).replace(r"\?", ".") for part in wanted.split("*")]
    if len(parts) == 1:
        whole = re.compile(rf"(?<!\w){parts[0]}(?!\w)")
        return lambda text: whole.search(text) is not None
    first = rf"(?<!\w){parts[0]}" if parts[0] else ""
    last = rf"{parts[-1]}(?!\w)" if parts[-1] else ""
    searches = [re.compile(part).search for part in (first, *parts[1:-1], last) if part]

    def stands(line: str) -> bool:
        at = 0
        for search in searches:
            found = search(line, at)
            if found is None:
                return False
            at = found.end()
        return True

    return lambda text: any(stands(line) for line in text.split("\n"))


def _file(name: str) -> str:
    return name.rpartition("/")[2]
