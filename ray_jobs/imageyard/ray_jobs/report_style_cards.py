"""The style of pictures in a report: cards, what lies over them, pairs of them, and the box that shows one large."""

CARDS = """
.find{position:sticky;top:0;z-index:3;display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:center;
 background:var(--page);padding:.7rem 0;margin-top:.6rem;border-bottom:1px solid var(--line)}
.find input{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--soft);border-radius:8px;
 padding:.35rem .7rem;flex:1 1 16rem;max-width:30rem;min-width:0}
.find input::placeholder{color:var(--soft);opacity:1}
.sheet{margin-top:1.8rem}.sheet+.panels{margin-top:2rem}
.sheet>h2{font-size:1.25rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(12.4rem,1fr));gap:.9rem}
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
.mark{position:absolute;scroll-margin-top:5rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--well);border-radius:8px;padding:.8rem 1rem;
 line-height:1.5}
footer{margin-top:2.5rem;color:var(--soft);font-size:.82rem}

dialog{border:1px solid var(--line);border-radius:12px;padding:0;background:var(--panel);color:var(--ink);
 width:min(60rem,94vw);max-height:92vh}
dialog::backdrop{background:rgb(0 0 0/.62)}
dialog .card{border:0;border-radius:0;flex-direction:row;flex-wrap:wrap;font-size:.95rem;outline:0}
dialog .thumb{aspect-ratio:auto;padding:1rem;cursor:default}
dialog .thumb img{position:static;width:100%;height:auto;max-height:72vh}
dialog .about{flex:2 1 16rem;padding:1.1rem 1.3rem;gap:.5rem}
dialog :is(.name,.caption,.why,.mini>*){white-space:normal;-webkit-line-clamp:none;overflow-wrap:anywhere}
dialog .card details{margin-top:0}dialog summary{display:none}
.turn{display:flex;gap:.5rem;padding:.6rem 1rem;border-top:1px solid var(--line);position:sticky;bottom:0;
 background:var(--panel)}
.turn button{font:inherit;color:inherit;background:var(--well);border:1px solid var(--line);border-radius:7px;
 padding:.25rem .9rem;cursor:pointer}
.turn button:last-child{margin-inline-start:auto}
"""
