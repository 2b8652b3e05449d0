import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import { acquireLock, judge, type Owner } from './lock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const file = () => path.join(folder, 'lock.json');
const dead = { pid: 2 ** 22 + 5, host: hostname(), started: null };

it('is held by one of eight processes at a time, whoever dies with it', async () => {
  const taker = new URL('./testing/lock-taker.ts', import.meta.url).pathname;
  const ended = Array.from({ length: 8 }, async (_, seed) => {
    const child = spawn(process.execPath, [taker, folder, '15', String(seed)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (data) => {
      said += String(data);
    });
    await new Promise((resolve) => child.on('close', resolve));
    return said;
  });
  expect(await Promise.all(ended)).toEqual(ended.map(() => 'taken 15\n'));
  // Nothing stays but, perhaps, the lock of the last one that died.
  await (await acquireLock(folder)).release();
  expect(await readdir(folder)).toEqual([]);
});

it('is refused by name where it can neither be read nor made, instead of being waited for', async () => {
  await mkdir(file());
  await expect(acquireLock(folder)).rejects.toThrow(`${file()}: `);
  expect(await readdir(folder)).toEqual(['lock.json']);
});

it('is taken over from a dead process, and from one that died while it took it over', async () => {
  const left = JSON.stringify(dead);
  await writeFile(file(), left);
  const right = `${file()}.${sha256(left).slice(0, 16)}`;
  await writeFile(right, left);
  const held = await acquireLock(folder);
  expect(await readdir(folder)).toEqual(['lock.json']);
  await expect(acquireLock(folder)).rejects.toThrow(`in use by process ${process.pid}`);
  await held.release();
  expect(await readdir(folder)).toEqual([]);
});

it('leaves the lock of another alone when it is released late', async () => {
  const held = await acquireLock(folder);
  await writeFile(file(), 'of another');
  await held.release();
  expect(await readFile(file(), 'utf8')).toBe('of another');
});

it('takes over what is no record of an owner', async () => {
  await writeFile(file(), 'half a li');
  await (await acquireLock(folder)).release();
});

describe('an owner', () => {
  const here = async (): Promise<Owner> => {
    const held = await acquireLock(folder);
    const owner = JSON.parse(await readFile(file(), 'utf8')) as Owner;
    await held.release();
    return owner;
  };

  it('is alive while its process runs, and dead when the number belongs to another', async () => {
    const owner = await here();
    expect(judge(owner)).toBe('alive');
    expect(judge({ ...owner, pid: dead.pid })).toBe('dead');
    if (owner.started !== null) expect(judge({ ...owner, started: `${owner.started}0` })).toBe('dead');
    expect(judge({ ...owner, machine: null, namespace: null, lock: '' })).toBe('alive');
  });

  it('is unknown on another machine or in another namespace: its number means nothing here', async () => {
    const owner = { ...(await here()), machine: 'this', namespace: 'pid:[1]', started: 'boot:1' };
    expect(judge({ ...owner, host: 'elsewhere' }, owner)).toBe('unknown');
    expect(judge({ ...owner, machine: 'that' }, owner)).toBe('unknown');
    expect(judge({ ...owner, namespace: 'pid:[2]' }, owner)).toBe('unknown');
    // After a reboot everything of that machine is gone, in whatever namespace it was.
    expect(judge({ ...owner, namespace: 'pid:[2]', started: 'boot before:1' }, owner)).toBe('dead');
    // Without the machine's name it may be another machine.
    const nameless = { ...owner, machine: null };
    expect(judge({ ...nameless, namespace: 'pid:[2]', started: 'another boot:1' }, nameless)).toBe('unknown');
    expect(judge({ ...nameless, started: 'another boot:1' }, nameless)).toBe('dead');
  });

  it('that is unknown is left to the user', async () => {
    const owner = await here();
    await writeFile(file(), JSON.stringify({ ...owner, namespace: 'pid:[1]' }));
    await expect(acquireLock(folder)).rejects.toMatchObject({
      message: expect.stringContaining('in another container'),
      hint: expect.stringContaining(`delete ${file()}`),
    });
    await writeFile(file(), JSON.stringify({ ...owner, host: 'elsewhere' }));
    await expect(acquireLock(folder)).rejects.toThrow(/in use by process \d+ on elsewhere/);
    expect(await readdir(folder)).toEqual(['lock.json']);
  });
});

it('is not taken in a folder of which something leads elsewhere', async () => {
  await symlink(tmpdir(), path.join(folder, 'trajectories'));
  await expect(acquireLock(folder)).rejects.toThrow(/trajectories: is a symbolic link/);
  expect(await readdir(folder)).toEqual(['trajectories']);
});
