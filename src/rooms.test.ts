/** The house rule that rooms import only from rooms below them (docs/architecture.md), held against the code. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const source = fileURLToPath(new URL('.', import.meta.url));
/** From the bottom up. */
const rooms = [
  ...[
    'base',
    'policy',
    'onnx',
    'checkpoint',
    'engines',
    'retrieval',
    'world',
    'benchmarks',
    'protocol',
    'rollout',
    'baselines',
    'algorithms',
  ],
  ...['warmup', 'evolve', 'runs', 'evaluation', 'serving', 'experiment', 'viewer', 'cli'],
];

it('rooms import only from rooms below them', () => {
  const wrong: string[] = [];
  for (const room of rooms)
    for (const entry of readdirSync(path.join(source, room), { recursive: true, encoding: 'utf8' })) {
      // Tests may look further up: some check a room against its users.
      if (!entry.endsWith('.ts') || entry.endsWith('.test.ts') || /testing/.test(entry)) continue;
      const file = path.join(room, entry);
      for (const [, target] of readFileSync(path.join(source, file), 'utf8').matchAll(/from '(\.[^']+)'/g)) {
        const [imported] = path.relative(source, path.resolve(source, path.dirname(file), target!)).split(path.sep);
        if (rooms.indexOf(imported!) > rooms.indexOf(room) || !rooms.includes(imported!))
          wrong.push(`${file} imports ${target}`);
      }
    }
  expect(wrong).toEqual([]);
});

it('no file imports itself by way of others', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const imports = new Map(
    files.map((file) => {
      const code = readFileSync(path.join(source, file), 'utf8');
      const targets = [...code.matchAll(/from '(\.[^']+)'/g)].map(([, to]) => path.join(path.dirname(file), to!));
      return [file, targets] as const;
    }),
  );
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' → '));
    if (done.has(file) || way.includes(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

it('are listed in docs/architecture.md in this order', () => {
  const text = readFileSync(path.join(source, '..', 'docs', 'architecture.md'), 'utf8');
  const table = text.slice(text.indexOf('| room |'), text.indexOf('## The way of the data'));
  const listed = [...table.matchAll(/^\| `([a-z]+)\//gm)].map(([, room]) => room!);
  expect([...new Set(listed)]).toEqual([...rooms].reverse());
});

it('engines are reached through engines/open-engine.ts alone, but for tests and the public API', () => {
  const wrong: string[] = [];
  for (const room of rooms.filter((name) => name !== 'engines'))
    for (const entry of readdirSync(path.join(source, room), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts') || entry.endsWith('.test.ts') || /testing/.test(entry)) continue;
      for (const [, target] of readFileSync(path.join(source, room, entry), 'utf8').matchAll(/from '(\.[^']+)'/g))
        if (/\/engines\//.test(target!) && !target!.endsWith('/engines/open-engine.ts'))
          wrong.push(`${room}/${entry} imports ${target}`);
    }
  expect(wrong).toEqual([]);
});

it('tests have no limit of time of their own under that of vitest.config.ts, which busy machines need', () => {
  const config = readFileSync(path.join(source, '..', 'vitest.config.ts'), 'utf8');
  const number = (text: string) => Number(text.replaceAll('_', ''));
  const [limit, hook] = ['testTimeout', 'hookTimeout'].map((name) =>
    number(new RegExp(`${name}: ([\\d_]+)`).exec(config)![1]!),
  );
  expect(hook).toBe(limit);
  const short: string[] = [];
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.test.ts')) continue;
    // As the last argument of a test or hook, or as an option.
    for (const [, last, option] of readFileSync(path.join(source, file), 'utf8').matchAll(
      /^ *\}, ([\d_]{4,})\);$|\btimeout: ([\d_]+)/gm,
    ))
      if (number(last ?? option!) < limit!) short.push(`${file}: ${last ?? option}`);
  }
  expect(short).toEqual([]);
});

it('every folder of src is a known room', () => {
  const folders = readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map((f) => f.name).sort()).toEqual([...rooms].sort());
});
