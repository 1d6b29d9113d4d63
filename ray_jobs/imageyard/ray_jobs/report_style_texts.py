"""The style of texts in a report: what lies over pictures, and captions beside what they were."""

TEXTS = """
.shot{position:relative;overflow:hidden;flex:none}
.look{display:block;position:absolute;inset:0;overflow:hidden}
.over{position:absolute;inset:auto 0 0;max-height:100%;display:flex;flex-direction:column-reverse;overflow:auto;
 background:rgb(12 12 12/.78);color:#fff;font-size:.78rem;line-height:1.5;pointer-events:none;
 transition:opacity .15s;color-scheme:dark}
.over details{pointer-events:auto}
.over:has(details[open]){flex-direction:column;pointer-events:auto;background:rgb(12 12 12/.88)}
.over summary{color:#fff;padding:.3rem .55rem;font-size:.76rem;width:auto}.over details[open]>summary{margin:0}
.over :focus-visible{outline-color:#fff;outline-offset:-3px}
.tags{display:grid;gap:1px}
.tags li{display:flex;gap:.5em;align-items:baseline;padding:.06rem .55rem;min-width:0;
 background:linear-gradient(to right,#20646d var(--s),transparent var(--s))}
.tags .given{background-image:linear-gradient(to right,#85560f var(--s),transparent var(--s))}
.tags span{flex:1;min-width:0;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.tags b{font-weight:600;font-size:.9em}.tags i{font-style:normal}
.over details span{white-space:normal}.over p{padding:.1rem .55rem .3rem}
.boxes{position:absolute;inset:0;width:100%;height:100%;pointer-events:none}
.boxes rect{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}
.boxes .under{stroke:#000;stroke-opacity:.65;stroke-width:4.5}
.boxes text{font-size:58px;font-weight:600;font-family:inherit;fill:#fff;stroke:#000;stroke-opacity:.8;
 stroke-width:14px;paint-order:stroke;stroke-linejoin:round}
.boxes tspan{display:none}dialog .boxes tspan{display:inline}
.hue-0{stroke:#ffd24a}.hue-1{stroke:#63d2ff}.hue-2{stroke:#ff8fa3}.hue-3{stroke:#8ee07f}.hue-4{stroke:#d3a4ff}
.hue-5{stroke:#ffab5e}
.rating{border:1px solid var(--line);border-radius:4px;padding:0 .35em}
.veiled .look>*{filter:blur(1.1rem) saturate(.4)}
.veiled:is(:hover,:focus-within,:target) .look>*,:root:has(#see-unsafe:checked) .veiled .look>*{filter:none}
:root:has(#see-tags:not(:checked)) .over,:root:has(#see-boxes:not(:checked)) .boxes{display:none}
.see{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;margin-top:1.4rem;font-size:.9rem}
.see label{display:flex;gap:.45em;align-items:center;padding:.35rem 0;cursor:pointer}
.see input{width:1.1rem;height:1.1rem;margin:0;accent-color:var(--link)}

dialog .shot{flex:3 1 18rem;display:flex;flex-direction:column;background:var(--well);overflow:visible}
dialog .look{position:relative;inset:auto;width:100%}
dialog .boxes text{font-size:26px;stroke-width:7px}
dialog .over{position:static;display:block;max-height:none;background:#1b1b1a;pointer-events:auto;font-size:.86rem;
 padding:.3rem 0;opacity:1}
dialog .tags{grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:1px 1rem}
dialog .tags span{white-space:normal;overflow-wrap:anywhere}
.card:target .look{position:relative;inset:auto}

.moves{display:flex;flex-wrap:wrap;gap:1rem 2.4rem;margin-bottom:1.1rem}
.moves>*{flex:1 1 18rem;min-width:0}.moves>.tally{flex:0 1 22rem}
.moves td,.moves tbody th{border-top:1px solid var(--line);padding-block:.25rem}
.chips{display:flex;flex-wrap:wrap;gap:.25rem .3rem;font-size:.86rem}
.chips>li{background:var(--well);border-radius:5px;padding:.08rem .4rem;max-width:100%}
.chips>li:has(del){background:var(--gone)}.chips>li:has(ins){background:var(--come)}
.chips>li:has(.moved){box-shadow:inset 0 0 0 1px var(--soft)}
del,ins{text-decoration-thickness:1px;border-radius:3px}
ins{background:var(--come);text-decoration:none;font-weight:600;box-shadow:0 0 0 .1em var(--come)}
del{background:var(--gone);text-decoration:line-through;box-shadow:0 0 0 .1em var(--gone)}
.chips del,.chips ins{box-shadow:none}
.retold{display:grid;grid-template-columns:minmax(0,1fr)}
.retold>.pair{display:grid;grid-template-columns:9rem minmax(0,1fr);gap:1.2rem}
.wordings{display:flex;flex-direction:column;gap:.9rem;min-width:0;font-size:.92rem}
.wording h4{margin:0 0 .15rem;font-size:.88rem;font-weight:640}
.wording .label{font-size:.8rem;margin-bottom:.2rem}.wording .label b{font-weight:600}
.two{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.6rem 1.6rem}
.one .card{width:auto}

@media (hover:hover){.shot:hover .over:not(:has(details[open],:hover,:focus-within)){opacity:.92}}
@media (pointer:coarse){
 details summary{padding-block:.4rem}.over summary{padding-block:.5rem}.see label{padding-block:.6rem}}
@media (max-width:40rem){
 .retold>.pair{grid-template-columns:minmax(0,1fr);gap:.7rem}
 .retold .one .card{flex-direction:row;gap:.8rem}.retold .one .shot{flex:0 0 6.5rem}
 .two{grid-template-columns:minmax(0,1fr)}
 .over{font-size:.76rem}
}
@media print{
 .see,.over details{display:none!important}
 .over,.tags li,ins,del,.chips>li{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
