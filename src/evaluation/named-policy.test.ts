/** A policy by the one word that a user gives for it, and with it what it searches, its template and its limits. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { hashWeights } from '../checkpoint/model-directory.ts';
import { type ScriptedServer, scriptedServer } from '../engines/openai/testing/scripted-server.ts';
import { presets } from '../evolve/presets.ts';
import { defaultLimits } from '../rollout/turns.ts';
import { RunDirectory } from '../runs/run-directory.ts';
import { fixtureState, smallConfig } from '../runs/testing/run-fixture.ts';
import { type AskedLimits, modeOf, type NamedAgent, type NamedAgentInputs, openNamedAgent } from './named-agent.ts';
import { type NamedPolicy, type NamedPolicyOptions, openNamedPolicy } from './named-policy.ts';

let folder: string;
let server: ScriptedServer;
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'named-'));
  server = await scriptedServer(() => '<answer> gold </answer>');
  await writeFile(path.join(folder, 'corpus.jsonl'), '{"id": "1", "title": "A", "text": "the gold egg"}\n');
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function policy(spec?: string, options: Partial<NamedPolicyOptions> = {}): Promise<NamedPolicy> {
  const found = await openNamedPolicy(spec, { concurrency: 2, threads: 1, ...options });
  opened.push(found);
  return found;
}

async function agent(inputs: Partial<NamedAgentInputs>, limits: AskedLimits = {}): Promise<NamedAgent> {
  const named = { policy: undefined, retriever: undefined, template: undefined, concurrency: 2, threads: 1, ...inputs };
  const found = await openNamedAgent(named, limits);
  opened.push(found);
  return found;
}

/** A run directory whose checkpoints are the base policy: the base, and a stage that "trained" it. */
async function makeRun(name: string): Promise<string> {
  const place = path.join(folder, name);
  const settings = { ...presets.smoke, rollout: { ...presets.smoke.rollout, searches: 1, passages: 2 } };
  const run = await RunDirectory.create(place, { ...smallConfig(), settings });
  const saves = { save: (to: string) => cp(BASE_POLICY, to, { recursive: true }), discard: async () => {} };
  for (const stage of ['base', 'grpo-1'])
    await run.checkpoint(fixtureState(0, 0), saves as unknown as Parameters<RunDirectory['checkpoint']>[1], stage);
  await run.close();
  return place;
}

describe('a policy', () => {
  it('without a name is the embedded base', async () => {
    const base = await policy();
    expect(base).toMatchObject({ kind: 'engine', name: 'base', run: null, ofWorld: true });
    if (base.kind !== 'engine') return expect.unreachable();
    expect(base.weights).toBe(await hashWeights(BASE_POLICY));
    expect(base.tokenizer.vocabulary).toBeLessThanOrEqual(base.policy.info.vocabulary);
  });

  it('is a model directory, of the world where its manifest says so', async () => {
    const copy = path.join(folder, 'copy');
    await cp(BASE_POLICY, copy, { recursive: true });
    expect(await policy(copy)).toMatchObject({ kind: 'engine', name: 'copy', ofWorld: true, run: null });
    await rm(path.join(copy, 'manifest.json'));
    expect(await policy(copy)).toMatchObject({ ofWorld: false });
  });

  it('is a run: its last training stage, or the one named', async () => {
    const run = await makeRun('run');
    expect(await policy(run)).toMatchObject({ kind: 'engine', name: 'run#grpo-1', ofWorld: true });
    expect(await policy(`${run}#base`)).toMatchObject({ name: 'run#base', run: { preset: 'default' } });
    await expect(policy(`${run}#e1-1`)).rejects.toMatchObject({
      message: expect.stringContaining('no stage e1-1'),
      hint: 'There are base, grpo-1.',
    });
  });

  it('is a served model, asked in chats or as a text', async () => {
    const served = await policy(server.url);
    expect(served).toMatchObject({ kind: 'served', raw: false, model: { info: { name: 'scripted', weights: null } } });
    expect(await policy(server.url, { raw: true })).toMatchObject({ kind: 'served', raw: true });
    const templated = await policy(server.url, { raw: true, tokenizer: BASE_POLICY });
    expect(templated.kind === 'served' && templated.chatTemplate !== undefined).toBe(true);
  });

  it('is found in the Hub by whoever is asked to find it', async () => {
    const asked: string[] = [];
    const locate = async (place: string) => {
      asked.push(place);
      return { folder: BASE_POLICY, place: 'hf:owner/name@abc' };
    };
    expect(await policy('hf:owner/name', { locate })).toMatchObject({ name: 'hf:owner/name@abc' });
    expect(asked).toEqual(['hf:owner/name']);
  });

  it.each([
    [() => 'nowhere', {}, /--policy nowhere: there is no directory nowhere/],
    [() => `${folder}#grpo-1`, {}, /not a run directory, so it has no stage grpo-1/],
    [() => undefined, { raw: true }, /--raw: only a served model/],
    [() => server.url, { tokenizer: BASE_POLICY }, /--tokenizer: a served chat model uses its own/],
    [() => 'http://user:secret@127.0.0.1:1/v1#m', {}, /must not hold a password/],
    [() => folder, {}, /tokenizer\.json: no such file/],
  ])('is refused with what cannot be opened, and why: %#', async (spec, options, message) => {
    await expect(policy(spec(), options)).rejects.toThrow(message);
  });
});

describe('an agent', () => {
  it('of the embedded base searches its world, in its language and limits', async () => {
    const { world, template, limits, retriever } = await agent({});
    expect(world?.passages.length).toBe(retriever.info.passages);
    expect(template.name).toBe('world');
    const { searches, contextTokens, passages } = presets.default.rollout;
    expect(limits).toMatchObject({ searches, contextTokens, passages });
    // Limits and nothing else: they are part of an evaluation's conditions.
    expect(Object.keys(limits).sort()).toEqual(Object.keys(defaultLimits).sort());
  });

  it('of a run has what it was trained with', async () => {
    const run = await makeRun('trained');
    const { limits, template, world } = await agent({ policy: run });
    expect(limits).toMatchObject({ searches: 1, passages: 2 });
    expect([template.name, world === undefined]).toEqual(['world', false]);
  });

  it('that is served speaks no world’s language, whatever it searches', async () => {
    const own = await agent({ policy: server.url, retriever: path.join(folder, 'corpus.jsonl') });
    expect([own.template.name, own.world, own.retriever.info.passages]).toEqual(['search-r1', undefined, 1]);
    expect(own.limits).toEqual(defaultLimits);
    const inWorld = await agent({ policy: server.url, retriever: 'world' });
    expect([inWorld.template.name, inWorld.world === undefined]).toEqual(['search-r1', false]);
  });

  it('has to be told what to search where nothing says so', async () => {
    await expect(agent({ policy: server.url })).rejects.toMatchObject({
      message: expect.stringContaining('--retriever is missing'),
      hint: expect.stringContaining('--retriever world'),
    });
  });

  it('is refused with what else cannot be opened', async () => {
    await expect(agent({ retriever: path.join(folder, 'none.jsonl') })).rejects.toThrow(/none\.jsonl/);
    await expect(agent({ template: 'nope' })).rejects.toThrow(/nope/);
    await mkdir(path.join(folder, 'empty'), { recursive: true });
    await expect(agent({ retriever: path.join(folder, 'empty') })).rejects.toThrow(/empty/);
  });

  it('makes room for more searches and longer turns than it was trained with', async () => {
    const trained = (await agent({ policy: server.url, retriever: 'world' })).limits;
    const more = async (asked: AskedLimits) => (await agent({ policy: server.url, retriever: 'world' }, asked)).limits;
    const { searches, turnTokens, observationTokens, responseTokens, contextTokens } = trained;
    // Two more searches: two more turns, and what they find.
    expect(await more({ searches: searches + 2 })).toEqual({
      ...trained,
      searches: searches + 2,
      responseTokens: responseTokens + 2 * turnTokens,
      contextTokens: contextTokens + 2 * (turnTokens + observationTokens),
    });
    // Every turn, the last one too, ten tokens longer.
    expect(await more({ turnTokens: turnTokens + 10 })).toMatchObject({
      responseTokens: responseTokens + 10 * (searches + 1),
      contextTokens: contextTokens + 10 * (searches + 1),
    });
    // Fewer need no less room, and what is said counts.
    expect(await more({ searches: 1, passages: 7 })).toEqual({ ...trained, searches: 1, passages: 7 });
    expect(await more({ searches: searches + 2, contextTokens: 5000, responseTokens: 90 })).toMatchObject({
      contextTokens: 5000,
      responseTokens: 90,
    });
  });

  it('is asked in chats only where its template is a chat message', async () => {
    const { policy: served, template } = await agent({ policy: server.url, retriever: 'world' });
    if (served.kind !== 'served') return expect.unreachable();
    expect(modeOf(served, template)).toBe('chat');
    expect(modeOf({ ...served, raw: true }, template)).toBe('raw');
    expect(modeOf(served, { ...template, chat: false })).toBe('raw');
  });
});
