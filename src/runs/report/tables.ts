/** The report's tables: results, stages, gates, pools, time, and what the run was made of. */
import type { GateMeasurement, PoolMeasurement, Results, Timing } from '../../evolve/results.ts';
import type { RunConfig } from '../config-record.ts';
import { estimateText, stageNotes, type TableBlock, tableBlocks } from '../table.ts';
import { type Html, type HtmlValue, html } from './html.ts';

/** The first mode, and the others folded: each has a table of its own. */
export function resultTables(results: Results): Html {
  const [first, ...others] = tableBlocks(results);
  return html`${first && blockAsHtml(first)}${others.length > 0 && html`<details><summary>Greedy answers and other budgets</summary>${others.map(blockAsHtml)}</details>`}`;
}

/** One block of a table, its notes below. */
export function blockAsHtml({ title, header, rows, notes }: TableBlock): Html {
  return html`<div class="scroll"><table><caption>${title}</caption>
<thead><tr><th></th>${header.map((label) => html`<th>${label}</th>`)}</tr></thead>
<tbody>${rows.map(({ label, cells, rule }) => html`<tr${rule ? html` class="rule"` : null}><td>${label}</td>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>
<p class="soft">${notes.join(' ')}</p>`;
}

export function stageTables({ pools, gates, outcomes }: Results): Html {
  const notes = stageNotes({ schema: 1, measurements: [], pools, gates, outcomes });
  return html`<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul>${pools.length > 0 && poolTable(pools)}${gates.length > 0 && gateTable(gates)}`;
}

function poolTable(pools: readonly PoolMeasurement[]): Html {
  const header = [
    'questions',
    'rollouts',
    'exact match',
    'pairs',
    'wrong students',
    'expert searches',
    'student searches',
    'experts without search',
  ];
  const rows = pools.map((pool) => [
    pool.stage,
    pool.questions,
    pool.rollouts,
    pool.exactMatch.toFixed(3),
    pool.pairs,
    pool.wrongStudents,
    pool.expertSearches.toFixed(2),
    pool.studentSearches.toFixed(2),
    pool.expertsWithoutSearch,
  ]);
  return plainTable('Pools: what the policy rolled out on its own questions, and the pairs found there', header, rows);
}

function gateTable(gates: readonly GateMeasurement[]): Html {
  const header = ['questions', 'plain exact match', 'with expert shown', 'plain searches', 'with expert shown', 'gate'];
  const rows = gates.map((gate) => [
    gate.stage,
    gate.questions,
    estimateText(gate.plain.exactMatch, 3),
    estimateText(gate.privileged.exactMatch, 3),
    estimateText(gate.plain.searches, 2),
    estimateText(gate.privileged.searches, 2),
    gate.open ? 'open' : 'closed',
  ]);
  return plainTable('Gates: held-out questions under the ordinary and under the privileged prompt', header, rows);
}

export function timingTable(timing: Timing): Html {
  const share = (seconds: number) =>
    `${seconds.toFixed(1)} s (${timing.totalSeconds > 0 ? Math.round((100 * seconds) / timing.totalSeconds) : 0} %)`;
  const row = [
    share(timing.totalSeconds),
    share(timing.samplingSeconds),
    share(timing.retrievalSeconds),
    share(timing.trainingSeconds),
    share(timing.otherSeconds),
    timing.trajectories.toLocaleString('en'),
    timing.totalSeconds > 0 ? (timing.trajectories / timing.totalSeconds).toFixed(1) : '–',
  ];
  const header = ['all', 'sampling', 'retrieval', 'training', 'other', 'trajectories', 'a second'];
  return plainTable('Time', header, [['', ...row]]);
}

function plainTable(title: string, header: readonly string[], rows: readonly (readonly HtmlValue[])[]): Html {
  return html`<div class="scroll"><table><caption>${title}</caption>
<thead><tr><th></th>${header.map((label) => html`<th>${label}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** Settings, data and versions: what has to be equal for two runs to be compared. */
export function configSection({ preset, settings, inputs, hashes, versions }: RunConfig): Html {
  return html`<details><summary>Preset ${preset}, seed ${settings.seed}: all settings, hashes of the data, versions</summary>
<pre>${JSON.stringify({ versions, hashes, inputs, settings }, null, 2)}</pre></details>`;
}
