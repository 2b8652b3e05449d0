/**
 * Advantages turn by turn: each search has a value v_t of its own (turn-values.ts), the last turn the outcome r.
 *
 *   add w, of returns   R_t = Σ_{k≥t} γ^{k−t} w v_k + γ^{T−t} r,   A_t = norm(R_t) over all turns of the group
 *                       StepSearch (arXiv 2505.15107) without its value model, which is ours
 *   add w, of values    A_t = Σ_{k≥t} γ^{k−t} x̂_k,   x = (w v_1, …, w v_{T−1}, r), x̂ = norm(x) over all turns of the group
 *                       IGPO (2510.14967, its joint normalisation; here a value of exactly 0 stays in it)
 *   share α             A_t = α Σ_{k≥t} γ^{k−t} v̂_k + (1 − α) A,   v̂ = norm(v) over all searches of the group, A that of the rollout
 *                       CriticSearch (2511.12159); a turn without a search has A alone
 *
 * norm(x) = (x − mean)/(std + 1e-6), or x − mean: grpo.scale. A set without variance is exactly 0.
 */
import { turnsOf } from '../protocol/authors.ts';
import { type Trajectory, valid } from '../rollout/trajectory.ts';
import { groupAdvantages, type RolledOutStep, type Scale, type Weighted, weighGroups } from './grpo.ts';
import { type TurnValue, turnValues } from './turn-values.ts';

export interface TurnForm {
  readonly form: 'turn';
  readonly of: TurnValue;
  /** γ, in [0, 1]. */
  readonly discount: number;
  readonly mix:
    | { readonly by: 'add'; readonly add: number; readonly norm: 'returns' | 'values' }
    | { readonly by: 'share'; readonly share: number };
}

export async function weighTurns(step: RolledOutStep, form: TurnForm, scale: Scale): Promise<Weighted[]> {
  const values = await turnValues(form.of, step);
  return step.groups.flatMap((group) => {
    const siblings = valid(group);
    const ofTurns = siblings.map((trajectory) => values.get(trajectory)!);
    const advantages =
      form.mix.by === 'add'
        ? added(siblings, ofTurns, form.discount, form.mix, scale)
        : shared(siblings, ofTurns, form.discount, form.mix.share, scale);
    return siblings.map((trajectory, i) => ({ trajectory, advantage: overTokens(trajectory, advantages[i]!) }));
  });
}

/** Of each turn; null: it searched for nothing. */
type Values = readonly (number | null)[];

function added(
  siblings: readonly Trajectory[],
  values: readonly Values[],
  discount: number,
  { add, norm }: { readonly add: number; readonly norm: 'returns' | 'values' },
  scale: Scale,
): number[][] {
  // A search in the last turn (its observation did not fit, say) counts beside the outcome.
  const rewards = siblings.map(({ reward }, i) =>
    values[i]!.map((v, t, all) => add * (v ?? 0) + (t === all.length - 1 ? reward : 0)),
  );
  return norm === 'returns'
    ? normalised(
        rewards.map((of) => returns(of, discount)),
        scale,
      )
    : normalised(rewards, scale).map((of) => returns(of, discount));
}

function shared(
  siblings: readonly Trajectory[],
  values: readonly Values[],
  discount: number,
  share: number,
  scale: Scale,
): number[][] {
  const outcome = weighGroups([siblings], scale).map(({ advantage }) => advantage as number);
  const ofSearches = normalised(
    values.map((of) => of.filter((v) => v !== null)),
    scale,
  );
  return values.map((of, i) => {
    const sums = returns(ofSearches[i]!, discount);
    let next = 0;
    return of.map((v) => (v === null ? outcome[i]! : share * sums[next++]! + (1 - share) * outcome[i]!));
  });
}

/** norm over all numbers of all lists together. */
function normalised(lists: readonly (readonly number[])[], scale: Scale): number[][] {
  const all = groupAdvantages(lists.flat(), scale);
  let next = 0;
  return lists.map((list) => list.map(() => all[next++]!));
}

/** R_t = x_t + γ R_{t+1}. */
function returns(values: readonly number[], discount: number): number[] {
  const sums = [...values];
  for (let t = sums.length - 2; t >= 0; t--) sums[t]! += discount * sums[t + 1]!;
  return sums;
}

function overTokens({ ids, mask }: Trajectory, ofTurns: readonly number[]): Float32Array {
  const each = new Float32Array(ids.length);
  for (const [t, { start, end }] of turnsOf(mask).entries()) each.fill(ofTurns[t]!, start, end);
  return each;
}
