/** What the experiment's report adds to the style sheet of run reports. */
import { Html } from '../../runs/report/html.ts';

/** What is drawn in SVG; the rest is the page. */
export const plotStyle = new Html(`
.band { stroke: none; opacity: .16; } .band.s1 { fill: var(--s1); } .band.s2 { fill: var(--s2); } .beside { stroke-dasharray: 4 3; stroke-width: 1.2; opacity: .7; }
.interval { stroke-width: 2.2; } .unsure { stroke: var(--soft); } rect.s1 { fill: var(--s1); } rect.unsure { fill: var(--soft); }
.seed { fill: var(--soft); opacity: .45; } .cross { stroke: var(--line); stroke-width: 1.4; }
.marker circle { fill: var(--paper); stroke-width: 1.5; } .marker text { fill: var(--ink); font-size: 9px; font-weight: 600; }
`);

export const experimentStyle = new Html(`
.verdicts { list-style: none; padding: 0; } .verdicts li { margin: .55rem 0; padding-left: .7rem; border-left: 4px solid var(--line); break-inside: avoid; }
.verdicts .supported { border-color: var(--good); } .verdicts .refuted { border-color: var(--bad); }
.numbers { padding-left: 0; list-style: none; columns: 9rem; font-size: .88rem; } .numbers b { display: inline-block; min-width: 1.8em; }
.charts + .charts, .charts + p { margin-top: 1rem; } .example { margin: .6rem 0 1.6rem; } td:first-child, th:first-child { position: sticky; left: 0; background: var(--paper); }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
@media (max-width: 40rem) { body { padding: .9rem; } svg text { font-size: 12.5px; } .marker text { font-size: 10px; } }
@media print { td:first-child, th:first-child { position: static; } .charts { grid-template-columns: 1fr 1fr; } .scroll { overflow: visible; } }
`);
