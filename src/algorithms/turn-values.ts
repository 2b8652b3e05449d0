/**
 * What a search was worth, by what is known from outside (rollout/gold.ts) or by the policy's own probability of the gold answer.
 * D_t are the passages that search t returned, g_1..g_n the gold ones.
 *
 *   gain               G_t = (1/n) Σ_i max(c_i^t − M_i^{t−1}, 0),  c_i^t = 1 where g_i ∈ D_t, M_i^t = max(M_i^{t−1}, c_i^t)
 *                      StepSearch (arXiv 2505.15107), with the passage itself in place of its likeness by tf-idf
 *   gain-less-repeats  G_t − P_t,  P_t the share of D_t that an earlier search has returned: StepSearch
 *   critic             +1 or −1. Good: it returns the gold passage of the first step not yet covered (where steps have no order, any).
 *                      CriticSearch (2511.12159) asks a model that knows the answer; this critic errs never, and is an upper bound
 *   answer-likelihood  p_t − p_{t−1},  p = exp(mean log π of the gold answer's tokens behind an opened answer tag) after search t
 *                      IGPO (2510.14967)
 */
import { turnsOf } from '../protocol/authors.ts';
import type { Gold } from '../rollout/gold.ts';
import { type SearchRecord, type Trajectory, valid } from '../rollout/trajectory.ts';
import type { RolledOutStep } from './grpo.ts';

export type TurnValue = 'gain' | 'gain-less-repeats' | 'critic' | 'answer-likelihood';

/** Of each valid rollout's turns, in order; null: the turn searched for nothing. */
export async function turnValues(
  of: TurnValue,
  step: RolledOutStep,
): Promise<ReadonlyMap<Trajectory, (number | null)[]>> {
  if (of === 'answer-likelihood') return likelihoodGains(step);
  const values = new Map<Trajectory, (number | null)[]>();
  for (const [q, group] of step.groups.entries()) {
    const question = step.questions[q]!;
    const gold = step.gold(question);
    if (gold === undefined) throw new RangeError(`nothing is known of question ${question.id} but its answers`);
    for (const trajectory of valid(group)) {
      const found = searchValues(of, trajectory.searches, gold);
      const turns: (number | null)[] = turnsOf(trajectory.mask).map(() => null);
      for (const [i, { turn }] of trajectory.searches.entries()) turns[turn!] = found[i]!;
      values.set(trajectory, turns);
    }
  }
  return values;
}

/** Of each search in order. */
export function searchValues(
  of: Exclude<TurnValue, 'answer-likelihood'>,
  searches: readonly Pick<SearchRecord, 'passages'>[],
  gold: Gold,
): number[] {
  const covered = new Set<string>();
  const seen = new Set<string>();
  return searches.map(({ passages }) => {
    const returned = passages.map(({ id }) => id);
    const open = gold.steps.filter(({ passage }) => !covered.has(passage));
    const next = gold.ordered ? open.slice(0, 1) : open;
    const isGood = next.some(({ passage }) => returned.includes(passage));
    const gained = open.filter(({ passage }) => returned.includes(passage));
    const repeats = returned.filter((id) => seen.has(id)).length / Math.max(1, returned.length);
    for (const { passage } of gained) covered.add(passage);
    for (const id of returned) seen.add(id);
    const gain = gained.length / gold.steps.length;
    if (of === 'critic') return isGood ? 1 : -1;
    return of === 'gain' ? gain : gain - repeats;
  });
}

/** One forward pass a history: before the first turn, and after the observation of each turn that searched. */
async function likelihoodGains(step: RolledOutStep): Promise<ReadonlyMap<Trajectory, (number | null)[]>> {
  const { questions, groups, prompts, contextLength, score } = step;
  const asked = groups.flatMap((group, q) => {
    const { opening, words } = prompts.answerTurn(questions[q]!);
    return valid(group).map((trajectory) => {
      const turns = turnsOf(trajectory.mask);
      const searched = new Set(trajectory.searches.map(({ turn }) => turn!));
      // What is shown after the last turn was not read by anybody: a search there has no value.
      const ends = turns.flatMap((_, t) => (searched.has(t) && t < turns.length - 1 ? [turns[t + 1]!.start] : []));
      const histories = [0, ...ends].map((end) => [
        ...trajectory.prompt,
        ...trajectory.ids.slice(0, end),
        ...opening,
        ...words,
      ]);
      // A history without room for the answer ends the comparison there.
      const fits = histories.filter(({ length }) => length <= contextLength);
      return { trajectory, turns, searched, words: words.length, histories: fits };
    });
  });
  const scores = await score(asked.flatMap(({ histories }) => histories));
  let next = 0;
  return new Map(
    asked.map(({ trajectory, turns, searched, words, histories }) => {
      const p = histories.map(() => {
        const logprobs = scores[next++]!;
        return Math.exp(logprobs.subarray(logprobs.length - words).reduce((sum, x) => sum + x, 0) / words);
      });
      let search = 0;
      const values = turns.map((_, t) => {
        if (!searched.has(t)) return null;
        search += 1;
        return search < p.length ? p[search]! - p[search - 1]! : 0;
      });
      return [trajectory, values];
    }),
  );
}
