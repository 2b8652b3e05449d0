/** The report's style sheet: light and dark by the reader's preference, plain on paper. */
import { Html } from './html.ts';

/** Colours by name, light and dark. */
export const palette = new Html(`
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d5dae0; --paper: #ffffff; --panel: #f5f7f9;
  --policy: #dcebff; --policy-ink: #0b3d78; --search: #ffe9b8; --answer: #c9f0d0; --think: #e6eefb; --good: #14713a; --bad: #b3261e;
  --heat: 214, 69, 32; --s1: #2563c4; --s2: #c2571a; --s3: #17804a; --s4: #8a3fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa5b1; --line: #39424c; --paper: #14181c; --panel: #1d2329;
  --policy: #1c3552; --policy-ink: #cfe3ff; --search: #5a4410; --answer: #1c4d2c; --think: #22344a; --good: #6fd394; --bad: #ff8a80;
  --heat: 232, 92, 52; --s1: #78aef8; --s2: #f0a06a; --s3: #6fd394; --s4: #cf9bea; } }
`);

/** What is drawn in SVG. */
export const chartStyle = new Html(`
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; } .grid { stroke: var(--line); stroke-width: 1; } .border { stroke: var(--soft); stroke-dasharray: 3 3; }
.s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); } .s4 { stroke: var(--s4); } .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
circle.s1 { fill: var(--s1); } circle.s2 { fill: var(--s2); } circle.s3 { fill: var(--s3); } circle.s4 { fill: var(--s4); }
`);

/** Of a whole page. */
export const style = new Html(`${palette.text}${chartStyle.text}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 68rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
body.wide { max-width: 92rem; } li { overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } p { margin: .4rem 0; } .soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
nav a { margin-right: 1rem; display: inline-block; } a { color: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .3rem 0; } caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .18rem .7rem; text-align: right; white-space: nowrap; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
.wide th, .wide td { padding: .18rem .5rem; } .wide td:first-child { padding-left: 0; white-space: normal; min-width: 9rem; }
thead th { white-space: normal; vertical-align: bottom; border-bottom: 1px solid var(--line); } tr.rule > * { border-top: 1px solid var(--line); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; } figure { margin: 0; break-inside: avoid; }
figcaption { font-weight: 600; font-size: .9rem; } svg { width: 100%; height: auto; display: block; }
.legend span { display: inline-block; margin-right: 1rem; font-size: .85rem; } .legend i { display: inline-block; width: 1.1em; height: .35em; margin-right: .35em; vertical-align: middle; }
details { margin: .4rem 0; } summary { cursor: pointer; } .case { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; margin: .7rem 0; }
.facts { color: var(--soft); font-size: .88rem; } .transcript, .prompt { background: var(--panel); border-radius: 4px; padding: .5rem .6rem; margin: .3rem 0 .6rem;
  font: 13px/1.55 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.environment { color: var(--soft); } .policy { background: var(--policy); color: var(--policy-ink); border-radius: 2px; }
.policy mark { color: inherit; border-radius: 2px; font-weight: 600; } mark.search { background: var(--search); } mark.answer { background: var(--answer); } mark.think { background: var(--think); font-weight: 400; }
.tokens b { font-weight: 400; border-radius: 2px; }
.prompts { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; } @media (max-width: 40rem) { .prompts { grid-template-columns: 1fr; } }
ol.searches { margin: .2rem 0 .6rem; padding-left: 1.4rem; font-size: .88rem; } pre { white-space: pre-wrap; font-size: .82rem; }
@media print { :root { font-size: 11px; color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --panel: #fff; --policy: #dcebff; --policy-ink: #0b3d78;
    --search: #ffe9b8; --answer: #c9f0d0; --think: #e6eefb; --good: #14713a; --bad: #b3261e; --heat: 214, 69, 32; --s1: #2563c4; --s2: #c2571a; --s3: #17804a; --s4: #8a3fb0; }
  body { max-width: none; padding: 0; font-size: 11px; } nav { display: none; } details::details-content { content-visibility: visible; display: block; }
  .transcript, .prompt { border: 1px solid var(--line); font-size: 10px; } * { print-color-adjust: exact; } .charts { grid-template-columns: 1fr 1fr; } th, td { padding: .1rem .4rem; } }
`);
