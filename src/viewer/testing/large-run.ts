/** A run of as many rollouts as one likes, made by a formula: sizes of text and tokens as in a run of the embedded world. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { stepShard } from '../../evolve/shards.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { toLine } from '../../rollout/trajectory-file.ts';
import { writeRowsFile } from '../../runs/rows/rows-file.ts';
import { writeRun } from './view-fixture.ts';

/** Questions of a step, and rollouts of a question. */
const [QUESTIONS, GROUP] = [20, 8];
export const ROLLOUTS_OF_STEP = QUESTIONS * GROUP;

const syllables = [
  'ka',
  'lo',
  'mir',
  'ten',
  'sa',
  'vu',
  'der',
  'pol',
  'ni',
  'gra',
  'hes',
  'tor',
  'bel',
  'qui',
  'zan',
  'ro',
];

/** The n-th word: the same for everybody, unlike its neighbours. */
function word(n: number): string {
  const mixed = Math.imul(n ^ (n >>> 15), 0x2c1b3c6d) >>> 0;
  return syllables[mixed & 15]! + syllables[(mixed >>> 8) & 15]! + syllables[(mixed >>> 16) & 15]!;
}
const words = (from: number, count: number) => Array.from({ length: count }, (_, i) => word(from + i)).join(' ');

/** Rollout of a question: right, misread, or never shown the answer, by the remainder of a number. */
function largeRollout(step: number, question: number, rollout: number): Trajectory {
  const number = question + 7 * step;
  const gold = word(number);
  const fate = (number + rollout * 3 + step) % 5;
  const [isShown, correct] = [fate !== 4, fate < 2 ? 1 : 0] as const;
  const count = 1 + ((rollout + question) % 3);
  const subject = words(number * 31, 2);
  const searches = Array.from({ length: count }, (_, i) => ({
    query: i === 2 ? `${subject} ${word(number)}` : `${subject} ${word(number + i + 1)}`,
    turn: i,
    passages: [0, 1, 2].map((rank) => ({
      id: `a${number * 3 + rank}`,
      title: words(number * 3 + rank, 2),
      score: 9.5 - rank,
    })),
  }));
  const response = searches.flatMap(({ query, passages }, i) => [
    `<think> need the home of ${subject} </think> <search> ${query} </search>`,
    ` <information> ${passages
      .map(
        ({ title }, rank) =>
          `[ ${title} ] ${title} is a ${words(number + rank + i + 1, 9)} of ${rank === 1 && isShown ? gold : 'nothing'}`,
      )
      .join(' ')} </information> `,
  ]);
  const answer = fate === 3 ? null : correct === 1 ? gold : words(number + 9, 1);
  response.push(
    `<think> so it is ${word(number + rollout)} </think>${answer === null ? '' : ` <answer> ${answer} </answer>`}`,
  );
  const lengths = response.map((_, i) => (i % 2 === 0 ? 14 : 38));
  const mask = lengths.flatMap((length, i) => new Array<0 | 1>(length).fill(i % 2 === 0 ? 1 : 0));
  return {
    questionId: `q${number}`,
    dataset: ['single', 'bridge', 'deep'][question % 3]!,
    question: `where is the ${words(number, 3)} of ${subject} ?`,
    gold: [gold],
    rollout,
    prompt: Array.from({ length: 40 }, (_, i) => (number + i) % 480),
    ids: mask.map((_, i) => (number * 7 + i * 3) % 480),
    mask,
    logprobs: mask.map((own, i) => (own ? -Math.fround(((i * 37 + number) % 100) / 217) : 0)),
    searches,
    stop: answer === null ? 'no-answer' : 'answered',
    answer,
    correct,
    reward: correct,
    wellFormed: answer !== null,
    grounded: answer === null ? null : correct === 1,
    text: {
      prompt: `answer the question by searching . question : where is the ${words(number, 3)} of ${subject} ?`,
      response,
    },
    training: {
      advantage: correct === 1 ? 1.2 : -0.8,
      kl: mask.flatMap((own, i) => (own ? [((i * 13) % 50) / 7919] : [])),
    },
  };
}

function* largeStep(step: number): Generator<Trajectory> {
  for (let question = 0; question < QUESTIONS; question++)
    for (let rollout = 0; rollout < GROUP; rollout++) yield largeRollout(step, question, rollout);
}

/** @param rollouts rounded up to whole steps  @param seen gets each of them  @param withRows as of a run of now, which writes rows beside its shards */
export async function writeLargeRun(
  folder: string,
  rollouts: number,
  { seen = () => {}, withRows = true }: { readonly seen?: (one: Trajectory) => void; readonly withRows?: boolean } = {},
): Promise<void> {
  await writeRun(folder, {});
  const trajectories = path.join(folder, 'trajectories');
  await mkdir(trajectories, { recursive: true });
  for (let step = 1; step <= Math.ceil(rollouts / ROLLOUTS_OF_STEP); step++) {
    const all = [...largeStep(step)];
    all.forEach(seen);
    const text = all.map((one) => `${toLine(one)}\n`).join('');
    // What is read is the same at every level; this one is written fast.
    const bytes = gzipSync(text, { level: 1 });
    const shard = stepShard('grpo-1', step);
    await writeFile(path.join(trajectories, `${shard}.jsonl.gz`), bytes);
    const stamp = { hash: '', size: bytes.length, ending: bytes.toString('hex', bytes.length - 8) };
    if (withRows) await writeRowsFile(folder, shard, stamp, all);
  }
}
