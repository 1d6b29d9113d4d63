"""How a report looks and moves: its colours, style sheet and script, with the policy that lets nothing else run."""

import base64
import hashlib

from imageyard.ray_jobs.report_charts import ROLES

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
}
"""Text stands in ink, soft or link on page, panel or well (4.5:1 at least); the rest colours shapes on panel (3:1)."""


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
 padding:.8rem 1rem .75rem;display:flex;flex-direction:column-reverse}
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

.find{position:sticky;top:0;z-index:3;display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:center;
 background:var(--page);padding:.7rem 0;margin-top:.6rem;border-bottom:1px solid var(--line)}
.find input{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--soft);border-radius:8px;
 padding:.35rem .7rem;flex:1 1 16rem;max-width:30rem;min-width:0}
.find input::placeholder{color:var(--soft);opacity:1}
.sheet{margin-top:1.8rem}.sheet+.panels{margin-top:2rem}
.sheet>h2{font-size:1.25rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.4rem,1fr));gap:.9rem}
.card{background:var(--panel);border:1px solid var(--line);border-radius:8px;overflow:hidden;display:flex;
 flex-direction:column;min-width:0;font-size:.86rem;line-height:1.4}
.thumb{display:grid;place-items:center;aspect-ratio:1;position:relative;background:var(--well);cursor:zoom-in;color:var(--soft);
 text-decoration:none;flex:none;text-align:center}
.thumb:focus-visible{outline-offset:-3px}
.thumb img{display:block;position:absolute;inset:0;width:100%;height:100%;object-fit:contain}
.about{padding:.55rem .7rem .6rem;display:flex;flex-direction:column;gap:.22rem;min-width:0;flex:1}
.name{font-weight:600;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.mini{color:var(--soft);font-size:.8rem;display:flex;flex-wrap:wrap;gap:0 .8em}
.mini>*{white-space:nowrap;max-width:100%;overflow:hidden;text-overflow:ellipsis}
.caption,.why{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;overflow:hidden}
.why{-webkit-line-clamp:5}
.tags{display:flex;flex-wrap:wrap;gap:.2rem .25rem;font-size:.78rem}
.tags li{background:var(--well);border-radius:4px;padding:.02rem .38rem;max-width:100%;overflow-wrap:anywhere}
.tags span{color:var(--soft);margin-inline-start:.35em}
.card details{margin-top:auto;padding-top:.15rem}
.card dt{color:var(--soft);font-size:.76rem}.card dd{overflow-wrap:anywhere;font-size:.8rem;margin-bottom:.2rem}
code,pre,.hex{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.84em}
.check b{font-weight:600}.check .dot{background:var(--rejected)}
.card:target{outline:2px solid var(--link)}
.card:target{grid-column:1/-1}
.card:target .thumb{aspect-ratio:auto;padding:1rem}.card:target img{position:static;width:min(100%,32rem);height:auto}
.card:target :is(.name,.caption,.why){white-space:normal;-webkit-line-clamp:none}

.pairs{display:flex;flex-wrap:wrap;gap:1rem}
.pair{max-width:100%;padding:.6rem .8rem .8rem;background:var(--panel);border:1px solid var(--line);border-radius:10px}
.sides{display:flex;gap:.9rem}
.pair .card{border:0;border-radius:0;width:10.2rem}.pair .thumb{border-radius:6px;overflow:hidden}
.pair .about{padding:.5rem 0 0}
.pair .card:target{width:min(32rem,78vw)}
.side{display:flex;flex-direction:column;gap:.3rem;min-width:0}.side>ul{flex:1;display:flex;flex-wrap:wrap;gap:.9rem}
.side.kept:not(:last-child){flex:0 1 auto;min-width:11.1rem;padding-inline-end:.9rem;
 border-inline-end:1px solid var(--line)}
.side .label{font-size:.8rem;color:var(--soft)}
.part{margin-top:1.2rem}.part h3{font-size:.98rem;margin-bottom:.5rem}
.part h3 .soft{font-weight:400}
.conflict .pair{border-color:var(--rejected);border-inline-start-width:4px}
.finding{font-weight:600;margin-bottom:.3rem;inline-size:0;min-inline-size:100%}
.near,.pair>.check{font-size:.86rem;line-height:1.4}.near .bar{height:.32rem;margin:.15rem 0 .25rem;max-width:10.2rem}
.proof{font-size:.88rem;margin-top:.3rem}
.inner{display:flex;flex-wrap:wrap;gap:.1rem 1.6rem}.inner div{display:flex;gap:.5rem;min-width:0}
.inner dt{color:var(--soft);flex:none;max-width:min(12rem,40vw)}
.mark{position:absolute;scroll-margin-top:5rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--well);border-radius:8px;padding:.8rem 1rem;
 line-height:1.5}
footer{margin-top:2.5rem;color:var(--soft);font-size:.82rem}

dialog{border:1px solid var(--line);border-radius:12px;padding:0;background:var(--panel);color:var(--ink);
 width:min(60rem,94vw);max-height:92vh}
dialog::backdrop{background:rgb(0 0 0/.62)}
dialog .card{border:0;border-radius:0;flex-direction:row;flex-wrap:wrap;font-size:.95rem;outline:0}
dialog .thumb{aspect-ratio:auto;flex:3 1 18rem;padding:1rem;cursor:default}
dialog .thumb img{position:static;width:100%;height:auto;max-height:72vh}
dialog .about{flex:2 1 16rem;padding:1.1rem 1.3rem;gap:.5rem}
dialog :is(.name,.caption,.why,.mini>*){white-space:normal;-webkit-line-clamp:none;overflow-wrap:anywhere}
dialog .card details{margin-top:0}dialog summary{display:none}
.turn{display:flex;gap:.5rem;padding:.6rem 1rem;border-top:1px solid var(--line);position:sticky;bottom:0;
 background:var(--panel)}
.turn button{font:inherit;color:inherit;background:var(--well);border:1px solid var(--line);border-radius:7px;
 padding:.25rem .9rem;cursor:pointer}
.turn button:last-child{margin-inline-start:auto}

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
    + _RULES.replace("TONES\n", _TONES).replace("LIGHT_VARIABLES", _variables(LIGHT))
)

SCRIPT = """
"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const cards = all(".card");
  const units = all(".cards>.card,.pair").map((unit) => [unit, unit.textContent.toLowerCase()]);
  const find = document.querySelector(".find");
  if (find) {
    const input = find.querySelector("input"), said = find.querySelector("output");
    const apply = () => {
      const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
      for (const [unit, text] of units) unit.hidden = !words.every((word) => text.includes(word));
      const sheets = all(".sheet,.part");
      for (const sheet of sheets) sheet.hidden = false;
      for (const sheet of sheets) {
        const inside = all(".card", sheet);
        sheet.hidden = words.length > 0 && inside.every((card) => card.closest("[hidden]"));
      }
      const shown = cards.filter((card) => !card.closest("[hidden]")).length;
      said.textContent = words.length ? `${shown} of ${cards.length} pictures` : "";
    };
    find.hidden = false;
    input.addEventListener("input", apply);
    apply();
  }
  const box = document.createElement("dialog"), place = document.createElement("div");
  const turn = document.createElement("div");
  turn.className = "turn";
  box.setAttribute("aria-label", "Picture");
  box.append(place, turn);
  let at = 0;
  const show = (card) => {
    const copy = card.cloneNode(true);
    copy.removeAttribute("id");
    const link = copy.querySelector(".thumb"), still = document.createElement("div");
    still.className = "thumb";
    still.append(...link.childNodes);
    link.replaceWith(still);
    for (const more of all("details", copy)) more.open = true;
    place.replaceChildren(copy);
    at = cards.indexOf(card);
    if (!box.open) box.showModal();
  };
  const step = (by) => {
    for (let i = 1; i <= cards.length; i++) {
      const next = cards[(at + by * i + cards.length * i) % cards.length];
      if (!next.closest("[hidden]")) return show(next);
    }
  };
  for (const [name, act] of [["Previous", () => step(-1)], ["Next", () => step(1)], ["Close", () => box.close()]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", act);
    turn.append(button);
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
  });
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => cards[at]?.querySelector(".thumb").focus());
  document.body.append(box);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.thumb");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.closest(".card"));
  });
})();
"""

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
    + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
"""The content security policy: no request leaves the page, and of all scripts only SCRIPT runs."""
