"""How the page of a trace looks, on paper and in the dark too."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #0969da; --good: #1a7f37; --bad: #cf222e; }
body { font: 14px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 1.5rem auto; max-width: 110rem;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
input[name=language] { margin-left: 1rem; }
#zh:checked ~ * .en, #zh:checked ~ .en, #en:checked ~ * .zh, #en:checked ~ .zh { display: none; }
table { border-collapse: collapse; } th { text-align: left; }
td, th { padding: .15rem .7rem .15rem 0; vertical-align: top; }
.head th { font-weight: normal; opacity: .7; }
.time { font-variant-numeric: tabular-nums; opacity: .7; white-space: nowrap; }
small { opacity: .6; }
.tree { overflow-x: auto; } .tree .line, .tree summary { white-space: nowrap; }
.tree .line { padding-left: 1rem; } .tree summary { cursor: pointer; }
.below { margin-left: 1.2rem; border-left: 1px solid var(--line); padding-left: .4rem; }
b.ask, b.report { color: var(--accent); } b.bad { color: var(--bad); }
:target { background: #ff08; }
.spans { display: grid; grid-template-columns: minmax(6rem, 16rem) 1fr; gap: 2px .6rem; align-items: center; }
.spans .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.lane { position: relative; height: 1.1rem; background: var(--soft); }
.bar { position: absolute; top: 0; bottom: 0; min-width: 1px; }
.waited { background: #8886; } .worked { background: var(--accent); }
.worked.completed { background: var(--good); } .worked.failed { background: var(--bad); }
.worked.cancelled, .worked.skipped { background: #9a6700; }
.key .bar { position: static; display: inline-block; width: 1.2rem; height: .7rem; margin: 0 .3rem 0 .8rem; }
.timeline tr:nth-child(even) { background: var(--soft); } .timeline td:nth-child(2)::before { content: "● "; }
.timeline .task td:nth-child(2)::before { color: #0969da; }
.timeline .event td:nth-child(2)::before { color: #1a7f37; }
.timeline .data td:nth-child(2)::before { color: #9a6700; }
.timeline .review td:nth-child(2)::before { color: #8250df; }
@media print { body { max-width: none; } input, label { display: none; } }
"""
