/**
 * Rotary positions in config.json. Every key that changes positions is either understood or refused by its path: one that is
 * passed over gives wrong numbers without a word.
 *
 * transformers 4 writes `rope_theta` and `rope_scaling`, version 5 one dictionary `rope_parameters` that holds both; a file
 * may have all three, which must then agree.
 */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { shown } from '../base/text.ts';

/** Linear (position interpolation, Chen et al. 2023): θ_i / factor. Llama 3: see `rotaryFrequencies`. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      /** Larger than lowFrequencyFactor. */
      readonly highFrequencyFactor: number;
      /** Context length before scaling, in tokens. */
      readonly originalContextLength: number;
    };

/** The rotary frequencies θ_i = theta^(−2i / headSize), and how they are changed for longer contexts (absent: not at all). */
export interface Rope {
  readonly theta: number;
  readonly scaling?: RopeScaling;
}

/** What each type may say beside `rope_type` (`type` in its oldest form), `rope_theta` and `partial_rotary_factor`. */
const KEYS = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
} as const;
type RopeType = keyof typeof KEYS;
const ALWAYS = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];

/** Keys of the whole file that sound of positions, and what may stand there. */
const SOUNDS_OF_POSITIONS = /rope|rotary|position|alibi|yarn|ntk/i;
const HARMLESS: Readonly<Record<string, (value: unknown) => boolean>> = {
  rope_theta: () => true,
  rope_scaling: () => true,
  rope_parameters: () => true,
  max_position_embeddings: () => true,
  original_max_position_embeddings: () => true,
  partial_rotary_factor: (value) => value === 1,
  // Switches that are off.
  use_mrope: (value) => value === false,
  rope_interleaved: (value) => value === false,
  alibi: (value) => value === false,
  use_dynamic_ntk: (value) => value === false,
};

const FIELDS = ['rope_parameters', 'rope_scaling'] as const;
type Field = (typeof FIELDS)[number];
const dictionary = z.looseObject({});

/**
 * @param config the content of a config.json
 * @param file named in errors
 * @param defaultTheta of a family that may leave rope_theta out
 * @throws UserError naming the path of a key that is not understood, missing, or at odds with another
 */
export function parseRope(config: Readonly<Record<string, unknown>>, file: string, defaultTheta?: number): Rope {
  const refuse = (path: string, found: unknown, expected: string): never => {
    throw new UserError(`${file}: ${path}: ${shown(found)} is not supported, expected ${expected}`, {
      hint: 'Positions would be computed wrongly without it.',
    });
  };
  for (const [key, value] of Object.entries(config)) {
    if (!SOUNDS_OF_POSITIONS.test(key) || value === null) continue;
    const harmless = Object.hasOwn(HARMLESS, key) ? HARMLESS[key]! : undefined;
    if (!harmless?.(value))
      refuse(key, value, 'rope_theta, rope_scaling or rope_parameters to say all about positions');
  }
  const number = (path: string, value: unknown): number => {
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
      throw new UserError(
        `${file}: ${path}: expected a positive number, found ${value === undefined ? 'none' : shown(value)}`,
      );
    return value;
  };

  const thetas: [string, number][] = [];
  const addTheta = (path: string, value: unknown) => {
    if (value !== undefined && value !== null) thetas.push([path, number(path, value)]);
  };
  addTheta('rope_theta', config.rope_theta);

  const scalings: [string, RopeScaling | undefined][] = [];
  for (const field of FIELDS) {
    const found = config[field];
    if (found === undefined || found === null) continue;
    const parsed = dictionary.safeParse(found);
    if (!parsed.success) throw new UserError(`${file}: ${field}: expected an object, found ${shown(found)}`);
    // What is null is not there.
    const rope = Object.fromEntries(Object.entries(parsed.data).filter(([, value]) => value !== null));
    addTheta(`${field}.rope_theta`, rope.rope_theta);
    scalings.push([field, scalingOf(field, rope, config, number, refuse)]);
  }

  for (const [path, theta] of thetas)
    if (theta !== thetas[0]![1]) refuse(path, theta, `the same as ${thetas[0]![0]} (${thetas[0]![1]})`);
  const [first, second] = scalings;
  if (first && second && JSON.stringify(first[1]) !== JSON.stringify(second[1]))
    refuse(second[0], config[second[0]], `the same scaling as in ${first[0]}`);
  const theta = thetas[0]?.[1] ?? defaultTheta;
  if (theta === undefined)
    throw new UserError(`${file}: rope_theta (or rope_parameters.rope_theta): expected a positive number, found none`);
  const scaling = first?.[1];
  return { theta, ...(scaling && { scaling }) };
}

function scalingOf(
  field: Field,
  rope: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  number: (path: string, value: unknown) => number,
  refuse: (path: string, found: unknown, expected: string) => never,
): RopeScaling | undefined {
  const share = rope.partial_rotary_factor ?? 1;
  if (share !== 1) refuse(`${field}.partial_rotary_factor`, share, '1');
  if (rope.rope_type !== undefined && rope.type !== undefined && rope.rope_type !== rope.type)
    refuse(`${field}.type`, rope.type, `the same as ${field}.rope_type (${shown(rope.rope_type)})`);
  const type = rope.rope_type ?? rope.type ?? 'default';
  if (typeof type !== 'string' || !Object.hasOwn(KEYS, type))
    refuse(`${field}.rope_type`, type, '"default", "linear" or "llama3"');
  const known: readonly string[] = [...ALWAYS, ...KEYS[type as RopeType]];
  for (const [key, value] of Object.entries(rope)) {
    if (known.includes(key)) continue;
    const untyped = rope.rope_type === undefined && rope.type === undefined;
    refuse(
      `${field}.${key}`,
      value,
      untyped ? `${field}.rope_type ("linear" or "llama3") beside it` : `no such key where rope_type is "${type}"`,
    );
  }
  const need = (name: (typeof KEYS)['llama3'][number]) => number(`${field}.${name}`, rope[name]);
  if (type === 'linear') return { type, factor: need('factor') };
  if (type !== 'llama3') return undefined;
  const [low, high] = [need('low_freq_factor'), need('high_freq_factor')];
  if (high <= low) refuse(`${field}.high_freq_factor`, high, `more than low_freq_factor (${low})`);
  // Version 5 takes it from the top of the file too, version 4 does not.
  const ORIGINAL = 'original_max_position_embeddings';
  const [outer, inner] = [config[ORIGINAL] ?? rope[ORIGINAL], rope[ORIGINAL] ?? config[ORIGINAL]];
  if (outer !== inner) refuse(ORIGINAL, outer, `the same as ${field}.${ORIGINAL} (${shown(inner)})`);
  return {
    type,
    factor: need('factor'),
    lowFrequencyFactor: low,
    highFrequencyFactor: high,
    originalContextLength: number(`${field}.${ORIGINAL}`, inner),
  };
}

/** The rotary fields of config.json, for transformers 4 and 5. */
export function ropeJson({ theta, scaling }: Rope): Record<string, unknown> {
  const json = scaling && scalingJson(scaling);
  return {
    rope_theta: theta,
    ...(json && { rope_scaling: json }),
    rope_parameters: { rope_theta: theta, ...(json ?? { rope_type: 'default' }) },
  };
}

function scalingJson(scaling: RopeScaling): Record<string, unknown> {
  if (scaling.type === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContextLength,
  };
}
