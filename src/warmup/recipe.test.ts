import { describe, expect, it } from 'vitest';
import { usualHabits } from '../world/demonstrations.ts';
import { learningRate, type Phase, recipeSchema, worldRecipe } from './recipe.ts';

describe('the recipe', () => {
  it('of the embedded world is a valid one', () => {
    expect(recipeSchema.parse(worldRecipe)).toEqual(worldRecipe);
  });

  it('refuses unknown keys and impossible values', () => {
    expect(recipeSchema.safeParse({ ...worldRecipe, learningrate: 1 }).success).toBe(false);
    expect(recipeSchema.safeParse({ ...worldRecipe, phases: [] }).success).toBe(false);
    const phase = { kind: 'demonstrations', steps: 5, imitation: 1.5 };
    expect(recipeSchema.safeParse({ ...worldRecipe, phases: [phase] }).success).toBe(false);
    expect(recipeSchema.safeParse({ ...worldRecipe, habits: { late: 0.5 } }).success).toBe(false);
    expect(recipeSchema.safeParse({ ...worldRecipe, habits: { guess: 1.5 } }).success).toBe(false);
  });

  it('has the usual habits where it names others', () => {
    const { habits } = recipeSchema.parse({ ...worldRecipe, habits: { guess: 0.15 } });
    expect(habits).toEqual({ ...usualHabits, guess: 0.15 });
  });
});

describe('the learning rate', () => {
  const { optimizer } = worldRecipe;
  const { learningRate: peak, warmupSteps, finalShare } = optimizer;
  const phases: Phase[] = [
    { kind: 'reading', steps: 100, articles: 1, statements: 1 },
    { kind: 'demonstrations', steps: 300, imitation: 0.5 },
  ];

  it('rises linearly to about the peak', () => {
    expect(learningRate({ phases, optimizer }, 0)).toBeCloseTo(peak / warmupSteps, 8);
    expect(learningRate({ phases, optimizer }, warmupSteps - 1)).toBeGreaterThan(0.95 * peak);
  });

  it('is halfway down in the middle and near its final share in the end', () => {
    expect(learningRate({ phases, optimizer }, 200)).toBeCloseTo((peak * (1 + finalShare)) / 2, 8);
    expect(learningRate({ phases, optimizer }, 399) / peak).toBeCloseTo(finalShare, 3);
  });

  it('starts anew with a course, and what comes after does not change what was before', () => {
    const second: Phase = { kind: 'demonstrations', steps: 200, imitation: 0.6, restart: 1e-4 };
    const both = { phases: [...phases, second], optimizer };
    for (const step of [0, 10, 399]) expect(learningRate(both, step)).toBe(learningRate({ phases, optimizer }, step));
    expect(learningRate(both, 400)).toBeCloseTo(1e-4 / warmupSteps, 10);
    expect(learningRate(both, 500)).toBeCloseTo((1e-4 * (1 + finalShare)) / 2, 10);
  });
});
