"""The style of a report: light and dark, from the width of a phone up."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1b1f24; --muted: #59636e; --line: #dfe3e8;
  --ok: #2a78c2; --failed: #d9480f; --cancelled: #868e96;
  --p50: #5f3dc4; --p90: #845ef7; --p99: #b197fc;
  --running: #0b7285; --queued: #99d5dd; --window: #1b1f24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1d2125; --text: #e6e9ec; --muted: #9aa4ae; --line: #343a41;
    --ok: #5aa5e8; --failed: #ff8050; --cancelled: #858e97;
    --p50: #d0bfff; --p90: #9775fa; --p99: #7048e8;
    --running: #22b8cf; --queued: #17616b; --window: #f1f3f5;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 1.5rem 1rem 2rem; background: var(--page); color: var(--text);
  font: 16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main, footer { max-width: 68rem; margin: 0 auto; display: grid; gap: 1rem; }
main > * { min-width: 0; }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }
h1 small { margin-left: .75rem; font-size: 1rem; font-weight: 400; color: var(--muted); }
h2 { margin: 0; font-size: 1.05rem; }
dl, ul, ol, figure { margin: 0; padding: 0; list-style: none; }
dd { margin: 0; }
dt, .note, footer, .time { color: var(--muted); }
footer { margin-top: 1.5rem; font-size: .85rem; }
.hidden { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
header dl { display: grid; gap: .15rem; font-size: .9rem; }
header dl div { display: grid; grid-template-columns: 5.5rem 1fr; }
header dd { overflow-wrap: anywhere; }
figure, section, details {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem;
}
.shares { display: flex; gap: 2px; height: .6rem; margin-bottom: 1rem; }
.shares i { min-width: 3px; border-radius: 2px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; }
.tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.tiles dt { font-size: .85rem; line-height: 1.25; }
.tiles dd { font-size: 1.35rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tiles .ok dd { color: var(--ok); }
.tiles .failed dd { color: var(--failed); }
figcaption {
  display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: baseline;
  margin-bottom: .75rem;
}
figcaption ul { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .85rem; }
figcaption li { display: flex; align-items: center; gap: .4rem; }
figcaption i { width: 1rem; height: .7rem; border-radius: 2px; }
figcaption i.line { height: 0; border-radius: 0; border-top: 3px solid; background: none; }
figcaption i.p99 { border-top-style: dashed; }
.plot { display: grid; grid-template: 10rem 1.5rem / 3.4rem 1fr; margin-right: 1.2rem; }
.plot svg { width: 100%; height: 100%; overflow: visible; }
.x { grid-column: 2; position: relative; }
.y { position: relative; }
.x span, .y span {
  position: absolute; font-size: .75rem; line-height: 1; color: var(--muted); white-space: nowrap;
}
.x span { top: .5rem; transform: translateX(-50%); }
.y span { right: .5rem; transform: translateY(50%); }
svg path { fill: none; vector-effect: non-scaling-stroke; }
svg .grid { stroke: var(--line); stroke-width: 1px; }
svg .area { stroke: none; shape-rendering: crispEdges; }
svg .line { stroke-width: 2px; stroke-linejoin: round; }
svg .p50 { stroke-width: 2.5px; }
svg .p99 { stroke-dasharray: 4 3; stroke-width: 1.5px; }
.bars { fill: var(--p90); }
.tips rect { fill: transparent; }
.tips rect:hover { fill: var(--text); fill-opacity: .08; }
.ok { background: var(--ok); fill: var(--ok); }
.failed { background: var(--failed); fill: var(--failed); }
.cancelled { background: var(--cancelled); fill: var(--cancelled); }
.running { background: var(--running); fill: var(--running); }
.queued { background: var(--queued); fill: var(--queued); }
svg .area.ok { fill: var(--ok); }
svg .area.failed { fill: var(--failed); }
svg .area.cancelled { fill: var(--cancelled); }
svg .area.running { fill: var(--running); }
svg .area.queued { fill: var(--queued); }
.line.p50 { border-color: var(--p50); stroke: var(--p50); }
.line.p90 { border-color: var(--p90); stroke: var(--p90); }
.line.p99 { border-color: var(--p99); stroke: var(--p99); }
.line.window { border-color: var(--window); stroke: var(--window); }
.tiles .ok, .tiles .failed, .tiles .cancelled { background: none; }
.note { margin: .2rem 0 .6rem; font-size: .85rem; }
.spans li {
  display: grid; grid-template-columns: 14rem 1fr 8.5rem; gap: 0 .75rem; align-items: center;
  padding: .12rem 0; font-size: .9rem;
}
.title { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { position: relative; height: .7rem; border-radius: 2px; background: var(--page); }
.track i { position: absolute; top: 0; bottom: 0; min-width: 3px; border-radius: 2px; }
.time { text-align: right; font-variant-numeric: tabular-nums; }
.failures { margin-top: .6rem; }
.failures li { padding: .5rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.failures strong { color: var(--failed); }
.failures code { display: block; font-size: .85rem; }
code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; font-weight: 600; }
.table { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; }
thead th { color: var(--muted); font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 400; }
:focus-visible { outline: 2px solid var(--ok); outline-offset: 2px; }
@media (max-width: 40rem) {
  body { padding: 1rem .6rem; }
  figure, section, details { padding: .8rem; }
  h1 small { display: block; margin: .2rem 0 0; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(6.2rem, 1fr)); gap: .8rem; }
  .tiles dd { font-size: 1.15rem; }
  .plot { grid-template-columns: 3rem 1fr; }
  .x span:nth-child(even) { display: none; }
  .spans li { grid-template: auto auto / 1fr auto; padding: .3rem 0; }
  .track { grid-row: 2; grid-column: 1 / -1; }
}
@media print { body { background: none; } figure, section { break-inside: avoid; } }
"""
