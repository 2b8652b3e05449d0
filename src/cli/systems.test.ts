/** What `search-e1 systems` prints, and that each resolves over each preset to what its entry says. */
import { describe, expect, it } from 'vitest';
import { externalsOf } from '../evolve/outside.ts';
import { type PresetName, presets } from '../evolve/presets.ts';
import { type Settings, settingsSchema } from '../evolve/settings.ts';
import { type SystemName, systemNames, systemOf } from '../evolve/systems.ts';
import { resolveSettings } from './settings-input.ts';
import { capture } from './testing/capture.ts';

const over = (preset: PresetName, name: SystemName): Promise<Settings> =>
  resolveSettings<Settings>(settingsSchema, presets[preset], {
    part: { source: `--system ${name}`, value: { ...systemOf(name).settings } },
  });

describe('systems', () => {
  it('are listed with source, formula and needs; as JSON with their settings', async () => {
    const { out, code } = await capture('systems');
    expect(code).toBe(0);
    const words = out.replace(/\s+/g, ' ');
    for (const name of systemNames) {
      const { source, needs } = systemOf(name);
      expect(out).toContain(`${name}\n`);
      expect(words).toContain(`source: ${source} needs from outside: ${needs} `);
    }
    expect(Math.max(...out.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(100);
    const listed = JSON.parse((await capture('systems', '--json')).out) as { name: string }[];
    expect(listed).toEqual(systemNames.map((name) => ({ name, ...systemOf(name) })));
  });

  it('resolve over every preset, and take from it all that they do not say', async () => {
    for (const preset of Object.keys(presets) as PresetName[])
      for (const name of systemNames) {
        const settings = await over(preset, name);
        expect(settings).toMatchObject(systemOf(name).settings);
        // Trees share a group evenly: three leaves of each of two.
        for (const size of ['questionsPerStep', 'groupSize', 'learningRate', 'klCoefficient'] as const)
          expect([name, size, settings.grpo[size]]).toEqual([
            ...[name, size],
            name === 'tree-grpo' && size === 'groupSize' ? 6 : presets[preset].grpo[size],
          ]);
      }
  });

  it('need from outside what their settings ask for, by another name where it is one', async () => {
    const words: Record<string, string> = {
      'critic, gold answer': 'gold passages',
      'judge, plans': 'gold passages',
      'larger model': 'demonstrations',
    };
    for (const name of systemNames) {
      const { needs } = systemOf(name);
      const found = [...externalsOf(await over('default', name)).keys()].sort().join(', ');
      expect([name, found]).toEqual([name, needs === 'none' ? '' : (words[needs] ?? needs)]);
    }
  });

  it('are changed further by single settings, and unknown ones are refused', async () => {
    const changed = await resolveSettings(settingsSchema, await over('smoke', 'gigpo'), {
      set: ['grpo.advantage.weight=0', 'cycles=3'],
    });
    expect(changed).toMatchObject({ cycles: 3, grpo: { advantage: { form: 'state', weight: 0, discount: 0.95 } } });
    const another = await resolveSettings(settingsSchema, await over('smoke', 'gigpo'), {
      set: ['grpo.advantage={"form":"trajectory"}'],
    });
    expect(another.grpo.advantage).toEqual({ form: 'trajectory' });
    expect((await capture('evolve', '--system', 'gipgo')).err).toContain('gigpo');
  });
});
