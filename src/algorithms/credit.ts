/**
 * Credit by privilege: what the policy itself would have said, had it been shown more, weighs its tokens at GRPO time.
 *
 *   Δ_n = log π(y_n | privileged prompt, y_<n) − log π(y_n | plain prompt, y_<n)      a number, without a gradient
 *
 *   weight   A · [(1 − λ) + λ · clip(exp(sign(A) · Δ_n), 1 − ε, 1 + ε)]     RLSD (arXiv 2604.03128); keeps the sign, 0 where A is 0
 *   add      A + λ Δ_n                                                      OPID's form (2606.26790); acts on every group
 *   gate     A + λ (σ(β Δ_n) − less)                                        SDAR (2605.15155): λ σ(βΔ) · (−log π) as a loss, whose
 *                                                                           gradient is this at one update a batch; less ½ its control
 *
 * In place of the plain prompt: a wrong sibling (CEPO 2605.19436, RLCSD 2606.11709; takes away what is style), or the reference
 * without its question (purified, 2607.02234: Δ less that of such a teacher). Over a turn: the sum of its Δ_n (PBSD 2606.09348).
 *
 * Departures: what is shown is a sibling of the same group in the place of skills, solutions or other models' words, the most
 * efficient one. Without one Δ is not there, and the trajectory is GRPO's. It never sees itself.
 */
import { meanOf } from '../benchmarks/statistics.ts';
import type { TokenIds } from '../policy/policy.ts';
import { turnsOf } from '../protocol/authors.ts';
import { type Trajectory, valid } from '../rollout/trajectory.ts';
import type { Advantage, RolledOutStep, Weighted } from './grpo.ts';
import { byEfficiency, findExpert } from './pairs.ts';

export interface Credit {
  /** right- and wrong-sibling: the most efficient of the group · other-question: the expert of the next one (a control) · gold-answer: its turn. */
  readonly sees: 'right-sibling' | 'wrong-sibling' | 'other-question' | 'gold-answer';
  /** What log π is compared with. Without a wrong sibling it is the plain prompt, as in CEPO. */
  readonly against: 'plain' | 'wrong-sibling' | 'reference-alone';
  readonly apply:
    | { readonly by: 'weight'; readonly weight: number; readonly clip: number }
    | { readonly by: 'add'; readonly add: number }
    | { readonly by: 'gate'; readonly gate: number; readonly slope: number; readonly less: number };
  readonly over: 'token' | 'turn';
  /** Steps over which λ falls to 0, linearly; 0: it stays. */
  readonly fallsOver: number;
}

export interface Credited {
  readonly weighted: Weighted[];
  /** Share of trajectories with a Δ; mean |Δ| of their policy tokens (or turns), in nats, null where there is none. */
  readonly figures: { readonly credited: number; readonly creditDelta: number | null };
}

/** The trajectories with their credit. @param at the step of the round, from 1 */
export async function withCredit(
  credit: Credit,
  weighted: readonly Weighted[],
  step: RolledOutStep,
  at: number,
): Promise<Credited> {
  const compared = weighted.map(({ trajectory, advantage }) =>
    // Nothing times a weight is nothing: it is not read.
    credit.apply.by === 'weight' && advantage === 0 ? undefined : comparedFor(credit, trajectory, step),
  );
  const deltas = await deltasOf(
    weighted.map(({ trajectory }) => trajectory),
    compared,
    step,
  );
  const fall = credit.fallsOver === 0 ? 1 : Math.max(0, 1 - (at - 1) / credit.fallsOver);
  const found: number[] = [];
  const credited = weighted.map((plain, i): Weighted => {
    const delta = deltas[i];
    if (delta === undefined) return plain;
    const { mask } = plain.trajectory;
    if (credit.over === 'turn') sumOverTurns(delta, mask);
    for (const [n, own] of mask.entries()) if (own === 1) found.push(Math.abs(delta[n]!));
    return { ...plain, advantage: applied(credit.apply, fall, plain.advantage, delta, mask) };
  });
  const share = deltas.filter((delta) => delta !== undefined).length / Math.max(1, deltas.length);
  return { weighted: credited, figures: { credited: share, creditDelta: meanOf(found, (x) => x) } };
}

/** Two prompts over the same response; `against` null is the one that it was sampled under. */
interface Compared {
  readonly privileged: TokenIds;
  readonly against: TokenIds | null;
}

/** Undefined where there is nothing to show, or what is to be scored is longer than can be read. */
function comparedFor(
  { sees, against }: Credit,
  trajectory: Trajectory,
  { questions, groups, prompts, contextLength }: RolledOutStep,
): Compared | undefined {
  const place = questions.findIndex(({ id }) => id === trajectory.questionId);
  const question = questions[place]!;
  const siblings = valid(groups[place]!).filter((other) => other !== trajectory);
  const wrong = siblings.filter(({ correct }) => correct === 0).sort(byEfficiency)[0];
  const shownTo = (seen: Trajectory | undefined) => seen && prompts.viewOf(seen);
  const shown = (() => {
    switch (sees) {
      case 'right-sibling':
        return shownTo(findExpert(siblings));
      case 'wrong-sibling':
        return shownTo(wrong);
      case 'other-question':
        return shownTo(expertAfter(groups, place));
      case 'gold-answer':
        return answerIds(prompts.answerTurn(question));
    }
  })();
  if (shown === undefined) return undefined;
  const second = (() => {
    switch (against) {
      case 'plain':
        return null;
      case 'wrong-sibling':
        return wrong === undefined ? null : prompts.showing(question, prompts.viewOf(wrong));
      case 'reference-alone':
        return prompts.showing(null, shown);
    }
  })();
  const privileged = prompts.showing(question, shown);
  const longest = Math.max(privileged.length, second?.length ?? 0) + trajectory.ids.length;
  return longest > contextLength ? undefined : { privileged, against: second };
}

/** The expert of the next group, in a circle, that has one. */
function expertAfter(groups: readonly (readonly Trajectory[])[], place: number): Trajectory | undefined {
  const others = [...groups.slice(place + 1), ...groups.slice(0, place)];
  for (const group of others) {
    const expert = findExpert(group);
    if (expert !== undefined) return expert;
  }
  return undefined;
}

function answerIds({ opening, words, closing }: ReturnType<RolledOutStep['prompts']['answerTurn']>): TokenIds {
  return [...opening, ...words, ...closing];
}

/** Δ over each response's ids, 0 where the environment wrote; all that has to be scored in one call. */
async function deltasOf(
  trajectories: readonly Trajectory[],
  compared: readonly (Compared | undefined)[],
  { score, own }: RolledOutStep,
): Promise<(Float64Array | undefined)[]> {
  const asked = trajectories.flatMap((trajectory, i) => {
    const both = compared[i];
    if (both === undefined) return [];
    const under = (prompt: TokenIds) => ({ sequence: [...prompt, ...trajectory.ids], prompt: prompt.length });
    return [under(both.privileged), ...(both.against === null ? [] : [under(both.against)])];
  });
  const plain = trajectories.filter((_, i) => compared[i]?.against === null);
  if (asked.length === 0) return trajectories.map(() => undefined);
  const scores = await score(asked.map(({ sequence }) => sequence));
  const sampled = plain.length === 0 ? [] : await own(plain);
  let [nextScore, nextOwn] = [0, 0];
  const responseOf = () => {
    const place = nextScore++;
    return scores[place]!.subarray(asked[place]!.prompt);
  };
  return trajectories.map(({ ids, mask }, i) => {
    const both = compared[i];
    if (both === undefined) return undefined;
    const privileged = responseOf();
    const other = both.against === null ? sampled[nextOwn++]! : responseOf();
    return Float64Array.from(ids, (_, n) => (mask[n] === 1 ? privileged[n]! - other[n]! : 0));
  });
}

function sumOverTurns(delta: Float64Array, mask: readonly (0 | 1)[]): void {
  for (const { start, end } of turnsOf(mask)) {
    const sum = delta.subarray(start, end).reduce((all, x) => all + x, 0);
    delta.fill(sum, start, end);
  }
}

/** @param fall what is left of λ, in [0, 1] */
function applied(
  apply: Credit['apply'],
  fall: number,
  advantage: Advantage,
  delta: Float64Array,
  mask: readonly (0 | 1)[],
): Float32Array {
  return Float32Array.from(delta, (d, n) => {
    if (mask[n] !== 1) return 0;
    const a = typeof advantage === 'number' ? advantage : advantage[n]!;
    switch (apply.by) {
      case 'weight': {
        const [lambda, { clip }] = [fall * apply.weight, apply];
        const w = Math.min(1 + clip, Math.max(1 - clip, Math.exp(Math.sign(a) * d)));
        return a * (1 - lambda + lambda * w);
      }
      case 'add':
        return a + fall * apply.add * d;
      case 'gate':
        return a + fall * apply.gate * (1 / (1 + Math.exp(-apply.slope * d)) - apply.less);
    }
  });
}

/** Why two parts of a credit do not go together; undefined where they do. */
export function contradictionIn({ sees, against }: Pick<Credit, 'sees' | 'against'>): string | undefined {
  if (sees === 'wrong-sibling' && against === 'wrong-sibling')
    return 'sees the very thing that it is compared with: Δ would be 0';
  return undefined;
}

/** Forward passes a trajectory that credit takes beside GRPO's, at most. */
export function scoredPasses({ against }: Credit): number {
  return against === 'plain' ? 1 : 2;
}

/** Whether it needs more than the questions and rollouts that GRPO has: the gold answer is GRPO's reward, but not its prompt. */
export function showsGold({ sees }: Credit): boolean {
  return sees === 'gold-answer';
}
