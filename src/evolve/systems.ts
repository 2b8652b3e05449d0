/**
 * The systems of the field as settings, over any preset: what each trains on, and nothing else. Sizes, rates and budgets stay the
 * preset's, so that systems differ in what they compute (but for the group of Tree-GRPO, which its trees share evenly). What a source does not state stays out of the entry that carries its name,
 * or the entry says "in the manner of"; `departs` says what else is not as in the source (docs/systems.md).
 */
import type { AdvantageForm } from '../algorithms/advantages.ts';
import type { Credit } from '../algorithms/credit.ts';
import type { RewardPart } from '../algorithms/reward.ts';
import type { Settings } from './settings.ts';

export interface System {
  readonly title: string;
  /** Paper, and code where it was read. */
  readonly source: string;
  /** What it computes, in a line. */
  readonly formula: string;
  /** What it needs beyond questions, their answers and its own rollouts; "none", or in words. */
  readonly needs: string;
  /** In what it is not the source's; empty: in nothing that is known. */
  readonly departs: string;
  readonly settings: SystemSettings;
}

/** As a file of settings. */
type SystemSettings = Partial<Pick<Settings, 'method' | 'cycles'>> & {
  readonly grpo?: Partial<Settings['grpo']>;
  readonly distill?: Partial<Settings['distill']>;
  readonly sft?: Partial<Settings['sft']>;
};

const answer = (by: 'exact-match' | 'f1' | 'contains', right = 1, wrong = 0): RewardPart => ({
  part: 'answer',
  by,
  right,
  wrong,
});
const EM = answer('exact-match');
const F1 = answer('f1');
const form = (valid: number, invalid: number, when: 'always' | 'wrong' = 'always', decides = false): RewardPart => ({
  part: 'form',
  valid,
  invalid,
  when,
  decides,
});

/** GRPO on the sum of these parts. */
const grpo = (parts: readonly RewardPart[], more: Partial<Settings['grpo']> = {}): SystemSettings => ({
  method: 'grpo',
  grpo: { reward: [[...parts]], ...more },
});
/** GRPO on exact match, with credit by a sibling. */
const credited = (credit: Partial<Credit> & Pick<Credit, 'apply'>, more: Partial<Settings['grpo']> = {}) =>
  grpo([EM], {
    credit: { sees: 'right-sibling', against: 'plain', over: 'token', fallsOver: 0, ...credit },
    ...more,
  });
const SIBLING = 'the privilege is a right sibling of the group; ';
const turn = (part: Omit<Extract<AdvantageForm, { form: 'turn' }>, 'form'>) => ({
  advantage: { form: 'turn', ...part } as const,
});
const PRICE = 0.05;

export const systems = {
  'search-r1': {
    title: 'Search-R1',
    source: 'arXiv 2503.09516; PeterGriffinJin/Search-R1 a14dc3a',
    formula: 'r = exact match; A = norm(r) over the group',
    needs: 'none',
    departs: 'invalid turns have a limit of their own',
    settings: grpo([EM]),
  },
  research: {
    title: 'ReSearch',
    source: 'arXiv 2503.19470; reward as in zeocax/verl 588c245',
    formula: 'r = 0 where the form is invalid, else F1, else .1',
    needs: 'none',
    departs: 'valid means well formed in our tags, without \\boxed{}; yes and no score by F1 as other answers do',
    settings: grpo([F1, form(0.1, 0, 'wrong', true)]),
  },
  'r1-searcher': {
    title: 'R1-Searcher',
    source: 'arXiv 2503.05592; RUCAIBox/R1-Searcher 631167c',
    formula: 'round 1: ±1 by containment + .5 for a search + .5 for the form; round 2: F1 − 2 where the form is bad',
    needs: 'none',
    departs: 'GRPO in place of REINFORCE++; questions are not sorted; the penalty is that of its Qwen server',
    settings: {
      method: 'grpo',
      cycles: 2,
      grpo: {
        reward: [
          [answer('contains', 1, -1), { part: 'searched', worth: 0.5 }, form(0.5, 0)],
          [F1, form(0, -2)],
        ],
      },
    },
  },
  zerosearch: {
    title: 'ZeroSearch',
    source: 'arXiv 2505.04588; Alibaba-NLP/ZeroSearch 2d4cdca',
    formula: 'r = F1; a search is answered with noise by a share that rises from 0 to .5, b 4',
    needs: 'none',
    departs:
      'noise is a corrupted query, not the words of a model that knows the answer (which is why nothing is needed); the share rises over the round’s steps, not over 203',
    settings: grpo([F1], { noise: { by: 'corrupted-query', from: 0, to: 0.5, base: 4 } }),
  },
  stepsearch: {
    title: 'StepSearch',
    source: 'arXiv 2505.15107; Zillwang/StepSearch 43215ba',
    formula:
      'r_t = .6 (gain − redundancy) a search, F1 + .618 K at the end; A_t = norm(R_t) over the turns of the group',
    needs: 'gold passages, keys',
    departs:
      'no value model; likeness of passages is identity; no −1 in place of the whole reward for text behind the answer, or without one',
    settings: grpo([F1, { part: 'keys', worth: 0.618 }], {
      ...turn({ of: 'gain-less-repeats', discount: 1, mix: { by: 'add', add: 0.6, norm: 'returns' } }),
    }),
  },
  'dynasearcher-manner': {
    title: 'in the manner of DynaSearcher',
    source: 'arXiv 2507.17365, by digest',
    formula: 'r = F1 + form − c · searches, and the gain of each search',
    needs: 'gold passages',
    departs: 'no coefficient of the paper is known, all here are ours; no tool for triples; every search is priced',
    settings: grpo([F1, form(0.1, 0), { part: 'price', perSearch: PRICE, when: 'always' }], {
      ...turn({ of: 'gain', discount: 1, mix: { by: 'add', add: 1, norm: 'returns' } }),
    }),
  },
  autorefine: {
    title: 'AutoRefine',
    source: 'arXiv 2505.11277; syr-cn/AutoRefine 8363788',
    formula: 'r = F1, else .1 where a gold answer stands in what was refined',
    needs: 'none',
    departs: 'what is thought behind the first passages is the refinement: no tag of its own',
    settings: grpo([F1, { part: 'evidence', worth: 0.1, in: 'thoughts', when: 'wrong' }]),
  },
  gigpo: {
    title: 'GiGPO',
    source: 'arXiv 2505.10978; verl-agent gigpo/core_gigpo.py, as in jinyangwu/OPID',
    formula: 'A = (r − mean) + ω (γ^{T−t} r − mean over turns from the same observation), ω 1, γ .95',
    needs: 'none',
    departs:
      'observations are compared token by token, not by likeness; the mean of A_E is over rollouts, not over turns as the code has it by default',
    settings: grpo([EM], { scale: 'none', advantage: { form: 'state', weight: 1, discount: 0.95 } }),
  },
  'tree-grpo': {
    title: 'Tree-GRPO',
    source: 'arXiv 2509.21240; AMAP-ML/Tree-GRPO 90b1709',
    formula:
      'A = norm(r over the question’s leaves) + norm(r over the tree’s leaves); M 2, N 2, L 1, k 3; r: right 1, wrong .2, less where the form is invalid',
    needs: 'none',
    departs: 'valid means well formed in our tags; a leaf alone in its set has 0, not its reward',
    settings: grpo(
      [answer('exact-match', 0.9), { part: 'answered', worth: 0.1 }, form(0, -0.2), form(0.1, 0.2, 'wrong')],
      {
        groupSize: 6,
        advantage: { form: 'tree' },
        tree: { trees: 2, expansions: 2, rounds: 1 },
      },
    ),
  },
  criticsearch: {
    title: 'CriticSearch',
    source: 'arXiv 2511.12159, by digest',
    formula: 'A_t = .25 norm(±1 of the critic) + .75 A; the answering turn has A',
    needs: 'critic, gold answer',
    departs: 'the critic knows the gold passages and errs never; norm over all searches of the group',
    settings: grpo([EM], { ...turn({ of: 'critic', discount: 0, mix: { by: 'share', share: 0.25 } }) }),
  },
  'search-p1': {
    title: 'Search-P1',
    source: 'arXiv 2602.22576',
    formula: 'r = .6 right + .3 (covered/steps)(covered/searches)',
    needs: 'judge, plans',
    departs:
      'the weight of the form is not stated and left out; no plan is written, so the path is held to the reference alone; no credit for reasoning without a judge',
    settings: grpo([answer('exact-match', 0.6), { part: 'path', worth: 0.3 }]),
  },
  'thinker-manner': {
    title: 'in the manner of Thinker (KAG-Thinker)',
    source: 'arXiv 2511.07943, 2506.17728; OpenSPG/KAG-Thinker e7f67a6',
    formula: 'cross-entropy on multi-turn demonstrations',
    needs: 'larger model',
    departs: "the demonstrations are the world's perfect agent, in our grammar, without its logical forms",
    settings: { method: 'sft', sft: { on: 'demonstrations' } },
  },
  'artist-manner': {
    title: 'in the manner of ARTIST',
    source: 'arXiv 2505.01441, from memory',
    formula: 'r = answer + form + search',
    needs: 'none',
    departs: 'the values are not known, all here are ours; it has no search task of its own',
    settings: grpo([EM, form(0.1, 0), { part: 'searched', worth: 0.1 }]),
  },
  sdft: {
    title: 'SDFT',
    source: 'arXiv 2601.19897; thinking-machines-lab/tinker-cookbook',
    formula: 'divergence from the policy shown a demonstration, on its own tokens',
    needs: 'demonstrations',
    departs:
      'the teacher is frozen for a round; students are those that pairs are mined from; the divergence is the preset’s',
    settings: { method: 'search-e1', grpo: { steps: [0] }, distill: { teacherSees: 'demonstration' } },
  },
  'generalised-distillation': {
    title: 'generalised distillation',
    source: 'arXiv 1511.03643',
    formula: '(1 − λ) CE(words of the expert) + λ KL(privileged teacher), λ .5',
    needs: 'none',
    departs: 'λ is ours: the paper tunes it',
    settings: { method: 'search-e1', distill: { mix: 0.5 } },
  },
  rlsd: {
    title: 'RLSD',
    source: 'arXiv 2604.03128; zhangdw156/AgentOPSD e0c0f09 verl/trainer/ppo/rlsd_utils.py',
    formula: 'A · [(1 − λ) + λ clip(exp(sign(A) Δ), 1 ± ε)], λ .5, ε .2',
    needs: 'none',
    departs: `${SIBLING}λ and ε are the code’s, the paper’s form has λ 1 and A centred alone`,
    settings: credited({ apply: { by: 'weight', weight: 0.5, clip: 0.2 } }),
  },
  'opid-form': {
    title: 'the form of OPID',
    source: 'arXiv 2606.26790; jinyangwu/OPID e5c0b0f',
    formula: 'A + λ Δ, λ .001, A centred alone',
    needs: 'none',
    departs: `${SIBLING}OPID’s are skills that another model writes, of episode and step`,
    settings: credited({ apply: { by: 'add', add: 0.001 } }, { scale: 'none' }),
  },
  sdar: {
    title: 'SDAR',
    source: 'arXiv 2605.15155; asayu255/SDAR c9bfb46 verl/trainer/ppo/sdar_utils.py',
    formula: 'A + λ σ(β Δ), λ .01, β 5',
    needs: 'none',
    departs: `${SIBLING}as coded: it raises every sampled token`,
    settings: credited({ apply: { by: 'gate', gate: 0.01, slope: 5, less: 0 } }),
  },
  contrast: {
    title: 'contrast (CEPO, RLCSD)',
    source: 'arXiv 2605.19436, 2606.11709; ahmedheakl/CEPO 0fe8c1c',
    formula: 'RLSD’s weight with Δ = log π(y | right) − log π(y | wrong), λ .5 → 0 over 25 steps, ε .5',
    needs: 'none',
    departs: 'both references are whole siblings, not answers',
    settings: credited({ against: 'wrong-sibling', apply: { by: 'weight', weight: 0.5, clip: 0.5 }, fallsOver: 25 }),
  },
  purified: {
    title: 'purified',
    source: 'arXiv 2607.02234, abstract',
    formula: 'RLSD’s weight with Δ less that of a teacher shown the reference without the question, λ .5, ε .2',
    needs: 'none',
    departs: `${SIBLING}the exact target was not recovered; how Δ acts is RLSD’s`,
    settings: credited({ against: 'reference-alone', apply: { by: 'weight', weight: 0.5, clip: 0.2 } }),
  },
  routed: {
    title: 'routed (SRPO)',
    source: 'arXiv 2604.02288, abstract',
    formula:
      'A on right rollouts; on wrong ones with a right sibling e^{−H} KL(teacher shown it ‖ π), H its entropy, λ 1',
    needs: 'none',
    departs: 'e^{−H} and λ are ours; the teacher is frozen for a round, and its 20 likeliest tokens are taught',
    settings: grpo([EM], { routed: { weight: 1, topK: 20 } }),
  },
  'turn-form': {
    title: 'turn form (PBSD)',
    source: 'arXiv 2606.09348, abstract',
    formula: 'A + λ Σ_turn Δ, λ .1',
    needs: 'none',
    departs: `${SIBLING}PBSD shows the answer; λ is ours`,
    settings: credited({ over: 'turn', apply: { by: 'add', add: 0.1 } }),
  },
  igpo: {
    title: 'IGPO',
    source: 'arXiv 2510.14967; GuoqingWang1/IGPO 49a8c4e, bdceb82',
    formula: 'v_t = p(gold | h_t) − p(gold | h_{t−1}), F1 at the end; all normalised together, then summed, γ 1',
    needs: 'gold answer',
    departs: 'the sample deviation, not the population’s; values of exactly 0 stay in; no −2 for unbalanced tags',
    settings: grpo([F1], {
      ...turn({ of: 'answer-likelihood', discount: 1, mix: { by: 'add', add: 1, norm: 'values' } }),
    }),
  },
  'spread-weight': {
    title: 'spread weight (SC-SDPO)',
    source: 'arXiv 2605.27765, abstract',
    formula: 'the distillation loss of a question × √(p̂(1 − p̂))',
    needs: 'none',
    departs: 'over Search-E1’s distillation',
    settings: { method: 'search-e1', distill: { questionWeight: 'spread' } },
  },
  hinted: {
    title: 'hinted (after STaR)',
    source: 'none: after STaR, whose loss is cross-entropy',
    formula:
      'where the first 3 of 5 rollouts failed, the others see the gold answer; right and grounded ones are trained under the plain prompt, ρ = π(y | plain) / π_old(y | hint)',
    needs: 'gold answer',
    departs: 'the policy gradient in place of cross-entropy; the share is ours',
    settings: grpo([EM], { hint: { sees: 'gold-answer', share: 0.4 } }),
  },
  llds: {
    title: 'LLDS',
    source: 'arXiv 2512.04220',
    formula: 'GRPO + λ Σ_turns 1[Σ d_n > 0] Σ max(0, d_n) / N, d = log π_old − log π, λ .2, two updates a batch',
    needs: 'none',
    departs: 'the number of updates is ours',
    settings: grpo([EM], { updates: 2, preserve: { weight: 0.2 } }),
  },
  'price-divided': {
    title: 'price on searches, divided by the deviation',
    source: 'none: the fair rival of a claim of efficiency',
    formula: 'r = exact match − .05 · searches; A = norm(r)',
    needs: 'none',
    departs: '',
    settings: grpo([EM, { part: 'price', perSearch: PRICE, when: 'always' }]),
  },
  'price-centred': {
    title: 'price on searches, centred alone',
    source: 'none: the fair rival of a claim of efficiency',
    formula: 'r = exact match − .05 · searches; A = r − mean',
    needs: 'none',
    departs: '',
    settings: grpo([EM, { part: 'price', perSearch: PRICE, when: 'always' }], { scale: 'none' }),
  },
} as const satisfies Readonly<Record<string, System>>;

export type SystemName = keyof typeof systems;
export const systemNames = Object.keys(systems) as readonly SystemName[];

export function systemOf(name: SystemName): System {
  return systems[name];
}
