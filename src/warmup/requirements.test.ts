import { expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { smolLM2 as smol } from '../checkpoint/smollm2.testing.ts';
import { pretrainedRecipe } from './recipe.ts';
import { bytesOf, refuseUnfitPretrained, warmUpMemory } from './requirements.ts';

const all = { ...pretrainedRecipe, adapter: null };

it('a warm-up of all weights takes their gradient and both moments, one of an adapter does not', () => {
  const parameters = 134_515_008;
  const parts = new Map(warmUpMemory(smol, all, 2).map(({ name, bytes }) => [name, bytes]));
  expect(parts.get('weights')).toBe(4 * parameters);
  expect(parts.get('moments of AdamW')).toBe(8 * parameters);
  expect(bytesOf(warmUpMemory(smol, pretrainedRecipe, 2))).toBeLessThan(
    bytesOf(warmUpMemory(smol, all, 2)) - 4 * parameters,
  );
});

it('one that does not fit is refused with the setting that makes it fit', () => {
  const need = bytesOf(warmUpMemory(smol, all, 2));
  const options = (available: number) => ({ threads: 2, available });
  expect(() => refuseUnfitPretrained(smol, all, options(need))).not.toThrow();
  const hint = (available: number) => {
    try {
      refuseUnfitPretrained(smol, all, options(available));
    } catch (error) {
      return error instanceof UserError ? error.hint : error;
    }
  };
  expect(hint(need - 1)).toBe(`It would fit with --set 'adapter={"rank":16,"alpha":32}'.`);
  expect(hint(1e6)).toMatch(/^No setting makes it fit/);
  const lora = { ...all, adapter: { rank: 16, alpha: 32 } };
  expect(() => refuseUnfitPretrained(smol, lora, options(need - 1))).not.toThrow();
});
