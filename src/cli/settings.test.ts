import { expect, it } from 'vitest';
import { presets } from '../evolve/presets.ts';
import { type Settings, settingsSchema } from '../evolve/settings.ts';
import { settingMeanings } from '../evolve/settings-meanings.ts';
import { settingRows } from './settings.ts';
import { knownPaths } from './settings-input.ts';
import { capture } from './testing/capture.ts';

const rows = settingRows();
const row = (name: string) => rows.find((one) => one.name === name)!;

/** Groups that are a setting themselves, since they may be null. */
const NULLABLE = [
  ...['distill.adapter', 'pool.retry'],
  ...['credit', 'preserve', 'noise', 'tree', 'hint', 'routed'].map((name) => `grpo.${name}`),
];

it('every setting is explained, and nothing else is', () => {
  const groups = new Set(knownPaths(settingsSchema).flatMap((path) => path.split('.').slice(0, -1).join('.') || []));
  const isGroup = (path: string) => groups.has(path) && !NULLABLE.includes(path);
  const paths = knownPaths(settingsSchema).filter((path) => !isGroup(path));
  // A new setting belongs into evolve/settings-meanings.ts.
  expect(Object.keys(settingMeanings).sort()).toEqual(paths.sort());
  for (const { name, meaning } of rows) expect([name, meaning.length]).not.toEqual([name, 0]);
});

/** Where the fields of a setting depend on its form: each form once. */
function formsOf(name: string): readonly Partial<Settings['grpo']>[] | undefined {
  if (name.startsWith('grpo.advantage.'))
    return [
      { advantage: { form: 'state', weight: 1, discount: 1 } },
      { advantage: { form: 'turn', of: 'gain', discount: 1, mix: { by: 'add', add: 1, norm: 'returns' } } },
      { advantage: { form: 'turn', of: 'gain', discount: 1, mix: { by: 'share', share: 0.5 } } },
    ];
  if (name.startsWith('grpo.credit.')) {
    const credit = { sees: 'right-sibling', against: 'plain', over: 'token', fallsOver: 0 } as const;
    return [
      { credit: { ...credit, apply: { by: 'weight', weight: 0.5, clip: 0.2 } } },
      { credit: { ...credit, apply: { by: 'gate', gate: 0.01, slope: 5, less: 0 } } },
    ];
  }
  // The size of a group has to fit its trees.
  if (name.startsWith('grpo.tree.'))
    return [
      { groupSize: 1000, tree: { trees: 1000, expansions: 1, rounds: 1 } },
      { groupSize: 1000, tree: { trees: 1, expansions: 1000, rounds: 1 } },
    ];
  if (name.startsWith('grpo.routed.')) return [{ routed: { weight: 1, topK: 20 } }];
  if (name.startsWith('grpo.hint.')) return [{ groupSize: 1000, hint: { sees: 'gold-answer', share: 0.5 } }];
  return undefined;
}

/** Values around the bounds that a range names, held against the schema itself. */
it('ranges are those of the schema', () => {
  const takes = (name: string, value: unknown) => {
    const forms = formsOf(name);
    return forms === undefined
      ? takesWithin(presets.default, name, value)
      : forms.some((part) =>
          takesWithin({ ...presets.default, grpo: { ...presets.default.grpo, ...part } }, name, value),
        );
  };
  const takesWithin = (base: Settings, name: string, value: unknown) => {
    const settings = structuredClone(base) as Record<string, unknown>;
    if (name.startsWith('grpo.noise.'))
      settings.grpo = { ...base.grpo, noise: { by: 'corrupted-query', from: 0, to: 0.5, base: 4 } };
    if (name.startsWith('grpo.preserve.')) settings.grpo = { ...base.grpo, updates: 2, preserve: { weight: 0.2 } };
    if (name.startsWith('pool.retry.')) settings.pool = { ...base.pool, retry: { rollouts: 1 } };
    // Settings of a training server, on one.
    if (name.startsWith('engine.') && !['engine.decodeBits', 'engine.device'].includes(name))
      settings.engine = {
        ...{ kind: 'tinker', url: 'http://127.0.0.1:1', profile: 'hatchery', baseModel: 'm', loraRank: 8 },
        overrides: {},
      };
    const path = name.split('.');
    const place = path
      .slice(0, -1)
      .reduce<Record<string, unknown> | undefined>((inner, key) => inner?.[key] as Record<string, unknown>, settings);
    if (place === undefined) return false;
    place[path.at(-1)!] = value;
    return settingsSchema.safeParse(settings).success;
  };
  let bounds = 0;
  const scalars = rows.filter(({ range }) => !range.startsWith('a list') && !range.includes('{'));
  for (const { name, range } of scalars) {
    const step = range.includes('whole') ? 1 : 1e-9;
    const edge = (within: number, outside: number) => {
      bounds++;
      expect([name, takes(name, within), takes(name, outside)]).toEqual([name, true, false]);
    };
    for (const [, word, first, last] of range.matchAll(
      /(from|of at least|above|below) ([\d.e-]+)(?: to ([\d.e-]+))?/g,
    )) {
      const low = Number(first);
      if (word === 'above') edge(low + step, low);
      else if (word === 'below') edge(low - step, low);
      else edge(low, low - step);
      if (last !== undefined) edge(Number(last), Number(last) + step);
    }
  }
  expect(bounds).toBeGreaterThan(50);
  expect(row('distill.clip').range).toBe('null or a number above 0');
  expect(row('evaluation.searches').range).toMatch(/^a list of at least 1: each a whole number from 0 to \d+$/);
  expect(row('gate.whenClosed').range).toBe('one of skip, warn');
});

it('are printed with meaning, value and range, all, by part, or one', async () => {
  const all = await capture('settings');
  expect(all).toMatchObject({ code: 0, err: '' });
  for (const name of ['seed', 'grpo.clipLow', 'rollout.invalidTurns', 'pool.minExpertSearches', 'distill.adapter.rank'])
    expect(all.out).toContain(`\n${name}\n`.replace('\nseed', 'seed'));
  expect(Math.max(...all.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  const one = await capture('settings', 'grpo.clipLow');
  expect(one.out).toMatch(/^grpo\.clipLow\n {2}How far below 1.*\n {2}default 0\.2 \(a number from 0 to 1\)\n$/s);
  expect((await capture('settings', 'guards')).out).not.toContain('grpo');
  expect(await capture('settings', 'grpo.cliplow')).toMatchObject({ code: 2, out: '' });
  expect(JSON.parse((await capture('settings', 'cycles', '--json')).out)).toMatchObject([
    { presets: { default: 2, smoke: 1 } },
  ]);
});
