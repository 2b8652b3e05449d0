import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import { shellCommand } from '../base/shell-command.ts';
import { presets } from '../evolve/presets.ts';
import { checkSameInputs, versionNotes } from './config-record.ts';
import { RunDirectory } from './run-directory.ts';
import { fakePolicy } from './testing/fake-policy.ts';
import {
  fixturePair,
  fixtureResults,
  fixtureState,
  fixtureTiming,
  fixtureTrajectory,
  smallConfig,
} from './testing/run-fixture.ts';
import { weightsAfter, writeToyRun } from './testing/writer.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'run-directory-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const folder = () => path.join(root, 'a', 'run');

/** Every file below a folder with the hash of its content. */
async function contents(of: string): Promise<Record<string, string>> {
  const entries = await readdir(of, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const pairs = files.sort().map(async (file) => [path.relative(of, file), sha256(await readFile(file))] as const);
  return Object.fromEntries(await Promise.all(pairs));
}

describe('a run directory', () => {
  it('gives back what was written', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    const trajectories = [fixtureTrajectory('ü/1', 0), fixtureTrajectory('ü/1', 1, 0)];
    await run.writeTrajectories('pool-1', trajectories);
    await run.writePairs('e1-1', [fixturePair('q1')]);
    await run.metric({ stage: 'grpo-1', step: 1, reward: 0.1, note: 'ok', missing: null });
    await run.writeResults(fixtureResults(), fixtureTiming);
    await run.close();

    const again = await RunDirectory.open(folder());
    expect(again.config).toEqual({ ...smallConfig(), external: [] });
    expect(await again.readTrajectories('pool-1')).toEqual(trajectories);
    expect(await again.readTrajectories('pool-2')).toBeUndefined();
    expect(await again.readPairs('e1-1')).toEqual([fixturePair('q1')]);
    expect(await again.readPairs('e1-2')).toBeUndefined();
    expect(await again.files.metrics()).toEqual([{ stage: 'grpo-1', step: 1, reward: 0.1, note: 'ok', missing: null }]);
    expect(await again.files.results()).toEqual(fixtureResults());
    expect(await again.files.timing()).toMatchObject(fixtureTiming);
    expect(await again.files.trajectoryShards()).toEqual(['pool-1']);
    expect(await again.files.pairShards()).toEqual(['e1-1']);
    await again.close();
    expect(await readdir(folder())).not.toContain('lock.json');
  });

  it('restores the newest checkpoint and drops the metrics that came after it', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    expect(await run.restoreLatest(fakePolicy('x'))).toBeUndefined();
    for (const step of [1, 2]) await run.metric({ stage: 'grpo-1', step });
    await run.checkpoint(fixtureState(1, 2), fakePolicy('after 2'));
    for (const step of [3, 4]) await run.metric({ stage: 'grpo-1', step });
    await run.close();

    const again = await RunDirectory.open(folder());
    const policy = fakePolicy('x');
    expect(await again.restoreLatest(policy)).toEqual(fixtureState(1, 2));
    expect(policy.weights).toBe('after 2');
    await again.metric({ stage: 'grpo-1', step: 3 });
    expect((await again.files.metrics()).map(({ step }) => step)).toEqual([1, 2, 3]);
    // The count goes on from the restored one: the next checkpoint keeps three lines.
    await again.checkpoint(fixtureState(1, 3), policy);
    await again.metric({ stage: 'grpo-1', step: 4 });
    await again.restoreLatest(policy);
    expect((await again.files.metrics()).map(({ step }) => step)).toEqual([1, 2, 3]);
    await again.close();
  });

  it('keeps checkpoints by name and removes the others once a newer one stands', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await run.checkpoint(fixtureState(0, 0), fakePolicy('base'), 'base');
    await run.checkpoint(fixtureState(1, 1), fakePolicy('one'), 'best');
    await run.checkpoint(fixtureState(1, 2), fakePolicy('two'));
    await run.checkpoint(fixtureState(1, 3), fakePolicy('three'), 'best');
    await run.checkpoint(fixtureState(1, 4), fakePolicy('four'));
    expect(await readdir(run.files.file('checkpoints'))).toEqual(['0001-base', '0004-best', '0005', 'latest.json']);
    const policy = fakePolicy('x');
    await run.restoreKept('base', policy);
    expect(policy.weights).toBe('base');
    await run.restoreKept('best', policy);
    expect(policy.weights).toBe('three');
    await expect(run.restoreKept('worst', policy)).rejects.toThrow('no checkpoint is kept under the name worst');
    await run.close();
  });

  it('leaves the old checkpoint standing when the policy cannot be saved', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await run.checkpoint(fixtureState(0, 1), fakePolicy('one'));
    const full = fakePolicy('two');
    full.save = async (to) => {
      await writeFile(path.join(to, 'model.safetensors'), 'half');
      // What the system says when a disk is full.
      await writeFile('/dev/full', 'x').catch((error: unknown) => {
        throw error;
      });
    };
    await expect(run.checkpoint(fixtureState(0, 2), full)).rejects.toThrow(/the disk is full/);
    expect(await readdir(run.files.file('checkpoints'))).toEqual(['0001', 'latest.json']);
    const policy = fakePolicy('x');
    expect(await run.restoreLatest(policy)).toEqual(fixtureState(0, 1));
    expect(policy.weights).toBe('one');
    await run.close();
  });

  it('refuses a folder that is in use, holds a run, holds something else, or cannot be', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await expect(RunDirectory.open(folder())).rejects.toThrow(`in use by process ${process.pid}`);
    await run.close();
    await expect(RunDirectory.create(folder(), smallConfig())).rejects.toMatchObject({
      message: expect.stringContaining('holds a run already'),
      hint: expect.stringContaining(`${shellCommand('search-e1', 'evolve', '--resume', folder())}\n`),
    });
    await writeFile(path.join(root, 'a', 'letter.txt'), 'dear');
    await expect(RunDirectory.create(path.join(root, 'a'), smallConfig())).rejects.toThrow('is not empty');
    // Tests may run as root, to whom nothing is read-only: a file in the path's place stops root as well.
    const below = path.join(root, 'a', 'letter.txt', 'run');
    await expect(RunDirectory.create(below, smallConfig())).rejects.toThrow('a part of this path is not a directory');
    await expect(RunDirectory.open(path.join(root, 'nowhere'))).rejects.toThrow('not a run directory');
    await expect(RunDirectory.open(root)).rejects.toThrow('not a run directory');
    expect(await readdir(root)).toEqual(['a']);
  });

  it('takes over the lock of a process that is gone', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    const lock = run.files.file('lock.json');
    const held = JSON.parse(await readFile(lock, 'utf8'));
    await run.close();
    for (const owner of [{ ...held, pid: 2 ** 22 + 5 }, { ...held, started: 'another boot:12' }, 'half a li']) {
      await writeFile(lock, typeof owner === 'string' ? owner : JSON.stringify(owner));
      await (await RunDirectory.open(folder())).close();
    }
    await writeFile(lock, JSON.stringify({ ...held, host: 'elsewhere' }));
    await expect(RunDirectory.open(folder())).rejects.toMatchObject({
      message: expect.stringContaining('elsewhere'),
      hint: expect.stringContaining(lock),
    });
  });

  /** Changes a file and gives what brings it back. */
  async function change(name: string, from: string | RegExp, to: string): Promise<() => Promise<void>> {
    const file = path.join(folder(), name);
    const before = await readFile(file, 'utf8');
    expect(before).toMatch(from);
    await writeFile(file, before.replace(from, to));
    return () => writeFile(file, before);
  }
  const SEAL = /,\n {2}"sha256": "[0-9a-f]{64}"/;

  it('names file and field of what is wrong where nothing is under a hash, as in runs of 0.4', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await run.metric({ stage: 'base', step: 0 });
    await run.checkpoint(fixtureState(0, 1), fakePolicy('one'));
    await run.close();
    await change('config.json', SEAL, '');
    await change('checkpoints/latest.json', SEAL, '');
    await change('checkpoints/latest.json', /,\s+"states": {[^}]*}/, '');
    let mend = await change('config.json', '"cycles": 2', '"cycles": "two"');
    await expect(RunDirectory.open(folder())).rejects.toThrow(/config\.json at settings\.cycles: /);
    await mend();
    mend = await change('config.json', '"schema": 1', '"schema": 2');
    await expect(RunDirectory.open(folder())).rejects.toThrow(/config\.json at schema: /);
    await mend();

    const again = await RunDirectory.open(folder());
    mend = await change('checkpoints/0001/state.json', '"step": 1', '"step": 1.5');
    await expect(again.restoreLatest(fakePolicy('x'))).rejects.toThrow(/state\.json at state\.(best\.)?step: /);
    await mend();
    mend = await change('checkpoints/latest.json', '"0001"', '1');
    await expect(again.restoreLatest(fakePolicy('x'))).rejects.toThrow(/latest\.json at latest: /);
    await mend();
    mend = await change('metrics.jsonl', /.*\n/, '');
    await expect(again.restoreLatest(fakePolicy('x'))).rejects.toThrow(/metrics\.jsonl: has 0 lines.*counted 1/);
    await mend();
    await again.writePairs('e1-1', [{ ...fixturePair('q'), kl: [1] }]);
    await expect(again.readPairs('e1-1')).rejects.toThrow(/e1-1\.jsonl\.gz:1: ids, mask and kl differ in length/);
    await again.close();
  });

  it('refuses by name every file that a run rests on when a byte of it has changed, or it is gone', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await run.metric({ stage: 'grpo-1', step: 1 });
    await run.writeTrajectories('pool-1', [fixtureTrajectory('q', 0)]);
    await run.checkpoint(fixtureState(0, 0), fakePolicy('base'), 'base');
    await run.metric({ stage: 'grpo-1', step: 2 });
    await run.writePairs('e1-1', [fixturePair('q')]);
    await run.checkpoint(fixtureState(1, 1), fakePolicy('one'));
    await run.close();
    const whole = await contents(folder());
    const files = Object.keys(whole);
    expect(files).toContain('checkpoints/0001-base/optimizer.safetensors');
    expect(files.length).toBeGreaterThan(12);
    for (const name of files) {
      const file = path.join(folder(), name);
      const before = await readFile(file);
      const middle = Math.floor(before.length / 2);
      const changed = Buffer.from(before);
      changed[middle]! ^= 1;
      for (const content of [changed, undefined]) {
        await (content === undefined ? rm(file) : writeFile(file, content));
        const opened = async () => {
          const again = await RunDirectory.open(folder());
          try {
            await again.restoreLatest(fakePolicy('x'));
            await again.restoreKept('base', fakePolicy('x'));
          } finally {
            await again.close();
          }
        };
        const message =
          content === undefined ? /missing|no such file|not a run|has 0 lines/ : /is not the file that was/;
        await expect(opened(), name).rejects.toThrow(message);
        const told = await opened().catch((error: Error) => error.message);
        expect(told).toContain(name === 'config.json' ? folder() : file);
        await writeFile(file, before);
      }
    }
    // Nothing was deleted or changed by the refusals, and the run goes on.
    expect(await contents(folder())).toEqual(whole);
    const again = await RunDirectory.open(folder());
    expect(await again.restoreLatest(fakePolicy('x'))).toEqual(fixtureState(1, 1));
    await again.close();
  });

  it('deletes nothing on the word of a pointer that is wrong', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await run.checkpoint(fixtureState(0, 0), fakePolicy('base'), 'base');
    await run.checkpoint(fixtureState(1, 0), fakePolicy('one'), 'grpo-1');
    await run.checkpoint(fixtureState(1, 1), fakePolicy('two'));
    await run.close();
    await change('checkpoints/latest.json', SEAL, '');
    await change('checkpoints/latest.json', /,\s+"states": {[^}]*}/, '');
    const checkpoints = path.join(folder(), 'checkpoints');
    const there = await readdir(checkpoints);

    // A number that is no checkpoint.
    let mend = await change('checkpoints/latest.json', '"latest": "0003"', '"latest": "0803"');
    let again = await RunDirectory.open(folder());
    await expect(again.restoreLatest(fakePolicy('x'))).rejects.toThrow(/names the checkpoint 0803, which is not there/);
    await again.close();
    await mend();
    expect(await readdir(checkpoints)).toEqual(there);

    // A name that is lost: what bore it stays.
    mend = await change('checkpoints/latest.json', /,\s+"grpo-1": "0002-grpo-1"/, '');
    again = await RunDirectory.open(folder());
    await again.restoreLatest(fakePolicy('x'));
    await again.checkpoint(fixtureState(1, 2), fakePolicy('three'));
    await again.checkpoint(fixtureState(1, 3), fakePolicy('four'));
    await again.close();
    expect(await readdir(checkpoints)).toEqual(['0001-base', '0002-grpo-1', '0005', 'latest.json']);

    // No pointer at all is no fresh run.
    await rm(path.join(checkpoints, 'latest.json'));
    again = await RunDirectory.open(folder());
    await expect(again.restoreLatest(fakePolicy('x'))).rejects.toThrow(/latest\.json: is missing, though/);
    await expect(again.checkpoint(fixtureState(0, 0), fakePolicy('x'), 'base')).rejects.toThrow(/is missing, though/);
    await again.close();
    expect(await readdir(checkpoints)).toEqual(['0001-base', '0002-grpo-1', '0005']);
  });

  it('goes on with a run that has no hashes, and puts it under hashes from then on', async () => {
    const run = await RunDirectory.create(folder(), smallConfig());
    await run.writeTrajectories('pool-1', [fixtureTrajectory('q', 0)]);
    await run.metric({ stage: 'grpo-1', step: 1 });
    await run.checkpoint(fixtureState(0, 0), fakePolicy('base'), 'base');
    await run.close();
    await change('config.json', SEAL, '');
    await change('checkpoints/latest.json', SEAL, '');
    await change('checkpoints/latest.json', /,\s+"states": {[^}]*}/, '');
    await change('checkpoints/0001-base/state.json', /,\s+"files": [\s\S]*\n}\n$/, '\n}\n');

    let again = await RunDirectory.open(folder());
    expect(await again.restoreLatest(fakePolicy('x'))).toEqual(fixtureState(0, 0));
    await again.checkpoint(fixtureState(0, 1), fakePolicy('one'));
    await again.close();
    await writeFile(path.join(folder(), 'trajectories', 'pool-1.jsonl.gz'), 'another');
    again = await RunDirectory.open(folder());
    await expect(again.restoreLatest(fakePolicy('x'))).rejects.toThrow(/pool-1\.jsonl\.gz: is not the file/);
    await again.close();
  });

  it('lets the engine discard checkpoints that were never finished, before their folders go', async () => {
    const discarded: string[] = [];
    const policy = Object.assign(fakePolicy('x'), {
      discard: async (place: string) => {
        // A server's handle must still be there.
        discarded.push(`${path.basename(place)}: ${await readdir(place)}`);
      },
    });
    const half = async (name: string) => {
      await mkdir(path.join(folder(), 'checkpoints', name), { recursive: true });
      await writeFile(path.join(folder(), 'checkpoints', name, 'engine.json'), '{}');
    };
    let run = await RunDirectory.create(folder(), smallConfig());
    await run.checkpoint(fixtureState(0, 1), policy);
    await half('0002.tmp');
    // Renamed, but not yet named in latest.json.
    await half('0003');
    await run.close();

    run = await RunDirectory.open(folder());
    await run.restoreLatest(policy);
    expect(discarded.splice(0)).toEqual(['0002.tmp: engine.json']);
    await run.checkpoint(fixtureState(0, 2), policy);
    discarded.length = 0;
    await run.checkpoint(fixtureState(0, 3), policy);
    expect(discarded).toContain('0003: engine.json');

    // One that fails leaves nothing on the server either.
    discarded.length = 0;
    const failing = Object.assign(Object.create(policy), {
      save: async (place: string) => {
        await writeFile(path.join(place, 'engine.json'), '{}');
        throw new Error('the server is gone');
      },
    });
    await expect(run.checkpoint(fixtureState(0, 4), failing)).rejects.toThrow('the server is gone');
    expect(discarded).toEqual(['0004.tmp: engine.json']);
    expect(await readdir(path.join(folder(), 'checkpoints'))).not.toContain('0004.tmp');
    await run.close();
  });

  it('refuses links that lead out of it, and touches nothing behind them', async () => {
    const outside = path.join(root, 'outside');
    await mkdir(outside);
    await writeFile(path.join(outside, 'letter.tmp'), 'dear');
    await writeToyRun(folder(), 2);
    for (const name of ['metrics.jsonl', 'trajectories', 'checkpoints/latest.json', 'lock.json.1.tmp']) {
      const place = path.join(folder(), name);
      const kept = path.join(root, 'kept');
      await rename(place, kept).catch(() => {});
      await symlink(name === 'trajectories' ? outside : path.join(outside, 'letter.tmp'), place);
      await expect(RunDirectory.open(folder()), name).rejects.toThrow(`${place}: is a symbolic link`);
      await rm(place);
      await rename(kept, place).catch(() => {});
    }
    expect(await contents(outside)).toEqual({ 'letter.tmp': sha256('dear') });
    // The folder itself may be reached by one.
    await symlink(folder(), path.join(root, 'link'));
    await (await RunDirectory.open(path.join(root, 'link'))).close();
  });

  it('writes the same bytes for the same run', async () => {
    await writeToyRun(path.join(root, 'one'), 4);
    await writeToyRun(path.join(root, 'two'), 4);
    expect(await contents(path.join(root, 'one'))).toEqual(await contents(path.join(root, 'two')));
  });

  it('goes on to the same bytes after kill -9 at random moments', async () => {
    const steps = 20;
    const killed = path.join(root, 'killed');
    const writer = new URL('./testing/writer.ts', import.meta.url).pathname;
    let kills = 0;
    for (let attempt = 0; attempt < 5; attempt++) {
      const child = spawn(process.execPath, [writer, killed, String(steps)], { stdio: ['ignore', 'pipe', 'pipe'] });
      let complaint = '';
      child.stderr.on('data', (data) => {
        complaint += String(data);
      });
      // It speaks when it is about to begin: a moment later, a different one each time, it is killed.
      child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), (attempt * 13) % 50));
      const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
      if (code === 0) break;
      expect(complaint).toBe('');
      kills += 1;
    }
    await writeToyRun(killed, steps);
    await writeToyRun(path.join(root, 'whole'), steps);
    expect(await contents(killed)).toEqual(await contents(path.join(root, 'whole')));
    expect(weightsAfter(steps)).toBe(
      await readFile(path.join(killed, 'checkpoints', '0020-even-0', 'model.safetensors'), 'utf8'),
    );
    expect(kills).toBeGreaterThan(0);
  });
});

describe('the record of a configuration', () => {
  it('refuses to continue on other data, by name', () => {
    const config = smallConfig();
    checkSameInputs(config, config, 'runs/x');
    const elsewhere = {
      ...config,
      engine: { kind: 'abacus' as 'embedded', capabilities: null, devices: ['cpu' as const] },
    };
    expect(() => checkSameInputs(config, elsewhere, 'runs/x')).toThrow('runs/x: the engine was embedded, it is abacus');
    const withFile = { ...config, inputs: { ...config.inputs, corpus: '/data/wiki.jsonl' } };
    expect(() =>
      checkSameInputs(withFile, { ...config, hashes: { ...config.hashes, corpus: 'f'.repeat(64) } }, 'runs/x'),
    ).toThrow(
      'runs/x: corpus (/data/wiki.jsonl) changed since the run began: 222222222222… was recorded, ffffffffffff… was found',
    );
  });

  it('tells which versions differ', () => {
    const config = smallConfig();
    expect(versionNotes(config)).toEqual([]);
    expect(versionNotes(config, { ...config.versions, node: '99.0.0' })).toEqual([
      `the run began with node ${config.versions.node}, this is 99.0.0: results may differ`,
    ]);
  });

  it('is valid for every preset', async () => {
    for (const [preset, settings] of Object.entries(presets)) {
      const run = await RunDirectory.create(path.join(root, preset), { ...smallConfig(), preset, settings });
      expect((await run.files.config()).settings).toEqual(settings);
      await run.close();
    }
  });
});
