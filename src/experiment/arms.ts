/**
 * The arms of an experiment: Search-E1 as it is by default, and the same with one thing changed. Each can prove a part of
 * the method's explanation wrong (docs/experiments.md).
 */
import type { Settings } from '../evolve/settings.ts';
import { planStages } from '../evolve/stages.ts';
import { systemNames, systemOf } from '../evolve/systems.ts';

/** The stage of the first cycle before which an arm leaves the run that it shares with the others of its seed; start: it shares none. */
export type ForkPoint = 'start' | 'grpo' | 'pool' | 'gate';

/**
 * What `e1` of the same seed spent, evaluation left out. tokens, seconds: the later GRPO rounds of an arm spend what is left of it
 * after the first round, which both share · whole: all rounds of an arm share all of its tokens.
 */
export type Budget = 'tokens' | 'seconds' | 'whole';

export interface Arm {
  readonly name: string;
  /** What is changed, in one sentence. */
  readonly says: string;
  readonly forksAt: ForkPoint;
  readonly change: (base: Settings) => Settings;
  /** The steps of later rounds follow from `e1`'s timing (budget.ts), so `e1` of the same seed runs first. */
  readonly budget?: Budget;
}

const distilling = (change: Partial<Settings['distill']>) => (base: Settings) => ({
  ...base,
  distill: { ...base.distill, ...change },
});

/** At least two rounds: the budget of distillation goes into those after the first. */
const grpoAlone = (base: Settings): Settings => ({ ...base, method: 'grpo', cycles: Math.max(2, base.cycles) });

export const E1 = 'e1';

export const arms = [
  { name: E1, says: 'Search-E1 as it is.', forksAt: 'gate', change: (base) => base },
  {
    name: 'grpo-tokens',
    says: 'GRPO alone, its later rounds as long as generated and trained tokens equal those of e1.',
    forksAt: 'pool',
    change: grpoAlone,
    budget: 'tokens',
  },
  {
    name: 'grpo-seconds',
    says: 'GRPO alone, its later rounds as long as seconds equal those of e1.',
    forksAt: 'pool',
    change: grpoAlone,
    budget: 'seconds',
  },
  {
    name: 'same-prompt',
    says: 'The teacher is given the prompt and the temperature of the student: nothing can be learned.',
    forksAt: 'gate',
    change: distilling({ teacherSees: 'nothing', teacherTemperature: 1 }),
  },
  {
    name: 'sharpen',
    says: 'The teacher is given the prompt of the student, at the teacher temperature of e1: sharpening alone.',
    forksAt: 'gate',
    change: distilling({ teacherSees: 'nothing' }),
  },
  {
    name: 'other-question',
    says: 'The teacher is shown the expert trajectory of another question.',
    forksAt: 'gate',
    change: distilling({ teacherSees: 'other-question' }),
  },
  {
    name: 'random-correct',
    says: 'The teacher is shown any correct sibling, efficient or not.',
    forksAt: 'gate',
    change: distilling({ teacherSees: 'random-correct' }),
  },
  {
    name: 'unprivileged',
    says: 'The teacher is shown any sibling, right or wrong.',
    forksAt: 'gate',
    change: distilling({ teacherSees: 'any-sibling' }),
  },
  {
    name: 'sft-expert',
    says: 'Cross-entropy on the expert trajectories in place of the KL.',
    forksAt: 'gate',
    change: distilling({ objective: 'cross-entropy' }),
  },
  {
    name: 'reverse-kl',
    says: 'The KL of the student from the teacher, in place of that of the teacher from the student.',
    forksAt: 'gate',
    change: distilling({ objective: 'reverse-kl' }),
  },
  {
    name: 'jsd',
    says: 'The Jensen-Shannon divergence in place of the KL.',
    forksAt: 'gate',
    change: distilling({ objective: 'jsd' }),
  },
  {
    name: 'top-20',
    says: "Of the teacher's distribution its 20 likeliest tokens alone are taught, as they are: what a training server takes.",
    forksAt: 'gate',
    change: distilling({ targets: 'top-k' }),
  },
  {
    name: 'top-20-tail',
    says: "Of the teacher's distribution its 20 likeliest tokens are taught, and the rest as one more.",
    forksAt: 'gate',
    change: distilling({ targets: 'tail' }),
  },
  {
    name: 'skeleton',
    says: 'Of the expert trajectory the teacher is shown searches and answer alone; the gate too.',
    forksAt: 'gate',
    change: distilling({ expertView: 'searches-and-answer' }),
  },
  {
    name: 'queries-only',
    says: 'The KL is taken inside search tags alone.',
    forksAt: 'gate',
    change: distilling({ tokens: 'queries' }),
  },
  {
    name: 'no-clip',
    says: 'The pointwise KL is not clipped.',
    forksAt: 'gate',
    change: distilling({ clip: null }),
  },
  {
    name: 'paper-loss',
    says: 'Clip and teacher temperature of the paper: 10 and 1.',
    forksAt: 'gate',
    change: distilling({ clip: 10, teacherTemperature: 1 }),
  },
  {
    name: 'full-weights',
    says: 'All weights are distilled against a frozen copy, without an adapter.',
    forksAt: 'gate',
    change: distilling({ adapter: null }),
  },
  {
    name: 'one-cycle',
    says: 'One cycle.',
    forksAt: 'gate',
    change: (base) => ({ ...base, cycles: 1 }),
  },
  {
    name: 'three-cycles',
    says: 'Three cycles.',
    forksAt: 'gate',
    change: (base) => ({ ...base, cycles: 3 }),
  },
] as const satisfies readonly Arm[];

export type MethodArm = (typeof arms)[number]['name'];

export const armNames: readonly MethodArm[] = arms.map(({ name }) => name);

/**
 * The systems of the field (evolve/systems.ts) as arms: those that train by GRPO alone, from the base on, each with all tokens of
 * `e1`. Others have no round whose length could be matched, or are among the arms above.
 */
const systemArms = systemNames
  .filter((name) => systemOf(name).settings.method === 'grpo')
  .map((name) => {
    const { title, formula, settings } = systemOf(name);
    return {
      name: `system-${name}` as const,
      says: `${title}, its rounds as long as all tokens equal those of e1: ${formula}.`,
      forksAt: 'grpo' as const,
      change: (base: Settings): Settings => ({
        ...base,
        method: 'grpo',
        cycles: settings.cycles ?? 1,
        grpo: { ...base.grpo, ...settings.grpo },
      }),
      budget: 'whole' as const,
    };
  });

/** GRPO on exact match, with which the others are compared. */
export const PLAIN_SYSTEM = 'system-search-r1';

export const systemArmNames = systemArms.map(({ name }) => name);

export type ArmName = MethodArm | (typeof systemArms)[number]['name'];

/** All that an experiment may name. */
export const allArmNames: readonly ArmName[] = [...armNames, ...systemArmNames];

export function armOf(name: ArmName): Arm {
  return [...arms, ...systemArms].find((arm) => arm.name === name)!;
}

/** What an arm is, in a sentence; `own`: arms of one's own. Empty for a name that is not known. */
export function saysOfArm(name: string, own: readonly Pick<Arm, 'name' | 'says'>[] = []): string {
  return [...arms, ...systemArms, ...own].find((arm) => arm.name === name)?.says ?? '';
}

/** What the others are compared with: GRPO of equal tokens among systems, else `e1`, else the first. */
export function referenceOf(names: readonly string[]): string {
  return [PLAIN_SYSTEM, E1].find((name) => names.includes(name)) ?? names[0]!;
}

/** Of the run that all arms of a seed have in common. */
export const common = planStages({ method: 'search-e1', cycles: 1 });

/** The stage of a fork point: its name, and its index in every arm's plan, since they are the same up to there. */
export function forkStage(point: ForkPoint): { readonly name: string; readonly index: number } {
  const index = point === 'start' ? 0 : common.findIndex(({ kind }) => kind === point);
  return { name: common[index]!.name, index };
}

/** What is measured before the first of these arms leaves the common run: the same for all arms of a seed. `own`: arms of one's own. */
export function sharedBy(
  names: readonly string[],
  own: readonly Pick<Arm, 'name' | 'forksAt'>[] = [],
): readonly string[] {
  const among = [...allArmNames.map(armOf), ...own].filter(({ name }) => names.includes(name));
  return common
    .slice(0, Math.min(...among.map(({ forksAt }) => forkStage(forksAt).index)))
    .flatMap((stage) => (stage.kind === 'evaluate' ? [stage.of] : []));
}
