/**
 * Arms of a user's own: an arm that is known (`of`) with some settings changed over it. Where it leaves the run that the arms of a
 * seed share, and whose budget it spends, follow from what was changed; nobody has to say them.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { type Settings, settingsSchema } from '../evolve/settings.ts';
import { decisive } from '../evolve/stages.ts';
import { type Arm, type ArmName, allArmNames, armOf, type Budget, common, type ForkPoint, forkStage } from './arms.ts';

/** A folder below each seed has this name, so it is one on every system, and none that an experiment makes itself. */
const fileName = z
  .string()
  .max(40)
  .regex(/^[a-z](?:[a-z0-9.-]*[a-z0-9])?$/, {
    error: 'a name is of small letters, digits, "-" and ".", begins with a letter and ends with a letter or digit',
  })
  .refine((name) => name !== 'shared' && !/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/.test(name), {
    error: 'is the name of a folder that something else has: take another',
  })
  .refine((name) => !allArmNames.some((known) => known === name), {
    error: 'is the name of an arm that is known already: take another, or name that arm alone',
  });

const entry = { name: fileName, of: z.enum(allArmNames), says: z.string().min(1).max(400) };

/** As a file has it; `settings` is checked where presets and single settings are put together. */
export const ownArmSchema = z.strictObject({ ...entry, settings: z.record(z.string(), z.unknown()) });

/** As an experiment is recorded: with all settings, but for the seed and world of each seed. */
export const recordedArmSchema = z.strictObject({ ...entry, settings: settingsSchema });
export type OwnArm = z.infer<typeof recordedArmSchema>;
export type OwnArmEntry = z.infer<typeof ownArmSchema>;

/** What is the experiment's or the base arm's to say, and what has to be the same for arms that are asked the same questions. */
const FIXED = ['seed', 'method', 'world', 'engine', 'evaluation'] as const;

/** @throws UserError when the entry changes what an arm may not */
export function checkOwnArm({ name, settings }: OwnArmEntry): void {
  const fixed = FIXED.find((field) => Object.hasOwn(settings, field));
  if (fixed === undefined) return;
  const why = fixed === 'method' ? 'the arm that it is of has it' : 'all arms of a seed have the same';
  throw new UserError(`arms: ${name}: settings: ${fixed} cannot be changed by an arm, ${why}`, {
    hint: fixed === 'method' ? 'Take an arm of that method for `of`.' : "Set it in the experiment's own settings.",
  });
}

/** From the latest on. */
const points = ['gate', 'pool', 'grpo', 'start'] as const satisfies readonly ForkPoint[];

/**
 * The arm that an entry means in an experiment of these settings. It is forked where the arm that it is of is, or at the last point
 * before which nothing that decides a stage (evolve/stages.ts) was changed.
 * @throws UserError when no budget is left to be equal
 */
export function armOfOwn({ name, of, says, settings }: OwnArm, base: Settings): Arm {
  const { forksAt: latest, budget } = armOf(of);
  const forksAt = points.slice(points.indexOf(latest)).find((point) => {
    const past = common.slice(0, forkStage(point).index);
    return isDeepStrictEqual(decisive(settings, past), decisive(base, past));
  });
  if (forksAt === undefined)
    throw new UserError(
      `arms: ${name}: its settings decide which questions there are, which all arms of a seed share`,
      {
        hint: "Set gate.questions, guards.heldOutQuestions and trainingQuestions in the experiment's own settings.",
      },
    );
  const change = (ofSeed: Settings): Settings => ({ ...settings, seed: ofSeed.seed, world: ofSeed.world });
  return { name, says, forksAt, change, ...budgetAt(name, forksAt, budget) };
}

/** What is left after a first round can be spent by those alone who share it; with a first round of its own an arm shares all tokens. */
function budgetAt(name: string, forksAt: ForkPoint, budget: Budget | undefined): { readonly budget?: Budget } {
  if (budget === undefined) return {};
  const sharesFirst = forksAt === 'pool' || forksAt === 'gate';
  if (budget === 'seconds' && !sharesFirst)
    throw new UserError(`arms: ${name}: its settings change the first round, whose seconds it would share with e1`, {
      hint: 'Make it an arm of grpo-tokens: its rounds then share all tokens of e1.',
    });
  return { budget: sharesFirst ? budget : 'whole' };
}

/** The arms of an experiment in its order. */
export function armsOf({
  arms,
  own = [],
  settings,
}: {
  readonly arms: readonly string[];
  readonly own?: readonly OwnArm[] | undefined;
  readonly settings: Settings;
}): Arm[] {
  return arms.map((name) => {
    const mine = own.find((one) => one.name === name);
    return mine === undefined ? armOf(name as ArmName) : armOfOwn(mine, settings);
  });
}
