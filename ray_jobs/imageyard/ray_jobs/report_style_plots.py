"""The style of plots in a report."""

PLOTS = """
.heat{display:block;font-size:12px;max-width:none}
.heat text{fill:var(--ink);font-family:inherit}.heat .in{font-size:10.5px}
.heat rect{rx:2px}.heat .own{fill:none;stroke:var(--line)}.heat .none{fill:var(--well)}
.heat .none+.in{fill:var(--soft)}
.target{height:1rem;margin-top:.18rem;overflow:visible}.target rect{stroke:none}
.goal{fill:var(--lost);opacity:.75}.least{fill:var(--ink)}
.c-lack{fill:var(--rejected)}.c-some{fill:var(--validation)}
.dot.c-kept{background:var(--kept)}.dot.c-lack{background:var(--rejected)}.dot.c-some{background:var(--validation)}
.said{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.5rem 1.2rem;margin-bottom:.9rem}
.said dt{color:var(--soft);font-size:.82rem;line-height:1.3}.said dd{font-size:1.15rem;font-weight:600}
.said div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
.severity{display:inline-block;font-size:.78rem;font-weight:600;border:1px solid currentColor;border-radius:4px;
 padding:0 .4em;line-height:1.45;white-space:nowrap}
.severity.error{background:var(--gone);border-color:var(--rejected)}
.severity.warning{border-color:var(--validation)}.severity.info{border-color:var(--line);color:var(--soft)}
.findings td,.findings tbody th{border-top:1px solid var(--line);padding-block:.4rem}
.findings tr>:first-child{width:1%;padding-inline-end:.4rem}.findings th.soft{white-space:nowrap}
.findings .num{width:1%}figure+.rows{margin-top:.9rem}
.findings p+p{margin-top:.15rem}.findings .soft{font-size:.86rem}
.axes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(27rem,100%),1fr));gap:1.4rem 2.4rem}
.axes>*{min-width:0}.axes h3{margin-bottom:.1rem}.axes .soft{font-size:.84rem}
.axes tbody th>.u{max-width:8.5rem;width:8.5rem}
.over-much{color:var(--ink);font-weight:600}
.parts{display:grid;gap:1.6rem;grid-template-columns:minmax(0,1fr)}
.parts p,.shots{font-size:.92rem}.parts .bar+p{margin-top:.3rem}
.parts h3+p+h3,.parts p+h3{margin-top:.7rem}
.trigger+.trigger{margin-top:.9rem}.trigger .bar{margin:.1rem 0 .3rem;height:.9rem}.trigger~.key{margin-top:.8rem}
.trigger .soft{font-size:.86rem}
.shots{padding-inline-start:1.5rem;margin:0;display:grid;gap:.3rem}
.shots li::marker{color:var(--soft)}
.pieces>.broad{flex:0 1 auto;max-width:100%}
@media (max-width:40rem){.findings th.soft{white-space:normal;min-width:6.5rem}
 .findings td+th{padding-inline-start:.3rem}}
"""
