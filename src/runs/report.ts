/** report.html: everything a run measured, to look at. One file, no script, no network, fit for print. */

import path from 'node:path';
import { UserError } from '../base/errors.ts';
import type { MetricRecord } from '../evolve/journal.ts';
import type { Results, Timing } from '../evolve/results.ts';
import { planStages } from '../evolve/stages.ts';
import { Checkpoints } from './checkpoints.ts';
import { commandsFor } from './commands.ts';
import type { RunConfig } from './config-record.ts';
import { stageCurves, trainingCurves } from './report/curves.ts';
import type { Decoder } from './report/decode.ts';
import { type Example, findExamples, findPairs, type PairExamples } from './report/examples.ts';
import { type Html, html } from './report/html.ts';
import { pairView } from './report/pair-view.ts';
import { style } from './report/style.ts';
import { configSection, resultTables, stageTables, timingTable } from './report/tables.ts';
import { trajectoryView } from './report/trajectory-view.ts';
import type { RunFiles } from './run-files.ts';
import { stageLabel } from './table.ts';

export interface ReportInput {
  /** Of the run's folder. */
  readonly name: string;
  readonly config: RunConfig;
  readonly results: Results;
  readonly timing: Timing | undefined;
  readonly metrics: readonly MetricRecord[];
  readonly examples: readonly Example[];
  readonly pairs: readonly PairExamples[];
  /** It was broken off: these are the results up to the newest checkpoint. */
  readonly isUnfinished: boolean;
}

/** Reads what the report shows: of a run that was broken off as much as it has. Throws a UserError when nothing was measured yet. */
export async function readReportInput(files: RunFiles): Promise<ReportInput> {
  const config = await files.config();
  const state = await new Checkpoints(files.file('checkpoints')).latestState();
  const results = await files.results();
  if (results === undefined)
    throw new UserError(`${files.folder}: no results yet`, { hint: 'Let the run go on first.' });
  return {
    name: path.basename(path.resolve(files.folder)),
    isUnfinished: state !== undefined && state.stage < planStages(config.settings).length,
    config,
    results,
    timing: await files.timing(),
    metrics: await files.metrics(),
    examples: await findExamples(files, results),
    pairs: await findPairs(files),
  };
}

/** The page. Texts are decoded from token ids by the run's own tokenizer. */
export function renderReport(input: ReportInput, tokenizer: Decoder): string {
  const { name, config, results, timing, metrics, examples, pairs, isUnfinished } = input;
  const sections: readonly (readonly [id: string, title: string, content: Html])[] = [
    ['results', 'Results', html`${stageCurves(results)}${resultTables(results)}`],
    ['stages', 'Stages', html`${stageTables(results)}${timing && timingTable(timing)}`],
    ['curves', 'Curves', trainingCurves(metrics)],
    ['trajectories', 'Trajectories', exampleSection(examples, tokenizer)],
    ['pairs', 'Pairs', pairSection(pairs, tokenizer)],
    ['settings', 'Settings and data', configSection(config)],
  ];
  const { view } = commandsFor(name);
  const title = `search-e1: preset ${config.preset}, seed ${config.settings.seed}`;
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>${style}</style></head><body>
<h1>${title}</h1>
<p class="soft">search-e1 ${config.versions['search-e1']}, node ${config.versions.node}</p>
${isUnfinished && html`<p><b>This run was broken off.</b> The page has what was finished by then; <code>search-e1 evolve --resume</code> with the run's directory goes on.</p>`}
<p>This page is what one reads and sends. Every rollout, filtered and searched, turn by turn and token by token, and every pair: <code>${view}</code>, where the run's folder is.</p>
<nav>${sections.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}</nav>
${sections.map(([id, name, content]) => html`<section id="${id}"><h2>${name}</h2>${content}</section>`)}
</body></html>`.text
  }\n`;
}

function exampleSection(examples: readonly Example[], tokenizer: Decoder): Html {
  if (examples.length === 0) return html`<p>No evaluated trajectories are in the run directory.</p>`;
  return html`<p class="soft"><span class="policy">Written by the policy</span>, <span class="policy"><mark class="search">searches</mark> and <mark class="answer">answers</mark> marked</span>; <span class="environment">written by the environment: prompt and passages.</span> The same questions before and after; all others are in the viewer.</p>
${examples.map(
  (
    { change, questionId, suite, byStage },
    i,
  ) => html`<details class="case"${i === 0 ? html` open` : null}><summary><b>${change}</b> <span class="facts">${suite}, question ${questionId}</span></summary>
${byStage.map(({ stage, trajectory }) => trajectoryView(stageLabel(stage), trajectory, tokenizer))}</details>`,
)}`;
}

function pairSection(rounds: readonly PairExamples[], tokenizer: Decoder): Html {
  const all = rounds.flatMap(({ pairs }) => pairs);
  if (all.length === 0) return html`<p>No distillation round found pairs.</p>`;
  const scale =
    percentile(
      all.flatMap(({ kl, mask }) => (kl ?? []).filter((_, t) => mask[t] === 1)),
      0.98,
    ) || 1;
  return html`<p class="soft">The student's tokens. The stronger the <b style="background:rgba(var(--heat),.6)">colour</b>, the more the teacher, who sees the expert trajectory, disagrees with the student there (full colour from ${scale.toFixed(2)} nats).</p>
${rounds.map(({ stage, pairs }) => html`<h3>${stageLabel(stage)}</h3>${pairs.map((pair) => pairView(`Question ${pair.questionId}`, pair, scale, tokenizer))}`)}`;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}
