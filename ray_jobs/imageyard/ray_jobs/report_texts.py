"""The texts of a report: each caption, tag list and training text beside what it was in the version before."""

from collections.abc import Sequence
from dataclasses import replace

from imageyard.ray_jobs.report_cards import card
from imageyard.ray_jobs.report_data import Picture, Report, Reworded, Rewording, Rewordings
from imageyard.ray_jobs.report_sections import Section
from imageyard.ray_jobs.report_text import number, plural, text
from imageyard.ray_jobs.rewording import Compared, Kind, compared

_MARKS: dict[Kind, tuple[str, str]] = {
    "same": ("", ""),
    "went": ("<del>", "</del>"),
    "came": ("<ins>", "</ins>"),
    "moved": ('<span class="moved">', "</span>"),
}
_CALLED = {"tags": "tags", "caption": "caption", "text": "training text"}


def texts(report: Report) -> Section:
    """Pictures whose texts are other ones than in the parent, with what went and what came."""
    found = report.rewordings
    if found is None or not found.shown:
        return "texts", "Texts", ""
    name = "Texts" if found.older is None else f"Texts since version {number(found.older)}"
    units = "".join(_unit(one, found, f"text-{index}") for index, one in enumerate(found.shown))
    return (
        "texts",
        f'Texts <span class="soft">{number(found.changed + found.fresh)}</span>',
        f'<section class="sheet" id="texts"><h2>{name}</h2><p class="lead">{_lead(found)}</p>{_counts(found)}'
        f'<ul class="pairs retold">{units}</ul></section>',
    )


def _lead(found: Rewordings) -> str:
    shown = f"{number(len(found.shown))} of {number(max(len(found.shown), found.changed + found.fresh))} shown"
    if found.older is None:
        return f"There is no version before this one: texts of {plural(found.fresh, 'picture')}, {shown}."
    parts = [
        f"{plural(found.changed, 'picture')} of that version {'says' if found.changed == 1 else 'say'} other words"
    ]
    if found.fresh:
        parts.append(f"{plural(found.fresh, 'picture')} with texts came")
    return f"{'; '.join(parts)}; {shown}."


def _counts(found: Rewordings) -> str:
    """By member how many texts came, changed and went, and the tags that did."""
    rows = "".join(
        f'<tr><th scope="row" class="u">{text(_CALLED.get(name, name))}</th><td class="num">{number(changed)}</td>'
        f'<td class="num">{number(came)}</td><td class="num">{number(went)}</td></tr>'
        for name, came, changed, went in found.members
    )
    heads = "".join(f'<th scope="col" class="num">{name}</th>' for name in ("changed", "new", "removed"))
    table = f'<table><thead><tr><th scope="col">Pictures by text</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    moves = (
        _moves("Tags that came", "ins", found.came),
        _moves("Tags that went", "del", found.went),
    )
    drawn = (f'<div class="tally">{table}</div>' if rows else "") + "".join(moves)
    return f'<div class="moves">{drawn}</div>' if drawn else ""


def _moves(name: str, mark: str, tags: Sequence[tuple[str, int]]) -> str:
    chips = "".join(f'<li><{mark} class="u">{text(tag)}</{mark}> {number(count)}</li>' for tag, count in tags)
    return f'<div><h3>{name}</h3><ul class="chips">{chips}</ul></div>' if chips else ""


def _unit(one: Reworded, found: Rewordings, key: str) -> str:
    said = "".join(_wording(wording, found.older) for wording in one.rewordings)
    return (
        f'<li class="pair"><ul class="one">{card(_alone(one.picture), key=key)}</ul>'
        f'<div class="wordings">{said}</div></li>'
    )


def _alone(picture: Picture) -> Picture:
    """The picture without the texts that stand beside it."""
    return replace(picture, caption=None, tags=(), people=frozenset(), also=())


def _wording(wording: Rewording, older: int | None) -> str:
    sides = compared(wording)
    name = text(_CALLED.get(wording.member, wording.member))
    head = f'<h4 class="u">{name}</h4>'
    if wording.before is None:
        new = "" if older is None else "new"
        return f'<section class="wording">{head}{_side(new, wording.after_by, sides, after=True, plain=True)}</section>'
    was = _side(f"version {number(older or 0)}", wording.before_by, sides, after=False)
    if wording.after is None:
        return f'<section class="wording">{head}{was}<p class="soft">removed</p></section>'
    now = _side("now", wording.after_by, sides, after=True)
    return f'<section class="wording">{head}<div class="two">{was}{now}</div></section>'


def _side(label: str, by: str, sides: Compared, *, after: bool, plain: bool = False) -> str:
    """One side with its parts marked; `plain` where there is nothing to compare it with."""
    parts = sides.after if after else sides.before
    shown = [(("same" if plain else kind), part) for kind, part in parts]
    rest = "…" if sides.cut else ""
    if sides.tags:
        chips = "".join(f"<li>{_marked(kind, part)}</li>" for kind, part in shown)
        said = f'<ul class="chips">{chips}{f"<li>{rest}</li>" if rest else ""}</ul>' if chips else _NOTHING
    else:
        said = f'<p class="u">{_run(shown)}{rest}</p>' if shown else _NOTHING
    who = f'<span class="soft u">by {text(by)}</span>' if by else ""
    return f'<div><p class="label">{f"<b>{label}</b> " if label else ""}{who}</p>{said}</div>'


_NOTHING = '<p class="soft">nothing</p>'


def _marked(kind: Kind, part: str) -> str:
    start, end = _MARKS[kind]
    return f'<span class="u">{start}{text(part)}{end}</span>'


def _run(parts: Sequence[tuple[Kind, str]]) -> str:
    """Words as running text: words beside each other that went or came are marked as one."""
    runs: list[tuple[Kind, list[str]]] = []
    for kind, word in parts:
        if runs and runs[-1][0] == kind:
            runs[-1][1].append(word)
        else:
            runs.append((kind, [word]))
    return " ".join(f"{_MARKS[kind][0]}{text(' '.join(words))}{_MARKS[kind][1]}" for kind, words in runs)
