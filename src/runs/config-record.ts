/** config.json of a run: everything a score depends on, so that two runs can be compared and one can be continued. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { type EngineIdentity, engineDifference, engineIdentitySchema, FIRST_ENGINE } from '../engines/open-engine.ts';
import type { Inputs, SetupHashes } from '../evolve/open.ts';
import { EXTERNALS, externalsOf } from '../evolve/outside.ts';
import { settingsSchema } from '../evolve/settings.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex was expected');

/** Paths are absolute, so that a run can be continued from anywhere. */
const inputsSchema: z.ZodType<Inputs> = z.strictObject({
  questions: z.string().nullable(),
  corpus: z.string().nullable(),
  tokenizer: z.string().nullable(),
  model: z.string().nullable(),
  template: z.string().nullable(),
  evaluate: z.array(z.strictObject({ suite: z.string(), file: z.string() })),
  threads: z.int().min(1).nullable(),
});

export const hashesSchema: z.ZodType<SetupHashes> = z.strictObject({
  questions: hash,
  corpus: hash,
  evaluation: hash,
  template: hash,
  tokenizer: hash,
  weights: hash.nullable(),
});

export const versionsSchema = z.strictObject({
  'search-e1': z.string(),
  node: z.string(),
  'onnxruntime-node': z.string(),
});

export const runConfigSchema = z.strictObject({
  schema: z.literal(1),
  preset: z.string(),
  /** The system of the field that the settings began as (evolve/systems.ts). */
  system: z.string().exactOptional(),
  settings: settingsSchema,
  inputs: inputsSchema,
  hashes: hashesSchema,
  engine: engineIdentitySchema.default(FIRST_ENGINE),
  versions: versionsSchema,
  /** What it learns from beyond questions, answers and its own rollouts (evolve/outside.ts), as recorded by who makes it. */
  external: z.array(z.enum(EXTERNALS)).exactOptional(),
});

/** The record as it is written: with what follows from its settings. */
export function recorded(config: RunConfig): RunConfig {
  return { ...config, external: [...externalsOf(config.settings).keys()] };
}

export type RunConfig = z.infer<typeof runConfigSchema>;

const packageSchema = z.object({ version: z.string() });

/** Version of this package. */
export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return packageSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).version;
}

/** The versions that a result may depend on. */
export function presentVersions(): RunConfig['versions'] {
  const require = createRequire(import.meta.url);
  return {
    'search-e1': packageVersion(),
    node: process.versions.node,
    'onnxruntime-node': packageSchema.parse(require('onnxruntime-node/package.json')).version,
  };
}

/** Refuses to continue a run on other data: throws a UserError that names what has changed. */
export function checkSameInputs(
  config: RunConfig,
  { hashes: found, engine }: { readonly hashes: SetupHashes; readonly engine: EngineIdentity },
  folder: string,
): void {
  const difference = engineDifference(config.engine, engine);
  if (difference !== undefined)
    throw new UserError(`${folder}: ${difference}`, {
      hint:
        config.engine.kind === 'embedded' && engine.kind === 'embedded'
          ? 'Continue it there, or say with --device cpu or --device webgpu that it shall go on elsewhere: it is recorded.'
          : 'Continue it on the engine that it began with.',
    });
  for (const name of Object.keys(found) as (keyof SetupHashes)[]) {
    if (config.hashes[name] === found[name]) continue;
    const source = name === 'weights' ? config.inputs.model : name === 'evaluation' ? null : config.inputs[name];
    throw new UserError(
      `${folder}: ${name}${source === null ? '' : ` (${source})`} changed since the run began: ` +
        `${shortened(config.hashes[name])} was recorded, ${shortened(found[name])} was found`,
      { hint: 'Bring back what the run began with, or start a new run with --out.' },
    );
  }
}

const shortened = (hash: string | null) => (hash === null ? 'none' : `${hash.slice(0, 12)}…`);

/** One line for each version that differs from the recorded one: results may then differ in the last bits. */
export function versionNotes(config: Pick<RunConfig, 'versions'>, present = presentVersions()): string[] {
  return (Object.keys(present) as (keyof RunConfig['versions'])[])
    .filter((name) => config.versions[name] !== present[name])
    .map((name) => `the run began with ${name} ${config.versions[name]}, this is ${present[name]}: results may differ`);
}
