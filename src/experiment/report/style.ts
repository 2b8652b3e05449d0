/** What the experiment's report adds to the style sheet of run reports. */
import { Html } from '../../runs/report/html.ts';

/** What is drawn in SVG; the rest is the page. */
export const plotStyle = new Html(`
.band { stroke: none; opacity: .16; } .band.s1 { fill: var(--s1); } .band.s2 { fill: var(--s2); } .beside { stroke-dasharray: 4 3; stroke-width: 1.2; opacity: .7; }
.interval { stroke-width: 2.2; } .unsure { stroke: var(--soft); } rect.s1 { fill: var(--s1); } rect.unsure { fill: var(--soft); }
.seed { fill: var(--soft); opacity: .45; } .cross { stroke: var(--line); stroke-width: 1.4; } svg .number { font-variant-numeric: tabular-nums; fill: var(--ink); }
.marker circle { fill: var(--paper); stroke-width: 1.5; } .marker text { fill: var(--ink); font-size: 9px; font-weight: 600; }
.full circle { fill: var(--s1); } .full text { fill: var(--paper); }
`);

export const experimentStyle = new Html(`
.verdicts { list-style: none; padding: 0; } .verdicts li { margin: .7rem 0; break-inside: avoid; }
.verdict { padding-left: .7rem; border-left: 4px solid var(--line); margin: .2rem 0; } .verdict::first-letter { text-transform: uppercase; } .supported { border-color: var(--good); } .refuted { border-color: var(--bad); } .equivalent { border-color: var(--ink); }
.arms { list-style: none; padding: 0; margin: .3rem 0; } .arms li { display: flex; margin: .1rem 0; } .arms li > b { flex: none; width: 1.8em; font-variant-numeric: tabular-nums; }
.key { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: .15rem 1.5rem; margin: .3rem 0 .6rem; }
.key div { display: flex; } dt { flex: none; width: 8rem; font-weight: 600; } dd { margin: 0; }
.heat { background: rgba(var(--heat), .6); color: var(--ink); padding: 0 .2em; }
.charts + .charts, .charts + p { margin-top: 1rem; } .example { margin: .6rem 0 1.6rem; } td:first-child, th:first-child { position: sticky; left: 0; background: var(--paper) padding-box; }
#stages table { font-size: .93em; } #stages :is(th, td) { padding-inline: .35rem; } #stages :is(th, td):first-child { padding-left: 0; }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); } .charts.broad { grid-template-columns: repeat(auto-fill, minmax(min(28rem, 100%), 1fr)); }
@media (max-width: 40rem) { body { padding: .9rem; } svg text { font-size: 12.5px; } .marker text { font-size: 10px; } }
@media print { td:first-child, th:first-child { position: static; } .charts, .charts.broad { grid-template-columns: 1fr 1fr; } .scroll { overflow: visible; } table { break-inside: avoid; } h2, h3, .legend { break-after: avoid; } pre { columns: 3; } }
`);
