/** manifest.json of a warmed-up policy: how it was made, what it can do, and the hashes of the files that it describes. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { fileError, readJson, sha256, writeFileAtomic } from '../base/files.ts';
import { remoteHome } from '../engines/open-engine.ts';
import type { PolicyInfo } from '../policy/policy.ts';
import type { WarmUpState } from './progress.ts';
import { type PretrainedRecipe, pretrainedRecipeSchema, type Recipe, recipeSchema } from './recipe.ts';

const natural = z.int().min(0);

export const manifestSchema = z.strictObject({
  schema: z.literal(1),
  recipe: z.union([recipeSchema, pretrainedRecipeSchema]),
  /** What the examples were made of. */
  source: z.record(z.string(), z.union([z.string(), z.number()])),
  versions: z.record(z.string(), z.string()),
  engine: z.string(),
  /** Null where the engine does not say. */
  threads: natural.nullable(),
  parameters: natural.nullable(),
  steps: natural,
  tokens: natural,
  /** Of training, without measuring. */
  seconds: z.number(),
  /** Mean over the steps since the entry before, of the fully weighted tokens, in nats; null where it was not measured. */
  losses: z.array(z.strictObject({ phase: natural, step: natural, loss: z.number().nullable() })),
  /** Of held-out examples after so many steps, where there were any: the weights are those of the least. */
  heldOut: z.array(z.strictObject({ step: natural, loss: z.number() })).exactOptional(),
  /** What the finished policy did when it was measured; null when the source has no measurement. */
  measured: z.record(z.string(), z.unknown()).nullable(),
  files: z.record(z.string(), z.strictObject({ bytes: natural, sha256: z.string() })),
});

export type Manifest = z.infer<typeof manifestSchema>;

const DESCRIBED = ['config.json', 'model.safetensors', 'tokenizer.json'];
/** Of a policy whose weights are on a server. */
const DESCRIBED_REMOTE = ['engine.json', 'tokenizer.json'];

export async function writeManifest(
  folder: string,
  recipe: Recipe | PretrainedRecipe,
  source: Readonly<Record<string, string | number>>,
  state: WarmUpState,
  policy: PolicyInfo,
  versions: Readonly<Record<string, string>>,
  measured: Readonly<Record<string, unknown>> | null,
): Promise<Manifest> {
  const manifest: Manifest = {
    schema: 1,
    recipe,
    source: { ...source },
    versions: { ...versions },
    engine: policy.engine,
    threads: policy.threads ?? null,
    parameters: policy.parameters ?? null,
    steps: state.step,
    tokens: state.tokens,
    seconds: Math.round(state.seconds),
    losses: state.losses.map((entry) => ({ ...entry, loss: entry.loss && Number(entry.loss.toFixed(4)) })),
    ...(state.heldOut && { heldOut: state.heldOut.map(({ step, loss }) => ({ step, loss: Number(loss.toFixed(4)) })) }),
    measured: measured && { ...measured },
    files: await hashFiles(folder, (await remoteHome(folder)) === undefined ? DESCRIBED : DESCRIBED_REMOTE),
  };
  await writeFileAtomic(path.join(folder, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return manifest;
}

/** Reads a folder's manifest and checks that its files are the ones described. UserError when one is not. */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = path.join(folder, 'manifest.json');
  const parsed = manifestSchema.safeParse(await readJson(file));
  if (!parsed.success) throw new UserError(`${file}: ${z.prettifyError(parsed.error)}`);
  const found = await hashFiles(folder, Object.keys(parsed.data.files));
  for (const [name, { sha256: expected }] of Object.entries(parsed.data.files))
    if (found[name]?.sha256 !== expected)
      throw new UserError(`${path.join(folder, name)}: not the file that manifest.json describes`, {
        hint: `Expected SHA-256 ${expected}, found ${found[name]?.sha256 ?? 'no such file'}.`,
      });
  return parsed.data;
}

async function hashFiles(folder: string, names: readonly string[]): Promise<Manifest['files']> {
  const entries = names.map(async (name) => {
    const file = path.join(folder, name);
    const bytes = await readFile(file).catch((error) => {
      throw fileError(error, file, 'read');
    });
    return [name, { bytes: bytes.length, sha256: sha256(bytes) }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
