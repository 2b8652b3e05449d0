/**
 * GiGPO (arXiv 2505.10978, section 3; gigpo/core_gigpo.py of verl-agent): beside the advantage of the whole rollout one of each
 * turn, among the turns of the same question's rollouts that began from the same observation.
 *
 *   A = A_E + ω A_S                 A_E = r − mean r, or divided by the deviation: grpo.scale
 *   R_t = γ^{T−t} r                 of turn t of T: the outcome, discounted
 *   A_S = R_t − mean of R over the turns with its anchor, or divided by their deviation; 0 alone in its set
 *
 * The anchor is what the environment wrote before the turn, token by token: the passages just returned. All first turns are one
 * set, where A_S = γ^{T−1} r − mean: γ < 1 is a price on turns, γ = 1 its control. The mean of A_E is over rollouts, as in the paper; by
 * default the code takes it over turns, where long rollouts weigh more.
 */
import { stretches } from '../protocol/authors.ts';
import { type Trajectory, valid } from '../rollout/trajectory.ts';
import { groupAdvantages, type Scale, type Weighted, weighGroups } from './grpo.ts';

export interface StateForm {
  readonly form: 'state';
  /** ω. */
  readonly weight: number;
  /** γ, in [0, 1]. */
  readonly discount: number;
}

export function weighStates(
  groups: readonly (readonly Trajectory[])[],
  { weight, discount }: Pick<StateForm, 'weight' | 'discount'>,
  scale: Scale,
): Weighted[] {
  return groups.flatMap((group) => {
    const weighted = weighGroups([group], scale);
    const turns = valid(group).flatMap((trajectory, of) =>
      anchoredTurns(trajectory).map((turn, t, all) => ({
        ...turn,
        of,
        return: discount ** (all.length - 1 - t) * trajectory.reward,
      })),
    );
    const each = weighted.map(({ trajectory, advantage }) =>
      new Float64Array(trajectory.ids.length).fill(advantage as number),
    );
    for (const set of Map.groupBy(turns, ({ anchor }) => anchor).values()) {
      const ofState = groupAdvantages(
        set.map((turn) => turn.return),
        scale,
      );
      for (const [i, { of, start, end }] of set.entries())
        for (let n = start; n < end; n++) each[of]![n]! += weight * ofState[i]!;
    }
    return weighted.map(({ trajectory }, i) => ({ trajectory, advantage: Float32Array.from(each[i]!) }));
  });
}

/** The policy's turns, each with the tokens of the observation before it; the first has none. */
function anchoredTurns({
  ids,
  mask,
}: Trajectory): { readonly anchor: string; readonly start: number; readonly end: number }[] {
  const all = stretches(mask);
  return all.flatMap(({ author, start, end }, i) => {
    if (author !== 'policy') return [];
    const before = all[i - 1];
    return [{ anchor: before === undefined ? '' : ids.slice(before.start, before.end).join(' '), start, end }];
  });
}
