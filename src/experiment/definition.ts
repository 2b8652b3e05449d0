/** What an experiment is: arms × seeds over common settings; the built-in ones, and the form of a user's file. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { isLocal } from '../engines/open-engine.ts';
import type { Inputs } from '../evolve/open.ts';
import { type PresetName, presets } from '../evolve/presets.ts';
import type { Settings } from '../evolve/settings.ts';
import { firstWarmUpWorld } from '../world/generate.ts';
import { type ArmName, allArmNames, armNames, E1, systemArmNames } from './arms.ts';
import { armsOf, type OwnArm, type OwnArmEntry, ownArmSchema } from './own-arms.ts';
import {
  checkClaims,
  checkSize,
  type OwnClaim,
  ownClaimsSchema,
  type Registered,
  registeredSchema,
} from './registered.ts';

/** A base policy. */
export interface Base {
  /** Its directory, or its place on the Hub; null = the embedded one. */
  readonly model: string | null;
  /** SHA-256 of its weights; null where a training server has them, which `settings.engine` names. */
  readonly weights: string | null;
}

/** The user's own questions and passages. */
export type OwnData = Omit<Inputs, 'model' | 'threads'>;

/** One seed of an experiment: it has a world and random streams of its own, and may have a base of its own. */
export interface Seed {
  /** Its folder: "seed-001". */
  readonly name: string;
  readonly seed: number;
  readonly world: number;
  /** Absent: that of the experiment. */
  readonly base?: Base;
}

export interface Definition {
  readonly name: string;
  readonly arms: readonly string[];
  /** Arms of one's own among them. */
  readonly own?: readonly OwnArm[];
  /** In place of the built-in ones. */
  readonly claims?: readonly OwnClaim[];
  readonly registered?: Registered;
  readonly seeds: readonly Seed[];
  readonly preset: PresetName;
  /** Of every arm and seed, but for the arm's change, `seed` and `world.seed`. */
  readonly settings: Settings;
  /** Null: every seed has an embedded world of its own. With own data seeds differ in their random streams alone. */
  readonly data: OwnData | null;
}

const claims: readonly ArmName[] = [
  ...[E1, 'grpo-tokens', 'grpo-seconds', 'same-prompt', 'sharpen', 'other-question', 'random-correct'],
  ...['sft-expert', 'skeleton'],
] as ArmName[];

/**
 * Built-in experiments: the arms on which the paper's claims stand or fall, all of the method's, and the systems of the field beside
 * it, at equal tokens.
 */
export const builtIn: Readonly<Record<string, readonly ArmName[]>> = {
  claims,
  'claims-all': armNames,
  systems: [E1, 'grpo-tokens', ...systemArmNames],
};

/** Most seeds of an experiment, and most entries of its lists. */
export const MOST = 1000;

/** By the schema of what it looks like, so that an error names the field within. */
const armEntry = z.custom<ArmName | OwnArmEntry>().superRefine((entry, context) => {
  const { error } = (typeof entry === 'object' ? ownArmSchema : z.enum(allArmNames)).safeParse(entry);
  for (const issue of error?.issues ?? []) context.addIssue({ ...issue });
});

/** A user's experiment. `settings` is checked where presets and single settings are put together. */
export const fileSchema = z.strictObject({
  arms: z.array(armEntry).min(1).max(MOST),
  claims: ownClaimsSchema.exactOptional(),
  /** Its size and its looks, fixed before it is run. */
  registered: registeredSchema.exactOptional(),
  /** How many; default: as many as are registered, else 5, 1 with the preset `smoke`. */
  seeds: z.int().min(1).max(MOST).exactOptional(),
  preset: z.enum(Object.keys(presets) as [PresetName, ...PresetName[]]).exactOptional(),
  /** Some settings, over the preset's. */
  settings: z.record(z.string(), z.unknown()).exactOptional(),
  /** World of each seed, in order. */
  worlds: z
    .array(
      z
        .int()
        .min(0)
        .max(firstWarmUpWorld - 1),
    )
    .min(1)
    .max(MOST)
    .exactOptional(),
  /** Base policy of each seed, in order, in place of one for all; null = the embedded one. */
  models: z.array(z.string().nullable()).min(1).max(MOST).exactOptional(),
});

/** Questions a suite: with 100 the seven suites' mean has a standard error of at most .019 in one mode and seed, with the default 40 .030. */
const QUESTIONS = 100;

/**
 * The settings of all arms before an arm's own change. Every arm is evaluated at budgets 4, 3 and 2, sampled and greedy.
 */
export function experimentSettings(preset: PresetName): Settings {
  const base = presets[preset];
  return {
    ...base,
    evaluation: {
      questions: preset === 'default' ? QUESTIONS : base.evaluation.questions,
      samples: 1,
      searches: [4, 3, 2],
      decoding: ['sampled', 'greedy'],
    },
  };
}

/**
 * Seeds 1, 2, … Their worlds are fresh: 101 and 2605 were used while tuning. Their bases are not opened here.
 * @throws UserError when there are fewer worlds or models than seeds
 */
export function seedsOf(count: number, { worlds, models }: Pick<ExperimentFile, 'worlds' | 'models'> = {}): Seed[] {
  for (const [name, given] of Object.entries({ worlds, models }))
    if (given !== undefined && given.length < count)
      throw new UserError(`${name}: ${given.length} given for ${count} seeds`, {
        hint: 'Give one for each seed, or ask for fewer seeds.',
      });
  return Array.from({ length: count }, (_, i) => ({
    name: `seed-${String(i + 1).padStart(3, '0')}`,
    seed: 101 + i,
    world: worlds?.[i] ?? 3001 + i,
  }));
}

/** @throws UserError when the arms cannot be run together, or when settings name what the experiment sets itself */
export function checkDefinition(definition: Definition): void {
  const { arms, claims, registered, seeds, preset, settings, data } = definition;
  const repeated = arms.find((arm, i) => arms.indexOf(arm) !== i);
  if (repeated !== undefined) throw new UserError(`arms: ${repeated} is named twice`);
  const matched = armsOf(definition).find(({ budget }) => budget !== undefined)?.name;
  if (matched !== undefined && !arms.includes(E1))
    throw new UserError(`arms: ${matched} needs ${E1}, whose budget it spends`, { hint: `Add ${E1} to the arms.` });
  const idle = definition.own?.find((own) => own.settings.cycles < 1);
  if (idle !== undefined) throw new UserError(`arms: ${idle.name}: cycles is 0, but every arm needs a first round`);
  if (claims !== undefined) checkClaims(claims, arms, settings.evaluation);
  if (registered !== undefined) checkSize(registered, seeds.length);
  if (data === null && !isLocal(settings.engine))
    throw new UserError(
      `settings: engine.kind is ${settings.engine.kind}, whose models cannot read the embedded world`,
      {
        hint: 'Give --questions, --corpus, --evaluate and --tokenizer.',
      },
    );
  if (data !== null && data.evaluate.length === 0)
    throw new UserError('--evaluate is missing: arms are compared on questions that none was trained on', {
      hint: 'For example: --evaluate nq=nq.test.jsonl',
    });
  const base = presets[preset];
  for (const [name, found, own] of [
    ['seed', settings.seed, base.seed],
    ['world.seed', settings.world.seed, base.world.seed],
    ['method', settings.method, base.method],
  ] as const)
    if (found !== own)
      throw new UserError(
        `settings: ${name} is ${found}, but the experiment sets it for each ${name === 'method' ? 'arm' : 'seed'}`,
        {
          hint: name === 'method' ? 'Leave it out.' : 'Leave it out; `worlds` names the worlds of the seeds.',
        },
      );
  if (settings.cycles < 1) throw new UserError('settings: cycles is 0, but every arm needs a first round');
}

export type ExperimentFile = z.infer<typeof fileSchema>;
