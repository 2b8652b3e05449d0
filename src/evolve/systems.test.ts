/**
 * Each system held against the table that says which parts it has (../shared/reference/systems.md, section 4): written down here once
 * more, by parts.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { settingsSchema } from './settings.ts';
import { type SystemName, systemNames, systemOf } from './systems.ts';

/** reward | advantage and credit | the rest, as short words; and what is needed from outside. */
type Row = readonly [reward: string, advantage: string, rest: string, needs: string];

const table: Readonly<Record<SystemName, Row>> = {
  'search-r1': ['EM', 'trajectory', '', 'none'],
  research: ['F1 + form(.1 when wrong, 0 decides)', 'trajectory', '', 'none'],
  'r1-searcher': ['contains ±1 + searched .5 + form .5/0; F1 + form 0/-2', 'trajectory', '', 'none'],
  zerosearch: ['F1', 'trajectory', 'noise 0 to .5, base 4', 'none'],
  stepsearch: ['F1 + keys .618', 'turn gain-less-repeats, add .6', '', 'gold passages, keys'],
  'dynasearcher-manner': ['F1 + form .1/0 + price .05', 'turn gain, add 1', '', 'gold passages'],
  autorefine: ['F1 + evidence(.1, thoughts, wrong)', 'trajectory', '', 'none'],
  gigpo: ['EM', 'state 1, .95; scale none', '', 'none'],
  // Right 1 or .8, wrong .2 or .1, without an answer 0, by the form: as sums.
  'tree-grpo': ['EM .9 + answered .1 + form 0/-0.2 + form .1/0.2', 'tree', 'tree 2, 2, 1, 3', 'none'],
  criticsearch: ['EM', 'turn critic, share .25', '', 'critic, gold answer'],
  'search-p1': ['EM .6 + path .3', 'trajectory', '', 'judge, plans'],
  'thinker-manner': ['', '', 'sft on demonstrations', 'larger model'],
  'artist-manner': ['EM + form .1/0 + searched .1', 'trajectory', '', 'none'],
  sdft: ['', '', 'sees demonstration', 'demonstrations'],
  'generalised-distillation': ['', '', 'mix .5', 'none'],
  rlsd: ['EM', 'trajectory; weight .5 ±.2', '', 'none'],
  'opid-form': ['EM', 'trajectory; add .001; scale none', '', 'none'],
  sdar: ['EM', 'trajectory; gate .01, slope 5', '', 'none'],
  contrast: ['EM', 'trajectory; weight .5 ±.5 against wrong-sibling, falls over 25', '', 'none'],
  purified: ['EM', 'trajectory; weight .5 ±.2 against reference-alone', '', 'none'],
  routed: ['EM', 'trajectory', 'wrong ones distilled, weight 1, top 20', 'none'],
  'turn-form': ['EM', 'trajectory; add .1 over turn', '', 'none'],
  igpo: ['F1', 'turn answer-likelihood, add 1', '', 'gold answer'],
  'spread-weight': ['', '', 'questionWeight spread', 'none'],
  hinted: ['EM', 'trajectory', 'hint .4 sees gold-answer', 'gold answer'],
  llds: ['EM', 'trajectory', 'preserve .2, updates 2', 'none'],
  'price-divided': ['EM + price .05', 'trajectory', '', 'none'],
  'price-centred': ['EM + price .05', 'trajectory; scale none', '', 'none'],
};

const short = (x: number) => String(x).replace(/^(-?)0\./, '$1.');

/** The settings of a system in the words of the table. */
function rowOf(name: SystemName): Row {
  const { needs, settings } = systemOf(name);
  const { grpo = {}, distill = {}, sft = {} } = settings;
  const parts = (grpo.reward ?? []).map((round) =>
    round
      .map((part) => {
        switch (part.part) {
          case 'answer': {
            const by = { 'exact-match': 'EM', f1: 'F1', contains: 'contains' }[part.by];
            return part.wrong !== 0 ? `${by} ±${part.right}` : part.right === 1 ? by : `${by} ${short(part.right)}`;
          }
          case 'form':
            if (part.decides) return `form(${short(part.valid)} when ${part.when}, ${part.invalid} decides)`;
            return part.invalid === 0 && part.valid === 0.5 ? 'form .5/0' : `form ${short(part.valid)}/${part.invalid}`;
          case 'evidence':
            return `evidence(${short(part.worth)}, ${part.in}, ${part.when})`;
          case 'price':
            return `price ${short(part.perSearch)}`;
          default:
            return `${part.part} ${short(part.worth)}`;
        }
      })
      .join(' + '),
  );
  const reward = [...new Set(parts)].join('; ');
  const { advantage = { form: 'trajectory' }, credit, scale } = grpo;
  const form = () => {
    switch (advantage.form) {
      case 'state':
        return `state ${advantage.weight}, ${short(advantage.discount)}`;
      case 'turn':
        return `turn ${advantage.of}, ${advantage.mix.by} ${short(advantage.mix.by === 'add' ? advantage.mix.add : advantage.mix.share)}`;
      default:
        return advantage.form;
    }
  };
  const apply = credit?.apply;
  const acts =
    apply?.by === 'weight'
      ? `weight ${short(apply.weight)} ±${short(apply.clip)}`
      : apply?.by === 'add'
        ? `add ${short(apply.add)}`
        : apply && `gate ${short(apply.gate)}, slope ${apply.slope}`;
  const creditText = credit && [
    acts,
    ...(credit.against === 'plain' ? [] : [` against ${credit.against}`]),
    ...(credit.over === 'token' ? [] : [` over ${credit.over}`]),
    ...(credit.fallsOver === 0 ? [] : [`, falls over ${credit.fallsOver}`]),
  ];
  const advantageText =
    reward === ''
      ? ''
      : [form(), ...(creditText ? [creditText.join('')] : []), ...(scale === 'none' ? ['scale none'] : [])].join('; ');
  const { noise, tree, hint, routed, groupSize } = grpo;
  const rest = [
    ...(routed ? [`wrong ones distilled, weight ${routed.weight}, top ${routed.topK}`] : []),
    ...(hint ? [`hint ${short(hint.share)} sees ${hint.sees}`] : []),
    ...(tree ? [`tree ${tree.trees}, ${tree.expansions}, ${tree.rounds}, ${groupSize! / tree.trees}`] : []),
    ...(noise ? [`noise ${short(noise.from)} to ${short(noise.to)}, base ${noise.base}`] : []),
    ...(grpo.preserve ? [`preserve ${short(grpo.preserve.weight)}, updates ${grpo.updates}`] : []),
    ...(distill.teacherSees === undefined ? [] : [`sees ${distill.teacherSees}`]),
    ...(distill.mix === undefined ? [] : [`mix ${short(distill.mix)}`]),
    ...(distill.questionWeight === undefined ? [] : [`questionWeight ${distill.questionWeight}`]),
    ...(sft.on === undefined ? [] : [`sft on ${sft.on}`]),
  ].join(', ');
  return [reward, advantageText, rest, needs];
}

describe('a system', () => {
  it.each(systemNames)('%s has the parts that the table gives it', (name) => {
    expect(rowOf(name)).toEqual(table[name]);
  });

  it('says what trains it, and where it was read', () => {
    for (const name of systemNames) {
      const { settings, source, formula, departs } = systemOf(name);
      expect(settingsSchema.in.shape.method.safeParse(settings.method).success).toBe(true);
      for (const text of [source, formula]) expect(text.length).toBeGreaterThan(10);
      // One that is not the source's own says so in its name and in words.
      if (name.endsWith('-manner')) expect(departs).not.toBe('');
      if (!source.startsWith('none')) expect(source).toMatch(/^arXiv \d{4}\.\d{5}/);
    }
  });

  const reference = fileURLToPath(new URL('../../../shared/reference/systems.md', import.meta.url));
  it.skipIf(!existsSync(reference))('names a source that the reference names', () => {
    const text = readFileSync(reference, 'utf8');
    for (const name of systemNames)
      for (const [id] of systemOf(name).source.matchAll(/\d{4}\.\d{5}/g))
        expect([name, text.includes(id)]).toEqual([name, true]);
  });
});
