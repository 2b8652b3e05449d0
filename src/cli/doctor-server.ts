/** `search-e1 doctor --engine URL`: what a training server can do of the method, before a run rests on it. */
import { type Lesson, lessonFor } from '../algorithms/soft-targets.ts';
import { messageOf, UserError } from '../base/errors.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { type Examination, examineServer, isLocal } from '../engines/open-engine.ts';
import { refuseUnable, shortcomings } from '../evolve/capabilities.ts';
import { tokenizerMissing } from '../evolve/open.ts';
import type { Settings } from '../evolve/settings.ts';
import type { Io } from './widgets/io.ts';

export interface ServerDiagnosis extends Omit<Examination, 'profile'> {
  readonly profile: string;
  /** What the profile says of a model's later saves: they are copies of its first. */
  readonly savesOnce: boolean;
  /** How a distillation round with these settings would teach; the reason where it could not. */
  readonly lesson: Lesson | { readonly refused: string };
  /** Why a run with these settings would be refused; null: it would not. */
  readonly refused: string | null;
  readonly notes: readonly string[];
}

export async function diagnoseServer(
  settings: Settings,
  tokenizerAt: string | undefined,
  io: Io,
): Promise<ServerDiagnosis> {
  const { engine } = settings;
  if (isLocal(engine)) throw new RangeError('a training server was expected');
  if (tokenizerAt === undefined) throw tokenizerMissing(engine.baseModel);
  const { pieces } = await loadTokenizer(tokenizerAt);
  const found = await examineServer(engine, pieces, (text) => io.err.write(`note: ${text}\n`));
  const { capabilities, vocabulary } = found;
  const info = { engine: 'tinker', vocabulary, contextLength: engine.context };
  return {
    ...found,
    profile: engine.profile,
    savesOnce: found.profile.savesOnce,
    lesson: attempt(
      () => lessonFor(settings.distill, capabilities, vocabulary),
      (refused) => ({ refused }),
    ),
    refused: attempt(
      () => {
        refuseUnable('tinker', { capabilities, info }, settings);
        return null;
      },
      (reason) => reason,
    ),
    notes: shortcomings('tinker', capabilities, settings),
  };
}

function attempt<T, U>(work: () => T, otherwise: (reason: string) => U): T | U {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return otherwise(`${messageOf(error)}${error.hint === undefined ? '' : `. ${error.hint}`}`);
  }
}

/** Whether a step depends on moments that a checkpoint was asked to be loaded without. */
function moments({ training, capabilities }: ServerDiagnosis): string {
  if (training === null) return '';
  const fresh = training.momentsMatter > 0.01 * training.moved;
  if (fresh === capabilities.optimizer.fresh) return ', as it shows';
  return fresh
    ? ', but it shows one: set engine.overrides.freshOptimizer=load'
    : ', but it keeps moments: set engine.overrides.freshOptimizer=none';
}

/** Whether a model that has been saved and trained on is saved as it is then. */
function laterSaves({ training, savesOnce }: ServerDiagnosis): string {
  if (training === null) return '';
  const once = training.laterSave > 0.1 * training.moved;
  if (once !== savesOnce)
    return once
      ? ", but a model's later ones are copies of its first: set engine.overrides.savesOnce=true"
      : '; each is its own: engine.overrides.savesOnce=false saves time';
  return once ? ", and goes on in a new model after each, since a model's later ones are copies of its first" : '';
}

/** Rounding in bfloat16 stays far below a tenth of a step. */
function agreement(difference: number, moved: number, off: string): string {
  const verdict =
    difference < 0.1 * moved ? `of ${moved.toExponential(1)} that a step moves` : 'they are not taken as they are sent';
  return `${difference.toExponential(1)} nats ${off}${difference < 0.1 * moved ? ', ' : ': '}${verdict}`;
}

const LESSONS: Readonly<Record<Lesson['kind'], string>> = {
  distribution: 'the whole distribution, inside the engine',
  'top-k': "the teacher's likeliest tokens",
  tail: "the teacher's likeliest tokens, and all others as one",
  draws: "draws of the teacher's likeliest tokens",
  sampled: "the student's own tokens, judged by the teacher: much noise",
};

export function serverText(diagnosis: ServerDiagnosis): string {
  const { url, profile, capabilities: can, samplerGap, training, lesson, refused, notes } = diagnosis;
  const yes = (is: boolean) => (is ? 'yes' : 'no');
  const rows = [
    ['Server', `${url}, as ${profile}`],
    ['GRPO with clip and k3', 'yes: forward, then one importance_sampling at ratio 1'],
    [
      'KL anchor',
      { any: 'any round', initial: 'the weights that the server was started with', none: 'no' }[can.frozen],
    ],
    [
      'Distillation',
      'refused' in lesson ? lesson.refused : `${LESSONS[lesson.kind]}${'k' in lesson ? ` (${lesson.k})` : ''}`,
    ],
    ['Sampler', `${can.sampler}: ${samplerGap.toExponential(1)} nats off the trainer's log-probabilities`],
    [
      'Adapter',
      can.adapter === 'always' ? 'LoRA from the first step on, in every stage' : 'none: all weights are trained',
    ],
    ['Fresh optimiser a stage', `${yes(can.optimizer.fresh)}${moments(diagnosis)}`],
    ['Gradient clip, betas a step', `${yes(can.optimizer.clip)}, ${yes(can.optimizer.betasPerStep)}`],
    ['Gradient norm reported', yes(can.optimizer.gradientNorm)],
    ['Checkpoints', `on the server; a run keeps their names${laterSaves(diagnosis)}`],
    ...(training === null
      ? [['Training', 'not tried: the server holds one model at a time']]
      : [
          ['Two half batches', agreement(training.halves, training.moved, 'off one')],
          ...(training.tables === null
            ? []
            : [['Tables of soft targets', agreement(training.tables, training.moved, 'off single ones')]]),
        ]),
  ] as const;
  const lines = rows.map(([name, value]) => `${name!.padEnd(29)}${value}`);
  lines.push(
    '',
    refused === null
      ? 'A run with these settings would be taken.'
      : `A run with these settings would be refused: ${refused}`,
  );
  for (const note of notes) lines.push(`  ${note}`);
  return `${lines.join('\n')}\n`;
}
