/**
 * Settings from the outside: a preset, under a file, under `--set a.b=c`. One zod schema checks them all; what is wrong is
 * told with the place it came from, the field, what was expected and what was found.
 */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import { shown } from '../base/text.ts';
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
  /** `a.b=c`, or `a.0=c` for an entry of a list; later ones win. */
  readonly set?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  /** Where all settings are listed, for the hints of errors. */
  readonly listedBy?: string | undefined;
}

/** Preset < file < --set < --seed. Throws a UserError for unknown keys and for values that the schema refuses. */
export async function resolveSettings<T>(schema: z.ZodType<T>, preset: T, input: SettingsInput): Promise<T> {
  const layers: Layer[] = [];
  if (input.file !== undefined) {
    const value = await readJson(input.file);
    if (!isRecord(value))
      throw new UserError(`${input.file}: an object with settings was expected, found ${shown(value)}`);
    layers.push(...flatten(schema, value, input.file));
  }
  if (input.part !== undefined) layers.push(...flatten(schema, input.part.value, input.part.source));
  layers.push(
    ...formsFirst(
      schema,
      (input.set ?? []).map((text) => parseAssignment(schema, text)),
    ),
  );
  if (input.seed !== undefined) layers.push({ source: '--seed', path: ['seed'], value: input.seed });

  const settings = structuredClone(preset) as Record<string, unknown>;
  const listed = `${input.listedBy ?? '`search-e1 settings`'} lists all settings.`;
  for (const layer of layers) {
    refuseUnknown(schema, layer, listed);
    assign(schema, settings, layer);
  }
  const parsed = schema.safeParse(settings);
  if (parsed.success) return parsed.data;
  throw refusal(schema, parsed.error.issues, layers, settings, listed);
}

/** An object's leaves, each with its path; lists are leaves, and objects that say which of several forms they have. */
function flatten(
  schema: z.ZodType,
  value: Record<string, unknown>,
  source: string,
  path: readonly string[] = [],
): Layer[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const own = [...path, key];
    const isLeaf = !isRecord(inner) || Object.keys(inner).length === 0 || formKey(schema, own, inner) !== undefined;
    return isLeaf ? [{ source, path: own, value: inner }] : flatten(schema, inner, source, own);
  });
}

/** The key of `value` that says which form it has, where a field may have several. */
function formKey(schema: z.ZodType, path: readonly string[], value: Record<string, unknown>): string | undefined {
  const field = schemaAt(schema, path);
  if (!(field instanceof z.ZodDiscriminatedUnion)) return undefined;
  const key = field.def.discriminator;
  return Object.hasOwn(value, key) ? key : undefined;
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

/** Which form a field has is set before its parts, in whatever order they were given: it takes the parts of another form away. */
function formsFirst(schema: z.ZodType, layers: readonly Layer[]): Layer[] {
  const ordered: Layer[] = [];
  for (const layer of layers) {
    const parent = layer.path.slice(0, -1);
    let at = ordered.length;
    if (formKey(schema, parent, { [layer.path.at(-1)!]: layer.value }) !== undefined) {
      const isWithin = ({ path }: Layer) => parent.every((key, i) => path[i] === key);
      // Behind the last that set all of the field anew.
      const whole = ordered.findLastIndex(({ path }) => path.every((key, i) => parent[i] === key));
      const first = ordered.findIndex((one, i) => i > whole && isWithin(one));
      if (first >= 0) at = first;
    }
    ordered.splice(at, 0, layer);
  }
  return ordered;
}

function parseWord(word: string): unknown {
  try {
    return JSON.parse(word);
  } catch {
    return word;
  }
}

function assign(schema: z.ZodType, settings: Record<string, unknown>, { source, path, value }: Layer): void {
  let place = settings;
  for (const [i, key] of path.entries()) {
    if (Array.isArray(place) && !(Number(key) < place.length))
      throw new UserError(
        `${source}: ${path.slice(0, i).join('.')} has no entry ${key}, only 0 to ${place.length - 1}`,
        {
          hint: 'Entries count from 0; set the whole list to make it longer.',
        },
      );
    if (i === path.length - 1) {
      // Another form has other fields: those of the form before go with it.
      if (formKey(schema, path.slice(0, i), { [key]: value }) === key && place[key] !== value)
        for (const field of Object.keys(place)) delete place[field];
      place[key] = value;
      return;
    }
    if (!isRecord(place[key]) && !Array.isArray(place[key])) place[key] = {};
    place = place[key] as Record<string, unknown>;
  }
}

function refuseUnknown(schema: z.ZodType, { source, path }: Layer, listed: string): void {
  if (schemaAt(schema, path) !== undefined) return;
  const parent = path.slice(0, -1);
  if (parent.length > 0 && schemaAt(schema, parent) instanceof z.ZodArray)
    throw new UserError(
      `${source}: ${parent.join('.')} is a list: its entries are ${parent.join('.')}.0, ${parent.join('.')}.1, …`,
      {
        hint: `Or set it as a whole, for example: --set ${parent.join('.')}=[10,20]`,
      },
    );
  throw unknownSetting(schema, source, path.join('.'), listed);
}

function unknownSetting(schema: z.ZodType, source: string, name: string, listed: string): UserError {
  const nearest = nearestPath(name, knownPaths(schema));
  return new UserError(
    `${source}: unknown setting ${name}${nearest === undefined ? '' : `, did you mean ${nearest}?`}`,
    { hint: listed },
  );
}

function refusal(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  layers: readonly Layer[],
  settings: unknown,
  listed: string,
): UserError {
  const faults = issues.map((issue) => {
    const path = issue.path.map(String);
    const name = path.join('.');
    // The last layer that touched the field, or something in or around it.
    const layer = layers.findLast((one) => one.path.every((key, i) => path[i] === undefined || path[i] === key));
    const source = layer?.source ?? 'settings';
    if (issue.code === 'unrecognized_keys')
      return unknownSetting(schema, source, [...path, issue.keys[0]!].join('.'), listed).message;
    // The library names the type that it found; the value says more.
    const expected = issue.message.replace(/, received \w+$/, '');
    return `${source}: ${name}: ${expected}, found ${shown(valueAt(settings, path))}`;
  });
  return new UserError(faults.join('\n'), { hint: listed });
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
    place = place && entryAt(place, key);
    if (place === undefined) return undefined;
    place = unwrap(place);
  }
  return place;
}

function entryAt(place: z.ZodType, key: string): z.ZodType | undefined {
  if (place instanceof z.ZodArray) return /^\d+$/.test(key) ? (place.element as z.ZodType) : undefined;
  // Of several forms, one that has the field; whether it fits the others is for the check of the whole.
  return shapesOf(place).find((shape) => Object.hasOwn(shape, key))?.[key];
}

/** The fields of an object, or of every object that may stand there. */
function shapesOf(schema: z.ZodType): Record<string, z.ZodType>[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodUnion) return (inner.options as z.ZodType[]).flatMap(shapesOf);
  return inner instanceof z.ZodObject ? [inner.shape as Record<string, z.ZodType>] : [];
}

/** The schema within "or null", "or left out", "by default", and before what is made of it. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodNullable || schema instanceof z.ZodDefault || schema instanceof z.ZodExactOptional)
    return unwrap(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) return unwrap(schema.in as z.ZodType);
  return schema;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
