/** report.html of an experiment: verdicts, tables, differences, curves, the law, example pairs. One file, no script, no network. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../base/files.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { locateModel } from '../checkpoint/hub-model.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import type { Decoder } from '../runs/report/decode.ts';
import { type Html, html } from '../runs/report/html.ts';
import { style } from '../runs/report/style.ts';
import { RunFiles } from '../runs/run-files.ts';
import { modeLabel } from '../runs/table.ts';
import { E1 } from './arms.ts';
import { modeKey } from './collect.ts';
import { findingsOf } from './findings.ts';
import { keepOutcomes, readSeeds } from './outcomes.ts';
import { type ExperimentRecord, readExperiment } from './record.ts';
import { aboutSection, settingsSection } from './report/about.ts';
import { findPairExamples, type PairExamples, pairExamples } from './report/examples.ts';
import { forestPlot } from './report/forest.ts';
import { learningCurves } from './report/learning-curves.ts';
import { modesByWeight, outerModes, referenceOf } from './report/modes.ts';
import { figureOf, type Panel } from './report/panel.ts';
import { renderPicture } from './report/picture.ts';
import { lawPlot, lawSentence, searchesAgainstExactMatch } from './report/scatter.ts';
import { experimentStyle, plotStyle } from './report/style.ts';
import { armsBlock, basesBlock, blocksAsHtml, stagesBlock, suitesBlock } from './report/tables.ts';
import { budgetsBlock, roundsBlock } from './report/training-tables.ts';
import { verdictSection } from './report/verdict-list.ts';
import type { Measure, Summary } from './schema.ts';
import { recordLines, summaryOf } from './summary.ts';

/** Summarises the experiment in `folder`, writes summary.json, findings.json, figure.svg and report.html there, and returns the summary. */
export async function writeExperimentReport(folder: string): Promise<Summary> {
  const record = await readExperiment(folder);
  const seeds = await readSeeds(folder, record);
  const summary = summaryOf(folder, record, seeds);
  for (const seed of seeds) await keepOutcomes(folder, record, seed);
  // Pairs of the reference arm, or of the first that has any; seeds that ran elsewhere have no run here to show any of.
  const runs = summary.runs
    .toSorted((a, b) => Number(b.arm === E1) - Number(a.arm === E1))
    .map(({ seed, arm }) => new RunFiles(path.join(folder, seed, arm)))
    .filter((files) => existsSync(files.file('config.json')));
  let examples: PairExamples = { best: [], worst: [] };
  let tokenizer: Decoder | undefined;
  for (const files of runs) {
    examples = await findPairExamples(files);
    if (examples.best.length === 0) continue;
    const { inputs } = await files.config();
    tokenizer = await loadTokenizer(inputs.tokenizer ?? (await locateModel(inputs.model ?? BASE_POLICY)).folder);
    break;
  }
  await writeFileAtomic(path.join(folder, 'summary.json'), recordLines(summary));
  await writeFileAtomic(path.join(folder, 'findings.json'), recordLines(findingsOf(summary)));
  await writeFileAtomic(path.join(folder, 'figure.svg'), renderPicture(summary));
  const page = renderExperimentReport(summary, examples, tokenizer, record);
  await writeFileAtomic(path.join(folder, 'report.html'), page);
  return summary;
}

/** The page. `tokenizer` decodes the token ids of the examples, undefined where there are none; `record` is experiment.json, for settings and versions. */
export function renderExperimentReport(
  summary: Summary,
  examples: PairExamples,
  tokenizer: Decoder | undefined,
  record?: ExperimentRecord,
): string {
  const sections: readonly (readonly [id: string, title: string, content: Html])[] = [
    ['about', 'The experiment', aboutSection(summary, record)],
    ['verdicts', 'Verdicts', verdictSection(summary)],
    ['arms', 'Arms', armSection(summary)],
    ['differences', 'Differences', differenceSection(summary)],
    ['stages', 'Over the stages', stageSection(summary)],
    ['searches', 'Searches against exact match', searchesSection(summary)],
    ['law', 'First gap and final gain', lawSection(summary)],
    ['pairs', 'Pairs', pairExamples(examples, tokenizer)],
    ...(record ? [['settings', 'Settings', settingsSection(record)] as const] : []),
  ];
  const title = `search-e1: experiment ${summary.name}`;
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>${style}${plotStyle}${experimentStyle}</style></head><body>
<h1>${title}</h1>
<nav>${sections.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}</nav>
${sections.map(([id, name, content]) => html`<section id="${id}"><h2>${name}</h2>${content}</section>`)}
</body></html>`.text
  }\n`;
}

function armSection(summary: Summary): Html {
  const [main, ...others] = modesByWeight(summary);
  const ofMode = (mode: EvaluationMode) => blocksAsHtml([armsBlock(summary, mode), suitesBlock(summary, mode)]);
  const { length } = summary.seeds;
  return html`<p class="soft">Means over seeds of the mean over suites; in brackets the 95 % interval${length === 1 && ', over questions alone'}. All arms begin with base and GRPO 1.</p>
${ofMode(main!)}
${others.length > 0 && html`<details><summary>Other budgets, sampled and greedy</summary>${others.map(ofMode)}</details>`}
${blocksAsHtml([budgetsBlock(summary), roundsBlock(summary)])}`;
}

function differenceSection(summary: Summary): Html {
  const reference = referenceOf(summary);
  const bases = basesBlock(summary);
  const plots = (decoding: Decoding, measure: Measure, name: string) =>
    charts(
      modesOf(summary, decoding).map((mode) =>
        forestPlot(
          `${name}: ${modeLabel(mode)}`,
          summary.differences.filter((one) => one.measure === measure && modeKey(one.mode) === modeKey(mode)),
        ),
      ),
      'broad',
    );
  const both = (decoding: Decoding) =>
    html`${plots(decoding, 'exactMatch', 'Exact match')}${plots(decoding, 'searches', 'Searches')}`;
  return html`<p class="soft">Every arm minus ${reference}: mean and 95 % interval; small dots are single seeds. Intervals that contain zero are grey.</p>
${both('sampled')}${has(summary, 'greedy') && html`<details><summary>Greedy answers</summary>${both('greedy')}</details>`}
${bases && blocksAsHtml([bases])}`;
}

function stageSection(summary: Summary): Html {
  const modes = outerModes(summary);
  const { panels, legend } = learningCurves(summary, modes, referenceOf(summary));
  return html`<p class="soft">Exact match, mean over suites.</p><div class="legend">${legend.colours.map((name, i) => html`<span><i style="background:var(--s${i + 1})"></i>${name}</span>`)}${legend.notes.map((note) => html`<span>${note}</span>`)}</div>
${charts(panels)}
<details><summary>Every stage</summary><p class="soft">Means over seeds; exact match as mean over suites, then suite by suite.</p>${blocksAsHtml(modes.map((mode) => stagesBlock(summary, mode)))}</details>`;
}

function searchesSection(summary: Summary): Html {
  const plots = (decoding: Decoding) =>
    charts(modesOf(summary, decoding).map((mode) => searchesAgainstExactMatch(summary, mode)));
  return html`<p class="soft">The last stage of every arm; crosses are 95 % intervals. Up and to the left is better. The numbers: ${numbered(summary)}.</p>
${plots('sampled')}${has(summary, 'greedy') && html`<details><summary>Greedy answers</summary>${plots('greedy')}</details>`}`;
}

function lawSection(summary: Summary): Html {
  return html`<p class="soft">arXiv 2605.30070 predicts that the gain is linear in the first gap between teacher and student. Here the gap is what the expert in the prompt adds to exact match at gate 1, where both prompts are asked at the teacher's temperature; it is not the gap to the student as it samples. A point is a run (its number is its arm's) whose teacher is the one that the gate asked: shown the expert, read by its distribution. Arms that fork after the gate share its gap.</p>
<div class="charts">${summary.laws.map((law) => {
    const drawn = lawPlot(law, summary.arms);
    return drawn && html`<div>${figureOf(drawn)}<p class="facts">${lawSentence(law)}</p></div>`;
  })}</div>`;
}

type Decoding = EvaluationMode['decoding'];

/** Side by side as many as fit; of broad ones two. */
function charts(panels: readonly (Panel | undefined)[], size: 'small' | 'broad' = 'small'): Html {
  return html`<div class="charts ${size}">${panels.map((panel) => panel && figureOf(panel))}</div>`;
}

function modesOf(summary: Summary, decoding: Decoding): EvaluationMode[] {
  return modesByWeight(summary).filter((mode) => mode.decoding === decoding);
}

function has(summary: Summary, decoding: Decoding): boolean {
  return modesOf(summary, decoding).length > 0;
}

function numbered({ arms }: Summary): string {
  return arms.map((arm, i) => `${i + 1} ${arm}`).join(', ');
}
