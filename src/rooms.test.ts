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
  ...['warmup', 'evolve', 'runs', 'evaluation', 'experiment', 'cli'],
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

it('every folder of src is a known room', () => {
  const folders = readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map((f) => f.name).sort()).toEqual([...rooms].sort());
});
