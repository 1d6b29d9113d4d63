"""How a report looks: its colours, and the style sheet that uses them."""

from imageyard.ray_jobs.report_charts import ROLES
from imageyard.ray_jobs.report_style_cards import CARDS
from imageyard.ray_jobs.report_style_plots import PLOTS
from imageyard.ray_jobs.report_style_texts import TEXTS

LIGHT = {
    "page": "#f6f5f1",
    "panel": "#ffffff",
    "well": "#efede7",
    "ink": "#1d1c1a",
    "soft": "#625e57",
    "line": "#dedad1",
    "link": "#0b6069",
    "kept": "#56707c",
    "train": "#2f6f9f",
    "validation": "#b0740a",
    "test": "#7d55a6",
    "unsplit": "#7f7a71",
    "rejected": "#b5432f",
    "duplicate": "#9a6a4a",
    "lost": "#d9d4c8",
    "gone": "#f8d9d2",
    "come": "#cfead8",
}
DARK = {
    "page": "#151514",
    "panel": "#1e1e1c",
    "well": "#292826",
    "ink": "#ebe8e1",
    "soft": "#aba69b",
    "line": "#363530",
    "link": "#6cc5cd",
    "kept": "#8aa4b0",
    "train": "#68a8d6",
    "validation": "#dca03a",
    "test": "#b493da",
    "unsplit": "#98938a",
    "rejected": "#e67b67",
    "duplicate": "#c99a78",
    "lost": "#45433d",
    "gone": "#5b2b23",
    "come": "#1d4a33",
}
"""Text stands in ink, soft or link on page, panel or well, in ink on gone or come (4.5:1 at least); the rest colours
shapes on panel (3:1)."""


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


_RULES = """
*,*::before,*::after{box-sizing:border-box}
[hidden]{display:none!important}
html{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
 background:var(--page);color:var(--ink);-webkit-text-size-adjust:100%;scroll-padding-top:4.5rem}
body{margin:0 auto;max-width:78rem;padding:0 1.5rem 4rem;font-variant-numeric:tabular-nums}
h1,h2,h3,p,ul,dl,dd,figure,table,pre{margin:0;padding:0}
ul{list-style:none}
a{color:var(--link);text-underline-offset:.18em;text-decoration-thickness:1px}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--panel);padding:.5rem 1rem;z-index:9}
.soft{color:var(--soft)}
.u{unicode-bidi:isolate;overflow-wrap:anywhere}

header{padding:2.5rem 0 1.5rem}
.brand{font-size:.8rem;letter-spacing:.08em;text-transform:uppercase;color:var(--soft)}
h1{font-size:clamp(1.7rem,4.5vw,2.6rem);line-height:1.15;letter-spacing:-.02em;font-weight:650;margin:.35rem 0 .6rem}
.facts{display:flex;flex-wrap:wrap;gap:.15rem 1.6rem}
.facts div{display:flex;gap:.45rem;min-width:0}
.facts dt{color:var(--soft)}
.facts dd{font-weight:550}

nav{border-block:1px solid var(--line);padding:.55rem 0;margin-bottom:1.5rem}
nav ul{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem}
nav a{color:var(--soft);text-decoration:none;font-size:.87rem}nav a:hover{color:var(--ink);text-decoration:underline}

.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.2rem,1fr));background:var(--panel);
 border:1px solid var(--line);border-radius:10px;overflow:hidden;margin-bottom:1rem}
.tiles div{border:solid var(--line);border-width:0 1px 1px 0;margin:0 -1px -1px 0;
 padding:.8rem 1rem .75rem;display:flex;flex-direction:column-reverse;justify-content:flex-end}
.tiles dt{color:var(--soft);font-size:.86rem;line-height:1.3}
.tiles dd{font-size:1.65rem;line-height:1.25;font-weight:600;letter-spacing:-.015em}

.panels{display:flex;flex-wrap:wrap;gap:1rem;align-items:stretch}
.panel{flex:1 1 24rem;min-width:0;background:var(--panel);border:1px solid var(--line);border-radius:10px;
 padding:1.1rem 1.25rem 1.2rem}
.panel.wide{flex-basis:42rem;flex-grow:2}
.panel.full{flex-basis:100%}
.stack{flex:1 1 24rem;min-width:0;display:flex;flex-direction:column;gap:1rem}.stack .panel{flex:1 1 auto}
h2{font-size:1.02rem;font-weight:640;letter-spacing:-.005em;line-height:1.35}
.lead{color:var(--soft);font-size:.88rem;margin-top:.1rem;max-width:62ch}
h2+*,.lead+*{margin-top:.8rem}h2+.lead{margin-top:.1rem}
h3{font-size:.88rem;font-weight:600;line-height:1.4;margin-bottom:.3rem}
.pieces{display:flex;flex-wrap:wrap;gap:1.2rem 2rem}
.pieces>*{flex:1 1 15rem;min-width:0}
.pieces>figure{flex:1.15 1 18rem;max-width:27rem}

table{border-collapse:collapse;width:100%;font-size:.9rem}
th{font-weight:400;text-align:start;vertical-align:top}
thead th{color:var(--soft);font-size:.8rem;white-space:nowrap;padding-bottom:.2rem}
td,tbody th{padding:.17rem 0;vertical-align:top}
td+td,th+td,td+th,th+th{padding-inline-start:.8rem}
.num{text-align:end;white-space:nowrap}
.bars tbody th{white-space:nowrap}
.bars tbody th>.u{display:inline-block;vertical-align:top;white-space:normal;width:max-content;max-width:11rem}
.bars .grow{width:99%;min-width:3.5rem}
.quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.bar{display:block;width:100%;height:.72rem;margin-top:.32rem;border-radius:2px;overflow:hidden}
.bar rect{stroke:var(--panel);stroke-width:1}
.scroll{overflow-x:auto}
.fill{display:flex;flex-direction:column}.same{flex:1;gap:0 2rem}
.same tbody th>.u{width:7.6rem}.same td.num{min-width:3.4rem}
.rows td,.rows tbody th{padding-block:.35rem;border-top:1px solid var(--line);overflow-wrap:anywhere}
.rows tbody th{min-width:7rem}
.stages small{display:block;font-size:.8rem;color:var(--soft)}
.stages tr>*{padding-block:.32rem}.stages .bar{height:1.2rem;margin-top:.05rem}.stages .num b{font-weight:600}
.key{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.9rem;margin-top:.35rem}
.dot{display:inline-block;width:.6em;height:.6em;border-radius:50%;margin-inline-end:.4em;background:var(--unsplit)}

.chart{display:block;width:100%;height:auto;font-size:12px;max-width:30rem}
.chart text{fill:var(--soft);font-family:inherit}
.chart .on{fill:var(--ink);stroke:var(--panel);stroke-width:4px;paint-order:stroke;stroke-linejoin:round}
.chart .grid{stroke:var(--line);fill:none}.chart .axis{stroke:var(--soft)}
.chart .guide{stroke:var(--soft);stroke-dasharray:2 4;fill:none}
.chart .limit{stroke:var(--rejected);stroke-width:1.5;stroke-dasharray:5 3}
.chart circle{fill:var(--kept);fill-opacity:.45;stroke:var(--kept)}
.c-kept{fill:var(--kept)}.c-lost{fill:var(--lost)}.c-duplicate{fill:var(--duplicate)}
TONES
details summary{cursor:pointer;color:var(--soft);font-size:.82rem;width:fit-content}
details[open]>summary{margin-bottom:.3rem}
.data{margin-top:.4rem}.data table{width:auto}
"""

_MEDIA = """
@media (max-width:40rem){
 html{font-size:14.5px}body{padding:0 .9rem 3rem}header{padding-top:1.5rem}
 .panel{padding:.95rem 1rem 1.05rem;flex-basis:100%}
 .tiles{grid-template-columns:repeat(auto-fit,minmax(6.6rem,1fr))}.tiles dd{font-size:1.4rem}
 .cards{grid-template-columns:repeat(2,minmax(0,1fr));gap:.6rem}
 .pair{flex:1 1 100%}.side,.side.kept:not(:last-child){flex:1 1 0;min-width:0;border:0;padding:0}.pair .card{width:100%}
 .side:only-child>ul{display:grid;grid-template-columns:repeat(2,minmax(0,1fr))}
 .side.kept>ul{flex:none;position:sticky;top:4.5rem}
 .stages tbody th{white-space:normal;min-width:6rem}.bars tbody th>.u{max-width:8rem}
 nav ul{flex-wrap:nowrap;overflow-x:auto}nav a{white-space:nowrap}
}
@media print{
 :root{LIGHT_VARIABLES--page:#fff;--panel:#fff;color-scheme:light}
 html{font-size:9.5pt}body{max-width:none;padding:0 1px}
 nav,.find,.skip,.card details,details.data:not([open]){display:none!important}
 header{padding-top:0}
 .panel,.card,.pair,.tiles,tr{break-inside:avoid}h2,h3,.lead{break-after:avoid}
 .cards{grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:.5rem}.pair .card{width:8rem}
 a{color:inherit;text-decoration:none}
 .tags li,.dot,.thumb{print-color-adjust:exact;-webkit-print-color-adjust:exact}
 @page{margin:14mm}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
"""

_TONES = "".join(f".c-{role}{{fill:var(--{role})}}.dot.c-{role}{{background:var(--{role})}}\n" for role in ROLES)

STYLE = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}\n"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    + _RULES.replace("TONES\n", _TONES)
    + CARDS
    + PLOTS
    + _MEDIA.replace("LIGHT_VARIABLES", _variables(LIGHT))
    + TEXTS
)
