/** `search-e1 settings`: every setting of a run with its meaning, its range and its value in each preset, from the schema. */
import { Command } from 'commander';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { presets } from '../evolve/presets.ts';
import { settingsSchema } from '../evolve/settings.ts';
import { settingMeanings } from '../evolve/settings-meanings.ts';
import { knownPaths } from './settings-input.ts';
import type { Io } from './widgets/io.ts';
import { nearestPath } from './widgets/nearest.ts';
import { brokenAtWords, fitting } from './widgets/terminal.ts';

const examples = `
Settings come from a preset (--preset), then a file (--config), then single changes (--set NAME=VALUE); the last one wins.

Examples:
  search-e1 settings                          all of them
  search-e1 settings grpo                     those of one part
  search-e1 settings grpo.clipLow             one
  search-e1 settings --json | jq '.[].name'
  search-e1 evolve --set grpo.clipLow=0.1 --set grpo.steps=20,10
`;

/** One setting as it is told. */
export interface SettingRow {
  readonly name: string;
  readonly meaning: string;
  /** "a whole number from 1 to 1000", "null or a number above 0". */
  readonly range: string;
  /** Value by preset. */
  readonly presets: Readonly<Record<string, unknown>>;
}

export function settingsCommand(io: Io): Command {
  return new Command('settings')
    .argument('[name]', 'a setting, or the part of its name before the point')
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action((name: string | undefined, { json }: { readonly json?: boolean }) => {
      const rows = settingRows().filter(
        (row) => name === undefined || row.name === name || row.name.startsWith(`${name}.`),
      );
      if (rows.length === 0) throw unknown(name!);
      if (json) io.out.write(`${JSON.stringify(rows, null, 2)}\n`);
      else {
        const width = io.out.isTTY ? Math.min(100, (io.out.columns || 80) - 1) : 100;
        io.out.write(fitting(brokenAtWords(asText(rows), width), io.out));
      }
    });
}

/** All settings in the schema's order; what only holds others is left out. */
export function settingRows(): SettingRow[] {
  const schema = z.toJSONSchema(settingsSchema, { io: 'input' }) as JsonSchema;
  const inner = (value: unknown, path: readonly string[]): unknown =>
    path.reduce((found: unknown, key) => (found as Record<string, unknown> | null)?.[key] ?? null, value);
  return knownPaths(settingsSchema)
    .map((name) => ({ name, own: fieldOf(schema, name.split('.')) }))
    .filter(({ own }) => own.properties === undefined && own.oneOf === undefined)
    .map(({ name, own }) => ({
      name,
      meaning: settingMeanings[name] ?? '',
      range: rangeOf(own),
      presets: Object.fromEntries(
        Object.entries(presets).map(([preset, all]) => [preset, inner(all, name.split('.'))]),
      ),
    }));
}

/** As much of a JSON schema as settings use. */
interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  /** Of forms that say which they are. */
  readonly oneOf?: readonly JsonSchema[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

function fieldOf(schema: JsonSchema, [key, ...rest]: readonly string[]): JsonSchema {
  if (key === undefined) return schema;
  const forms = schema.properties ? [schema] : (schema.anyOf ?? schema.oneOf ?? []);
  const object = forms.find(({ properties }) => properties !== undefined && key in properties)!;
  return fieldOf(object.properties![key]!, rest);
}

/** The values that a field takes, in words. */
function rangeOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.length === 1 ? String(schema.enum[0]) : `one of ${schema.enum.join(', ')}`;
  if (schema.const !== undefined) return String(schema.const);
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms) return forms.map(rangeOf).toReversed().join(' or ');
  if (schema.type === 'null') return 'null';
  if (schema.properties)
    return `{${Object.entries(schema.properties)
      .map(([name, inner]) => `"${name}": ${rangeOf(inner)}`)
      .join(', ')}}`;
  if (schema.items)
    return `a list of ${schema.minItems ? `at least ${schema.minItems}: each ` : ''}${rangeOf(schema.items)}`;
  const kind = schema.type === 'integer' ? 'a whole number' : `a ${schema.type}`;
  const least = schema.minimum ?? Number.NEGATIVE_INFINITY;
  const most = schema.maximum === undefined || schema.maximum >= Number.MAX_SAFE_INTEGER ? undefined : schema.maximum;
  const above = schema.exclusiveMinimum !== undefined ? `above ${schema.exclusiveMinimum}` : '';
  const below = schema.exclusiveMaximum !== undefined ? `below ${schema.exclusiveMaximum}` : '';
  const from = Number.isFinite(least) ? (most === undefined ? `of at least ${least}` : `from ${least} to ${most}`) : '';
  const to = from === '' && most !== undefined ? `of at most ${most}` : '';
  const bounds = [from, to, above, below].filter((bound) => bound !== '');
  return [kind, bounds.join(' and ')].join(' ').trim();
}

function asText(rows: readonly SettingRow[]): string {
  const value = (values: SettingRow['presets']) => {
    const texts = Object.entries(values).map(([preset, own]) => [preset, JSON.stringify(own)] as const);
    const [, first] = texts[0]!;
    const others = texts.filter(([, text]) => text !== first).map(([preset, text]) => `${preset}: ${text}`);
    return [`default ${first}`, ...others].join('; ');
  };
  const lines = rows.map(
    ({ name, meaning, range, presets }) => `${name}\n  ${meaning}\n  ${value(presets)} (${range})\n`,
  );
  return lines.join('\n');
}

function unknown(name: string): UserError {
  const near = nearestPath(name, knownPaths(settingsSchema));
  return new UserError(`there is no setting ${name}${near === undefined ? '' : `, did you mean ${near}?`}`, {
    hint: 'search-e1 settings lists all of them.',
  });
}
