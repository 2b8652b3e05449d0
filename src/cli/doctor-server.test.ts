import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { CopyingBigram } from '../engines/tinker/testing/copying-bigram.ts';
import type { Dialect } from '../engines/tinker/testing/dialects.ts';
import { KEY, type OpenMock, openMock } from '../engines/tinker/testing/open-mock.ts';
import { presets } from '../evolve/presets.ts';
import { settingsSchema } from '../evolve/settings.ts';
import { diagnoseServer, serverText } from './doctor-server.ts';

const open: OpenMock[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

it.each([
  [{}, {}, 'goes on in a new model after each'],
  [{}, { savesOnce: false }, 'set engine.overrides.savesOnce=true'],
  [{ savesOnce: false }, {}, 'engine.overrides.savesOnce=false saves time'],
] as const)(
  'finds out whether a model is saved more than once: %j, %j',
  async (dialect: Partial<Dialect>, overrides, words) => {
    const { pieces } = await loadTokenizer(BASE_POLICY);
    const mock = await openMock('hatchery', dialect, {
      pieces,
      initial: CopyingBigram.random(pieces.length, [1, 2]),
    });
    open.push(mock);
    const folder = await mkdtemp(path.join(tmpdir(), 'doctor-'));
    folders.push(folder);
    const keyFile = path.join(folder, 'key');
    await writeFile(keyFile, KEY);
    const settings = settingsSchema.parse({
      ...presets.smoke,
      engine: {
        ...{ kind: 'tinker', url: mock.server.url, profile: 'hatchery', overrides, baseModel: mock.server.baseModel },
        ...{ loraRank: 8, keyFile },
      },
    });
    const io = { err: { write: () => true } } as unknown as Parameters<typeof diagnoseServer>[2];
    const diagnosis = await diagnoseServer(settings, BASE_POLICY, io);
    expect(serverText(diagnosis)).toContain(words);
    // Scratch models are given back.
    expect(mock.server.models).toHaveLength(0);
  },
);
