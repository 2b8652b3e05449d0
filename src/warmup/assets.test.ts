import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readModel } from '../checkpoint/model-directory.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import { readManifest } from './manifest.ts';
import { totalSteps, worldRecipe } from './recipe.ts';
import { worldSource } from './world-source.ts';

const base = fileURLToPath(new URL('../../assets/base', import.meta.url));

describe('the shipped base policy', () => {
  it('is the one that its manifest describes, made by the default recipe from start to end', async () => {
    const manifest = await readManifest(base);
    expect(manifest.recipe).toEqual(worldRecipe);
    expect(manifest.source).toEqual(worldSource(worldRecipe).description);
    expect(manifest.steps).toBe(totalSteps(worldRecipe));
    expect(manifest.measured).not.toBeNull();
  });

  it('speaks the language of the world as it is now', async () => {
    const tokenizer = await loadTokenizer(base);
    expect(JSON.parse(worldTokenizerJson())).toEqual(
      JSON.parse(await readFile(path.join(base, 'tokenizer.json'), 'utf8')),
    );
    const { config } = await readModel(base);
    expect(config).toMatchObject({ hidden: worldRecipe.model.hidden, vocabulary: tokenizer.vocabulary });
  });

  it('takes at most 4 MB', async () => {
    expect((await stat(path.join(base, 'model.safetensors'))).size).toBeLessThan(4_000_000);
  });
});
