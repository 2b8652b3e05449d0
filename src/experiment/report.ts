/** report.html of an experiment: verdicts, tables, differences, curves, the law, example pairs. One file, no script, no network. */
import path from 'node:path';
import { writeFileAtomic } from '../base/files.ts';
import { locateModel } from '../checkpoint/hub-model.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { BASE_POLICY } from '../evolve/open.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import type { Decoder } from '../runs/report/decode.ts';
import { type Html, html } from '../runs/report/html.ts';
import { style } from '../runs/report/style.ts';
import { RunFiles } from '../runs/run-files.ts';
import { modeLabel } from '../runs/table.ts';
import { E1 } from './arms.ts';
import { modeKey } from './collect.ts';
import { findingsOf } from './findings.ts';
import { findPairExamples, type PairExamples, pairExamples } from './report/examples.ts';
import { forestPlot } from './report/forest.ts';
import { learningCurves } from './report/learning-curves.ts';
import { modesByWeight, outerModes, referenceOf } from './report/modes.ts';
import { figureOf, type Panel } from './report/panel.ts';
import { renderPicture } from './report/picture.ts';
import { lawPlot, lawSentence, searchesAgainstExactMatch } from './report/scatter.ts';
import { experimentStyle, plotStyle } from './report/style.ts';
import { armsBlock, basesBlock, blocksAsHtml, suitesBlock, trainingBlocks } from './report/tables.ts';
import type { Measure, Summary, Verdict } from './schema.ts';
import { recordLines, summarizeExperiment } from './summary.ts';

/** Summarises the experiment in `folder`, writes summary.json, findings.json, figure.svg and report.html there, and returns the summary. */
export async function writeExperimentReport(folder: string): Promise<Summary> {
  const summary = await summarizeExperiment(folder);
  // Pairs of the reference arm, or of the first that has any.
  const order = summary.runs.toSorted((a, b) => Number(b.arm === E1) - Number(a.arm === E1));
  let examples: PairExamples = { best: [], worst: [] };
  let files = new RunFiles(path.join(folder, order[0]!.seed, order[0]!.arm));
  for (const { seed, arm } of order) {
    files = new RunFiles(path.join(folder, seed, arm));
    examples = await findPairExamples(files);
    if (examples.best.length > 0) break;
  }
  const { inputs } = await files.config();
  const tokenizer = await loadTokenizer(inputs.tokenizer ?? (await locateModel(inputs.model ?? BASE_POLICY)).folder);
  await writeFileAtomic(path.join(folder, 'summary.json'), recordLines(summary));
  await writeFileAtomic(path.join(folder, 'findings.json'), recordLines(findingsOf(summary)));
  await writeFileAtomic(path.join(folder, 'figure.svg'), renderPicture(summary));
  await writeFileAtomic(path.join(folder, 'report.html'), renderExperimentReport(summary, examples, tokenizer));
  return summary;
}

/** The page. `tokenizer` decodes the token ids of the examples. */
export function renderExperimentReport(summary: Summary, examples: PairExamples, tokenizer: Decoder): string {
  const sections: readonly (readonly [id: string, title: string, content: Html])[] = [
    ['verdicts', 'Verdicts', verdictSection(summary)],
    ['arms', 'Arms', armSection(summary)],
    ['differences', 'Differences', differenceSection(summary)],
    ['stages', 'Over the stages', stageSection(summary)],
    ['searches', 'Searches against exact match', searchesSection(summary)],
    ['law', 'First gap and final gain', lawSection(summary)],
    ['pairs', 'Pairs', pairExamples(examples, tokenizer)],
  ];
  const title = `search-e1: experiment ${summary.name}`;
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>${style}${plotStyle}${experimentStyle}</style></head><body>
<h1>${title}</h1>
<p class="soft">${summary.arms.length} arms, ${counted(summary.seeds.length, 'seed')}, ${counted(summary.runs.length, 'finished run')}.</p>
${summary.missing.length > 0 && html`<p><b>Not finished, and counted nowhere:</b> ${summary.missing.join(', ')}.</p>`}
<nav>${sections.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}</nav>
${sections.map(([id, name, content]) => html`<section id="${id}"><h2>${name}</h2>${content}</section>`)}
</body></html>`.text
  }\n`;
}

const verdictClass: Readonly<Record<Verdict['verdict'], string>> = {
  supported: 'supported',
  'not supported': 'refuted',
  undecided: 'undecided',
  'not run': 'undecided',
};

function verdictSection({ verdicts, resamples }: Summary): Html {
  if (verdicts.length === 0) return html`<p>The experiment has no two arms that a claim is about.</p>`;
  const tally = (['supported', 'not supported', 'undecided', 'not run'] as const)
    .map((verdict) => [verdict, verdicts.filter((one) => one.verdict === verdict).length] as const)
    .filter(([, count]) => count > 0);
  return html`<p>${tally.map(([verdict, count]) => `${count} ${verdict}`).join(', ')}.</p>
<ul class="verdicts">${verdicts.map(
    ({ claim, verdict, sentence }) =>
      html`<li class="${verdictClass[verdict]}"><b>${claim}: ${verdict}.</b><br>${sentence}</li>`,
  )}</ul>
<p class="soft">Supported: the whole 95 % interval is on the claimed side. Not supported: it is on the other side, or within the margin of zero. Otherwise undecided. Intervals are of differences paired by seed and question, from ${resamples} resamples of seeds and questions, and are not corrected for the number of claims.</p>`;
}

function armSection(summary: Summary): Html {
  const [main, ...others] = modesByWeight(summary);
  const ofMode = (mode: EvaluationMode) => blocksAsHtml([armsBlock(summary, mode), suitesBlock(summary, mode)]);
  const { length } = summary.seeds;
  return html`<p class="soft">Means over seeds of the mean over suites; in brackets the 95 % interval${length === 1 && ', over questions alone'}.</p>
${ofMode(main!)}
${others.length > 0 && html`<details><summary>Other budgets, sampled and greedy</summary>${others.map(ofMode)}</details>`}
${blocksAsHtml(trainingBlocks(summary))}`;
}

function differenceSection(summary: Summary): Html {
  const reference = referenceOf(summary);
  const bases = basesBlock(summary);
  const plots = (decoding: Decoding, measure: Measure, name: string, decimals: number) =>
    charts(
      modesOf(summary, decoding).map((mode) =>
        forestPlot(
          `${name}: ${modeLabel(mode)}`,
          summary.differences.filter((one) => one.measure === measure && modeKey(one.mode) === modeKey(mode)),
          decimals,
        ),
      ),
    );
  const both = (decoding: Decoding) =>
    html`${plots(decoding, 'exactMatch', 'Exact match', 3)}${plots(decoding, 'searches', 'Searches', 2)}`;
  return html`<p class="soft">Every arm minus ${reference}: mean and 95 % interval; small dots are single seeds. Intervals that contain zero are grey.</p>
${both('sampled')}${has(summary, 'greedy') && html`<details><summary>Greedy answers</summary>${both('greedy')}</details>`}
${bases && blocksAsHtml([bases])}`;
}

function stageSection(summary: Summary): Html {
  const { panels, legend } = learningCurves(summary, outerModes(summary), referenceOf(summary));
  return html`<p class="soft">Exact match, mean over suites.</p><div class="legend">${legend.colours.map((name, i) => html`<span><i style="background:var(--s${i + 1})"></i>${name}</span>`)}${legend.notes.map((note) => html`<span>${note}</span>`)}</div>
${charts(panels)}`;
}

function searchesSection(summary: Summary): Html {
  const plots = (decoding: Decoding) =>
    charts(modesOf(summary, decoding).map((mode) => searchesAgainstExactMatch(summary, mode)));
  return html`<p class="soft">The last stage of every arm; crosses are 95 % intervals. Up and to the left is better.</p>
${armNumbers(summary)}${plots('sampled')}${has(summary, 'greedy') && html`<details><summary>Greedy answers</summary>${plots('greedy')}</details>`}`;
}

function lawSection(summary: Summary): Html {
  return html`<p class="soft">arXiv 2605.30070 predicts that the gain is linear in the first gap between teacher and student. A point is a run (its number is its arm's) whose teacher is the one that the gate asked: shown the expert, read by its distribution. Arms that fork after the gate share its gap.</p>
<div class="charts">${summary.laws.map((law) => {
    const drawn = lawPlot(law, summary.arms);
    return drawn && html`<div>${figureOf(drawn)}<p class="facts">${lawSentence(law)}</p></div>`;
  })}</div>`;
}

type Decoding = EvaluationMode['decoding'];

function charts(panels: readonly (Panel | undefined)[]): Html {
  return html`<div class="charts">${panels.map((panel) => panel && figureOf(panel))}</div>`;
}

function modesOf(summary: Summary, decoding: Decoding): EvaluationMode[] {
  return modesByWeight(summary).filter((mode) => mode.decoding === decoding);
}

function has(summary: Summary, decoding: Decoding): boolean {
  return modesOf(summary, decoding).length > 0;
}

/** The numbers that stand for arms in the charts. */
function armNumbers({ arms }: Summary): Html {
  return html`<ol class="numbers">${arms.map((arm, i) => html`<li><b>${i + 1}</b>${arm}</li>`)}</ol>`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
