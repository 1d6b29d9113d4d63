"""The frame of a report's sections: panels beside each other, sheets of pictures, and what the contents call them."""

from collections.abc import Sequence

from imageyard.ray_jobs.report_text import number

Section = tuple[str, str, str]
"""The id of a section, its name in the contents, and its HTML; a section without HTML is not shown."""


def html(sections: Sequence[Section]) -> str:
    """The sections themselves, one after the other."""
    return "".join(drawn for _, _, drawn in sections)


def stack(sections: Sequence[Section]) -> str:
    """The sections on top of each other in the place of one."""
    drawn = html(sections)
    return f'<div class="stack">{drawn}</div>' if drawn else ""


def panels(drawn: str) -> str:
    """Drawn panels beside each other as far as they fit."""
    return f'<div class="panels">{drawn}</div>' if drawn else ""


def panel(key: str, name: str, body: str, *, lead: str = "", size: str = "") -> Section:
    """A figure with its heading; `lead` is HTML, `size` the CSS classes wide, full or fill."""
    said = f'<p class="lead">{lead}</p>' if lead else ""
    drawn = f'<section class="panel {size}" id="{key}"><h2>{name}</h2>{said}{body}</section>' if body else ""
    return key, name, drawn


def sheet(key: str, name: str, body: str, *, shown: int, total: int, what: str) -> Section:
    """Pictures over the whole width, `shown` of `total`."""
    if not body:
        return key, name, ""
    count = f"{number(shown)} of {number(max(shown, total))}"
    drawn = f'<section class="sheet" id="{key}"><h2>{name}</h2><p class="lead">{count} {what}</p>{body}</section>'
    return key, f'{name} <span class="soft">{number(max(shown, total))}</span>', drawn
