/** What happened in training: what arms spent, what their pools and gates showed, and every distillation round. */
import { isStage } from '../../evolve/stages.ts';
import { stageLabel, type TableBlock } from '../../runs/table.ts';
import type { RunSummary, Summary } from '../schema.ts';
import { meanText, NOTHING } from './stages.ts';

interface Column<T> {
  readonly label: string;
  readonly of: (rows: readonly T[]) => string;
}

type Value = number | null;

/** The mean of a row's value or values. */
const figure = <T>(label: string, decimals: number, of: (row: T) => Value | Value[]): Column<T> => ({
  label,
  of: (rows) => meanText(rows.flatMap(of), decimals),
});

const share = <T>(label: string, decimals: number, of: (row: T) => Value | Value[]): Column<T> => ({
  label,
  of: (rows) => {
    const percent = rows.flatMap(of).map((value) => value && 100 * value);
    const text = meanText(percent, decimals);
    return text === NOTHING ? text : `${text} %`;
  },
});

/** Means over rounds and seeds. */
export function budgetsBlock({ arms, runs, laws }: Summary): TableBlock {
  // The law's points are the runs whose teacher is the one that the gate asked.
  const asked = ({ seed, arm, gates }: RunSummary) =>
    laws[0]?.points.some((point) => point.seed === seed && point.arm === arm) ? gates[0] : undefined;
  const columns: readonly Column<RunSummary>[] = [
    figure('million tokens', 2, (run) => run.trainingTokens && run.trainingTokens / 1e6),
    figure('minutes', 1, (run) => run.trainingSeconds && run.trainingSeconds / 60),
    share('questions with a pair', 0, ({ pools }) => pools.map(({ pairs, questions }) => pairs / questions)),
    share('students wrong', 0, ({ pools }) => pools.map(({ wrongStudents, pairs }) => wrongStudents / pairs)),
    figure('exact match added at gate 1', 3, (run) => asked(run)?.exactMatchGap ?? null),
    figure('searches saved at gate 1', 2, (run) => asked(run)?.searchesSaved ?? null),
    share('open gates', 0, ({ gates }) => gates.map(({ open }) => Number(open))),
  ];
  return {
    title: 'Budgets, pools and gates',
    header: columns.map(({ label }) => label),
    rows: arms.map((arm) => ({
      label: arm,
      cells: columns.map(({ of }) => of(runs.filter((run) => run.arm === arm))),
      rule: false,
    })),
    notes: [
      'Tokens are generated and trained ones; tokens and minutes are without evaluation. A question of a pool has a pair when an expert and a student that differs from it were found; the share of students that are wrong is of the pairs.',
      `At gate 1 held-out training questions are asked with and without an expert of the same question in the prompt, both at the teacher's temperature: what the expert adds to exact match, and the searches that it saves. “${NOTHING}”: the teacher of the arm is not the one that the gate asks.`,
      'Open gates: of the gates of all cycles, asked with an expert in every arm; an experiment distils behind a closed one too, unless its settings say otherwise.',
    ],
  };
}

type Round = RunSummary['training'][number];

const roundColumns: readonly Column<Round>[] = [
  figure('loss', 4, ({ loss }) => loss),
  figure('KL think', 3, ({ klThink }) => klThink),
  figure('KL search', 3, ({ klSearch }) => klSearch),
  figure('KL answer', 3, ({ klAnswer }) => klAnswer),
  figure('KL tags', 3, ({ klTag }) => klTag),
  share('clipped', 1, ({ clipFraction }) => clipFraction),
  figure('entropy', 3, ({ entropy }) => entropy),
];

/** A row an arm and round: means over steps and seeds. */
export function roundsBlock({ arms, runs }: Summary): TableBlock {
  const rows = arms.flatMap((arm) => {
    const rounds = runs
      .filter((run) => run.arm === arm)
      .flatMap(({ training }) => training.filter(({ stage }) => isStage(stage, 'distill')));
    return [...Map.groupBy(rounds, ({ stage }) => stage)].map(([stage, ofSeeds], i) => ({
      label: `${arm}, ${stageLabel(stage)}`,
      cells: roundColumns.map(({ of }) => of(ofSeeds)),
      rule: i === 0,
    }));
  });
  return {
    title: 'Distillation rounds',
    header: roundColumns.map(({ label }) => label),
    rows,
    notes: [
      'Means over the steps of a round and over seeds. KL in nats a token, before the clip; of reverse-kl and jsd their own divergence. The loss of sft-expert is its cross-entropy.',
    ],
  };
}
