import { describe, expect, it } from 'vitest';
import { usualHabits } from '../world/demonstrations.ts';
import { firstWarmUpWorld } from '../world/generate.ts';
import { type Recipe, worldRecipe } from './recipe.ts';
import { worldSource } from './world-source.ts';

const recipe: Recipe = { ...worldRecipe, seed: 3 };
const source = worldSource(recipe);
const demonstrations = { kind: 'demonstrations', steps: 1, imitation: 0.5 } as const;

describe('examples of embedded worlds', () => {
  it('are the same for the same chunk and others for another chunk or phase', async () => {
    const first = await source.chunk(demonstrations, 3, 0);
    expect(await worldSource(recipe).chunk(demonstrations, 3, 0)).toEqual(first);
    const text = JSON.stringify(first[0]!.ids);
    for (const other of [await source.chunk(demonstrations, 3, 1), await source.chunk(demonstrations, 4, 0)])
      expect(JSON.stringify(other[0]!.ids)).not.toBe(text);
  });

  it('have known words only, fit the context, and learn something', async () => {
    const unknown = source.tokenizer.encode('<unk>')[0]!;
    const reading = { kind: 'reading', steps: 1, articles: 2, statements: 3 } as const;
    for (const phase of [demonstrations, reading]) {
      const examples = await source.chunk(phase, 0, 0);
      for (const { ids, weights } of examples) {
        expect(ids).not.toContain(unknown);
        expect(ids.length).toBeLessThanOrEqual(recipe.model.contextLength);
        expect(weights).toHaveLength(ids.length);
      }
      expect(examples.filter(({ weights }) => weights.includes(1)).length).toBeGreaterThan(0.9 * examples.length);
    }
  });

  it('show an expert in the given share of examples', async () => {
    const ref = source.tokenizer.encode('<ref>')[0]!;
    const examples = await source.chunk(demonstrations, 0, 0);
    const share = examples.filter(({ ids }) => ids.includes(ref)).length / examples.length;
    expect(share).toBeGreaterThan(0.44);
    expect(share).toBeLessThan(0.56);
  });

  it('have the habits of the recipe', async () => {
    const [text] = source.tokenizer.encode('check');
    const checks = async (one: typeof source) =>
      (await one.chunk(demonstrations, 0, 0)).filter(({ ids }) => ids.includes(text!)).length;
    const never = { there: 0, elsewhere: 0 };
    const without = worldSource({ ...recipe, habits: { ...usualHabits, check: never } });
    expect(await checks(source)).toBeGreaterThan(300);
    // What is left are strays of imitation examples, which are shown and not learned.
    expect(await checks(without)).toBeLessThan((await checks(source)) / 2);
  });

  it('come from worlds that training and evaluation may not use', () => {
    expect(source.description.firstWorld).toBeGreaterThanOrEqual(firstWarmUpWorld);
  });
});
