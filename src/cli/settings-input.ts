/**
 * Settings from the outside: a preset, under a file, under `--set a.b=c`. One zod schema checks them all; what is wrong is
 * told with the place it came from, the field, what was expected and what was found.
 */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import { nearestPath } from './widgets/nearest.ts';

/** One change to the settings and where it came from, for error messages. */
interface Layer {
  readonly source: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

export interface SettingsInput {
  /** A JSON file with some of the settings. */
  readonly file?: string | undefined;
  /** The same, read already; `source` names it in messages. */
  readonly part?: { readonly source: string; readonly value: Record<string, unknown> } | undefined;
  /** `a.b=c`, later ones win. */
  readonly set?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  /** The command that prints all settings, for messages. */
  readonly listing?: string;
}

/** Preset < file < --set < --seed. Throws a UserError for unknown keys and for values that the schema refuses. */
export async function resolveSettings<T>(schema: z.ZodType<T>, preset: T, input: SettingsInput): Promise<T> {
  const layers: Layer[] = [];
  if (input.file !== undefined) {
    const value = await readJson(input.file);
    if (!isRecord(value))
      throw new UserError(`${input.file}: an object with settings was expected, found ${show(value)}`);
    layers.push(...flatten(schema, value, input.file));
  }
  if (input.part !== undefined) layers.push(...flatten(schema, input.part.value, input.part.source));
  for (const text of input.set ?? []) layers.push(parseAssignment(schema, text));
  if (input.seed !== undefined) layers.push({ source: '--seed', path: ['seed'], value: input.seed });

  const hint = input.listing && `\`${input.listing}\` prints all settings with their values.`;
  const settings = structuredClone(preset) as Record<string, unknown>;
  for (const layer of layers) {
    refuseUnknown(schema, layer, hint);
    beginOtherKind(schema, settings, layer);
    assign(settings, layer);
  }
  const parsed = schema.safeParse(settings);
  if (parsed.success) return parsed.data;
  throw new UserError(refusal(schema, parsed.error.issues, layers, settings), hint === undefined ? {} : { hint });
}

/** An object's leaves, each with its path; lists are leaves, and objects of which there are several forms. */
function flatten(
  schema: z.ZodType,
  value: Record<string, unknown>,
  source: string,
  path: readonly string[] = [],
): Layer[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const own = [...path, key];
    const isLeaf = !isRecord(inner) || Object.keys(inner).length === 0 || hasKinds(schemaAt(schema, own));
    return isLeaf ? [{ source, path: own, value: inner }] : flatten(schema, inner, source, own);
  });
}

/** Of such a group an object that is given replaces the one that was there. */
function hasKinds(schema: z.ZodType | undefined): schema is z.ZodDiscriminatedUnion {
  return schema instanceof z.ZodDiscriminatedUnion;
}

/** "a.b=c": the value is JSON, or a plain word; where a list belongs, "x,y" will do. */
function parseAssignment(schema: z.ZodType, text: string): Layer {
  const equals = text.indexOf('=');
  if (equals < 1)
    throw new UserError(`--set ${text}: expected KEY=VALUE`, { hint: 'For example: --set grpo.learningRate=1e-4' });
  const path = text.slice(0, equals).trim().split('.');
  const word = text.slice(equals + 1).trim();
  const value = parseWord(word);
  const isList = schemaAt(schema, path) instanceof z.ZodArray && !Array.isArray(value);
  return {
    source: `--set ${text}`,
    path,
    value: isList ? word.split(',').map((part) => parseWord(part.trim())) : value,
  };
}

function parseWord(word: string): unknown {
  try {
    return JSON.parse(word);
  } catch {
    return word;
  }
}

function assign(settings: Record<string, unknown>, { path, value }: Layer): void {
  let place = settings;
  for (const key of path.slice(0, -1)) {
    if (!isRecord(place[key])) place[key] = {};
    place = place[key] as Record<string, unknown>;
  }
  place[path.at(-1)!] = value;
}

/** A group of several kinds, such as `engine`: what was set of one kind is no part of another. */
function beginOtherKind(schema: z.ZodType, settings: Record<string, unknown>, { path, value }: Layer): void {
  const parent = path.slice(0, -1);
  const group = parent.length === 0 ? undefined : schemaAt(schema, parent);
  if (!hasKinds(group) || group.def.discriminator !== path.at(-1)) return;
  const present = valueAt(settings, parent);
  if (isRecord(present) && present[path.at(-1)!] !== value) assign(settings, { source: '', path: parent, value: {} });
}

function refuseUnknown(schema: z.ZodType, { source, path }: Layer, hint: string | undefined): void {
  if (schemaAt(schema, path) !== undefined) return;
  const parent = path.slice(0, -1);
  if (parent.length > 0 && schemaAt(schema, parent) instanceof z.ZodArray)
    throw new UserError(`${source}: ${parent.join('.')} is a list and is set as a whole`, {
      hint: `For example: --set ${parent.join('.')}=[10,20]`,
    });
  throw new UserError(unknownSetting(schema, source, path.join('.')), hint === undefined ? {} : { hint });
}

function unknownSetting(schema: z.ZodType, source: string, name: string): string {
  const nearest = nearestPath(name, knownPaths(schema));
  return `${source}: unknown setting ${name}${nearest === undefined ? '' : `, did you mean ${nearest}?`}`;
}

function refusal(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  layers: readonly Layer[],
  settings: unknown,
): string {
  const faults = issues.map((issue) => {
    const path = issue.path.map(String);
    const name = path.join('.');
    // The last layer that touched the field, or something in or around it.
    const layer = layers.findLast((one) => one.path.every((key, i) => path[i] === undefined || path[i] === key));
    const source = layer?.source ?? 'settings';
    if (issue.code === 'unrecognized_keys') return unknownSetting(schema, source, [...path, issue.keys[0]!].join('.'));
    // The library names the type that it found; the value says more.
    const expected = issue.message.replace(/, received \w+$/, '');
    return `${source}: ${name}: ${expected}, found ${show(valueAt(settings, path))}`;
  });
  return faults.join('\n');
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce((inner: unknown, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}

/** All dotted paths of a schema, those of objects included. */
export function knownPaths(schema: z.ZodType, prefix = ''): string[] {
  const paths = shapesOf(schema).flatMap((shape) =>
    Object.entries(shape).flatMap(([key, field]) => [prefix + key, ...knownPaths(field, `${prefix}${key}.`)]),
  );
  return [...new Set(paths)];
}

/** The schema of a field; undefined when there is no such field. */
function schemaAt(schema: z.ZodType, path: readonly string[]): z.ZodType | undefined {
  let place: z.ZodType | undefined = unwrap(schema);
  for (const key of path) {
    const shape = place && shapesOf(place).find((one) => Object.hasOwn(one, key));
    if (shape === undefined) return undefined;
    place = unwrap(shape[key]!);
  }
  return place;
}

/** The fields of an object, or of every object that may stand there. */
function shapesOf(schema: z.ZodType): Record<string, z.ZodType>[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodUnion) return (inner.options as z.ZodType[]).flatMap(shapesOf);
  return inner instanceof z.ZodObject ? [inner.shape as Record<string, z.ZodType>] : [];
}

/** The schema within "or null", "by default", and before what is made of it. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodNullable || schema instanceof z.ZodDefault) return unwrap(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) return unwrap(schema.in as z.ZodType);
  return schema;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
