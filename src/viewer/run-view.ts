/** A run as it is told on its page: what happened, what comes next, stages, tables, curves. */
import path from 'node:path';
import { clock } from '../base/clock.ts';
import type { Results, StageOutcome } from '../evolve/results.ts';
import { isStage, planStages, type Stage, stageNamed } from '../evolve/stages.ts';
import { commandsFor } from '../runs/commands.ts';
import type { RunConfig } from '../runs/config-record.ts';
import { estimateMean, headline, mainMeasurements } from '../runs/headline.ts';
import { isInUse } from '../runs/lock.ts';
import type { RunFiles } from '../runs/run-files.ts';
import { estimateText, modeLabel, stageLabel, tableBlocks } from '../runs/table.ts';
import { curvesOf } from './curves.ts';
import type { Fact, Overview, RunState, SourceLine, StageLine, Table } from './wire.ts';

const noResults: Results = { schema: 1, measurements: [], pools: [], gates: [], outcomes: [] };

export async function runOverview(files: RunFiles, source: SourceLine): Promise<Overview> {
  const config = await files.config();
  const [results = noResults, metrics, timing] = [await files.results(), await files.metrics(), await files.timing()];
  const plan = planStages(config.settings);
  const seen = new Set(metrics.map(({ stage }) => stage));
  const isDone = (stage: Stage) => isStageDone(stage, results);
  const state: RunState = plan.every(isDone) ? 'finished' : (await isInUse(files.folder)) ? 'running' : 'stopped';
  const current = plan.find((stage) => !isDone(stage));
  const stages = plan
    .filter(({ kind }) => kind !== 'evaluate')
    .map((stage) => stageLine(stage, results, current, seen));
  const begun = current === undefined ? '' : labelOf(current);
  const step = metrics.findLast(({ stage }) => stage === current?.name);
  return {
    source,
    state,
    sentence: sentenceOf(results, state, begun, step?.step),
    facts: factsOf(config, results, timing),
    next: nextOf(files.folder, state),
    stages,
    tables: tablesOf(results),
    curves: curvesOf(metrics),
    notes: [],
    settings: JSON.stringify(
      { versions: config.versions, hashes: config.hashes, inputs: config.inputs, settings: config.settings },
      null,
      2,
    ),
    pairStages: [...new Set((await files.pairShards()).map((shard) => shard.replace(/-\d+$/, '')))],
  };
}

function isStageDone(stage: Stage, { measurements, pools, gates, outcomes }: Results): boolean {
  const named = (list: readonly { readonly stage: string }[], name: string) => list.some((one) => one.stage === name);
  switch (stage.kind) {
    case 'evaluate':
      return named(measurements, stage.of);
    case 'pool':
      return named(pools, stage.name);
    case 'gate':
      // One that is switched off measures nothing: what comes after it tells that it is past.
      return named(gates, stage.name) || outcomes.some((one) => isStage(one.stage, 'distill', stage.cycle));
    default:
      return named(outcomes, stage.name);
  }
}

function sentenceOf(results: Results, state: RunState, stage: string, step: number | undefined): string {
  const main = mainMeasurements(results);
  const [base, last] = [main[0], main.at(-1)];
  const came = base === undefined || last === undefined ? 'Nothing has been measured yet.' : headline(base, last);
  const at = `${stage}${step === undefined || step === 0 ? '' : `, step ${step} done`}`;
  if (state === 'running') return `Under way: ${at}. ${came}`;
  if (state === 'stopped') return `Stopped before its end, in ${at}. ${came}`;
  return came;
}

const labelOf = (stage: Stage) =>
  stage.kind === 'evaluate' ? `evaluation of ${stageLabel(stage.of)}` : stageLabel(stage.name);

function factsOf(config: RunConfig, results: Results, timing: Awaited<ReturnType<RunFiles['timing']>>): Fact[] {
  const main = mainMeasurements(results);
  const [base, last] = [main[0], main.at(-1)];
  const change = (of: (m: NonNullable<typeof base>['mean']) => Parameters<typeof estimateMean>[0], decimals: number) =>
    base === undefined || last === undefined
      ? '–'
      : base === last
        ? estimateMean(of(base.mean), decimals)
        : `${estimateMean(of(base.mean), decimals)} → ${estimateMean(of(last.mean), decimals)}`;
  const { settings, inputs } = config;
  return [
    {
      name: 'exact match',
      value: change((m) => m.exactMatch, 3),
      means:
        'Share of questions answered with a gold answer, mean over the suites, from the base policy to the last stage.',
    },
    {
      name: 'searches a question',
      value: change((m) => m.searches, 2),
      means: 'How often the policy searched before it answered.',
    },
    {
      name: 'policy tokens',
      value: change((m) => m.policyTokens, 1),
      means: 'Tokens that the policy wrote for a question; passages do not count.',
    },
    {
      name: 'grounded',
      value: change((m) => m.grounded, 3),
      means: 'Of the answers but yes and no, those that stand in a passage that was shown: read, not guessed.',
    },
    ...(timing === undefined
      ? []
      : [
          {
            name: 'time',
            value: clock(timing.totalSeconds),
            means: `Sampling ${clock(timing.samplingSeconds)}, retrieval ${clock(timing.retrievalSeconds)}, training ${clock(timing.trainingSeconds)}.`,
          },
        ]),
    { name: 'method', value: `${settings.method}, preset ${config.preset}, seed ${settings.seed}` },
    {
      name: 'questions',
      value: inputs.questions === null ? 'embedded world' : path.basename(inputs.questions),
      means: inputs.questions ?? 'A small made-up world that comes with search-e1.',
    },
  ];
}

/** A folder as it is typed: relative only below where the command was given. */
export function typedPath(folder: string): string {
  const relative = path.relative(process.cwd(), folder) || '.';
  return relative.startsWith('..') ? folder : relative;
}

function nextOf(folder: string, state: RunState): Overview['next'] {
  const place = typedPath(folder);
  if (state === 'running') return [];
  if (state === 'stopped')
    return [{ command: commandsFor(place).resume, means: 'continue it; it ends with the same bits' }];
  const { ask, evaluate, export: exported } = commandsFor(place);
  return [
    { command: ask, means: 'ask it something and read along' },
    { command: evaluate, means: 'put it to further questions' },
    { command: exported, means: 'take the weights elsewhere' },
  ];
}

const meanings: Readonly<Record<Stage['kind'], string>> = {
  evaluate: 'Asks the questions of all suites.',
  grpo: 'Reinforcement learning: every question is tried several times; what did better than its siblings is made likelier.',
  pool: 'The policy answers its own training questions again; pairs of an efficient and another rollout are picked from them.',
  gate: 'A check on held-out questions: does the policy do better when it is shown an efficient rollout? It only informs, unless settings say otherwise.',
  distill:
    'Self-distillation (E1): the policy, shown the efficient rollout, teaches itself, who has not seen it, token by token.',
  sft: 'Supervised fine-tuning: cross-entropy on given responses.',
};

function stageLine(stage: Stage, results: Results, current: Stage | undefined, seen: ReadonlySet<string>): StageLine {
  const outcome = results.outcomes.find((one) => one.stage === stage.name);
  const isLeftOut = outcome !== undefined && ['gate', 'no-pairs', 'no-data'].includes(outcome.stoppedBy);
  const done = isStageDone(stage, results);
  return {
    name: stage.name,
    label: stageLabel(stage.name),
    kind: stage.kind,
    means: meanings[stage.kind],
    status: isLeftOut
      ? 'left out'
      : done
        ? 'done'
        : stage === current || seen.has(stage.name)
          ? 'under way'
          : 'to come',
    note: noteOf(stage, results, outcome),
    query: stage.kind === 'distill' ? null : `stage=${stage.name}`,
  };
}

function noteOf(stage: Stage, results: Results, outcome: StageOutcome | undefined): string {
  const pool = results.pools.find((one) => one.stage === stage.name);
  if (pool)
    return `${pool.rollouts} rollouts, ${pool.pairs} pairs, of them ${pool.wrongStudents} with a wrong student; experts search ${pool.expertSearches.toFixed(2)} times, students ${pool.studentSearches.toFixed(2)}`;
  const gate = results.gates.find((one) => one.stage === stage.name);
  if (gate) {
    const figures = `shown an efficient rollout: exact match ${estimateText(gate.plain.exactMatch, 3)} → ${estimateText(gate.privileged.exactMatch, 3)}, searches ${estimateText(gate.plain.searches, 2)} → ${estimateText(gate.privileged.searches, 2)}`;
    return `${gate.open ? 'there is something to distil' : 'no more to gain than chance would give'} (${figures})`;
  }
  if (outcome === undefined) return '';
  const kept = outcome.keptStep === outcome.steps ? '' : `, weights of step ${outcome.keptStep} kept`;
  return `${outcome.steps} steps${kept}${outcome.reason === undefined ? '' : `: ${outcome.reason}`}`;
}

/** Cells of exact match lead to the rollouts that they are made of. */
export function tablesOf(results: Results): Table[] {
  const stages = [...new Set(results.measurements.map(({ stage }) => stage))];
  const suites = new Set(results.measurements.flatMap((one) => one.suites.map(({ suite }) => suite)));
  const modes = new Map(results.measurements.map(({ mode }) => [modeLabel(mode), mode]));
  const blocks = tableBlocks(results);
  return [...modes.values()].map((mode, i) => {
    const { title, header, rows, notes } = blocks[i]!;
    return {
      title,
      header,
      notes,
      rows: rows.map(({ label, cells, rule }) => ({
        label,
        rule,
        cells: cells.map((text, column) => {
          const query = new URLSearchParams({
            part: 'evaluation',
            stage: stages[column]!,
            mode: `${mode.decoding}-${mode.searches}`,
          });
          if (suites.has(label)) query.set('suite', label);
          return { text, query: query.toString() };
        }),
      })),
    };
  });
}

/** For names of stages anywhere on the page. */
export const labelOfStage = (name: string): string => stageNamed(name)?.label ?? name;
