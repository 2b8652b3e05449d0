/** Arms by measures: the last stage with intervals and by suite, base by base, and every stage. */
import { mean } from '../../benchmarks/statistics.ts';
import type { EvaluationMode } from '../../evolve/results.ts';
import type { Html } from '../../runs/report/html.ts';
import { blockAsHtml } from '../../runs/report/tables.ts';
import { modeLabel, stageLabel, type TableBlock } from '../../runs/table.ts';
import { modeKey } from '../collect.ts';
import { type Measure, measures, type Summary } from '../schema.ts';
import { fixed, signed } from '../text.ts';
import { outerModes, referenceOf } from './modes.ts';
import { labels, type Measured, meanText, measureText, NOTHING, ownStages, sharedStages } from './stages.ts';

/** What all arms began with, then the last stage of every arm in one mode: estimate and 95 % interval. */
export function armsBlock(summary: Summary, mode: EvaluationMode): TableBlock {
  const means = summary.means.filter((one) => modeKey(one.mode) === modeKey(mode));
  const cell = (arm: string, measure: Measure) => {
    const found = means.find((one) => one.arm === arm && one.measure === measure);
    const text = (value: number) => fixed(value, labels[measure].decimals);
    return found === undefined ? NOTHING : `${text(found.estimate)} [${text(found.low)}, ${text(found.high)}]`;
  };
  const shared = sharedStages(summary, mode).map(({ stage, measured }) => ({
    label: stageLabel(stage),
    cells: [String(measured.length), ...measures.map((measure) => measureText(measured, measure))],
    rule: false,
  }));
  return {
    title: `Last stage: ${modeLabel(mode)}`,
    header: ['seeds', ...measures.map((measure) => labels[measure].label)],
    rows: [
      ...shared,
      ...summary.arms.map((arm, i) => ({
        label: arm,
        cells: [
          String(means.find((one) => one.arm === arm)?.seeds ?? 0),
          ...measures.map((measure) => cell(arm, measure)),
        ],
        rule: i === 0 && shared.length > 0,
      })),
    ],
    notes: [],
  };
}

/** Every stage in one mode: means over seeds, exact match of each suite too. */
export function stagesBlock(summary: Summary, mode: EvaluationMode): TableBlock {
  const ofArms = summary.arms.map((arm) => ({ name: `${arm}, `, stages: ownStages(summary, arm, mode) }));
  const groups = [{ name: '', stages: sharedStages(summary, mode) }, ...ofArms];
  const all = groups.flatMap(({ stages }) => stages.flatMap(({ measured }) => measured));
  const suites = [...new Set(all.flatMap((one) => Object.keys(one.suites)))];
  const others = measures.filter((measure) => measure !== 'exactMatch');
  const ofSuite = (measured: Measured, suite: string) =>
    meanText(
      measured.map((one) => one.suites[suite]),
      labels.exactMatch.decimals,
    );
  return {
    title: `Every stage: ${modeLabel(mode)}`,
    header: ['exact match', ...suites, ...others.map((measure) => labels[measure].label)],
    rows: groups.flatMap(({ name, stages }, g) =>
      stages.map(({ stage, measured }, i) => ({
        label: name + stageLabel(stage),
        cells: [
          measureText(measured, 'exactMatch'),
          ...suites.map((suite) => ofSuite(measured, suite)),
          ...others.map((measure) => measureText(measured, measure)),
        ],
        rule: i === 0 && g > 0,
      })),
    ),
    notes: [],
  };
}

/** The same differences for the seeds of each base policy alone; undefined where all seeds have the same. */
export function basesBlock(summary: Summary): TableBlock | undefined {
  const bases = [...new Set(summary.bases)];
  if (bases.length < 2) return undefined;
  const reference = referenceOf(summary);
  // What claims are decided on: exact match at the largest and the smallest budget, searches at the largest.
  const modes = outerModes(summary);
  const decisive = [
    ...modes.map((mode) => ({ measure: 'exactMatch' as const, mode })),
    ...modes.slice(0, 1).map((mode) => ({ measure: 'searches' as const, mode })),
  ];
  const columns = decisive.flatMap((one) => bases.map((base, i) => ({ ...one, base, number: i + 1 })));
  const cell = (arm: string, { measure, mode, base }: (typeof columns)[number]) => {
    const found = summary.differences.find(
      (one) => one.arm === arm && one.measure === measure && modeKey(one.mode) === modeKey(mode),
    );
    const values = found?.bySeed.filter(({ seed }) => summary.bases[summary.seeds.indexOf(seed)] === base) ?? [];
    return values.length === 0 ? NOTHING : signed(mean(values.map(({ value }) => value)), labels[measure].decimals);
  };
  return {
    title: `Differences to ${reference}, base policy by base policy: sampled answers`,
    header: columns.map(({ measure, mode, number }) => `${labels[measure].label}, ≤ ${mode.searches}: base ${number}`),
    rows: summary.arms
      .filter((arm) => arm !== reference)
      .map((arm) => ({ label: arm, cells: columns.map((column) => cell(arm, column)), rule: false })),
    notes: bases.map((base, i) => {
      const seeds = summary.seeds.filter((_, s) => summary.bases[s] === base);
      return `Base ${i + 1}: weights ${base}…, ${seeds.join(', ')}.`;
    }),
  };
}

/** Exact match of the last stage by suite, mean over seeds. */
export function suitesBlock({ arms, suites: all }: Summary, mode: EvaluationMode): TableBlock {
  const here = all.filter((one) => modeKey(one.mode) === modeKey(mode));
  const suites = [...new Set(here.map(({ suite }) => suite))];
  const cell = (arm: string, suite: string) =>
    meanText(
      here.filter((one) => one.arm === arm && one.suite === suite).map(({ exactMatch }) => exactMatch),
      labels.exactMatch.decimals,
    );
  return {
    title: `Exact match by suite: ${modeLabel(mode)}`,
    header: suites,
    rows: arms.map((arm) => ({ label: arm, cells: suites.map((suite) => cell(arm, suite)), rule: false })),
    notes: [],
  };
}

/** Blocks without any figure are left out. */
export function blocksAsHtml(blocks: readonly TableBlock[]): Html[] {
  return blocks.filter(({ rows }) => rows.some(({ cells }) => cells.some((cell) => cell !== NOTHING))).map(blockAsHtml);
}
