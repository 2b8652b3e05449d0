import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { COMMIT, startFakeHub } from '../base/testing/hub-server.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { capture } from './testing/capture.ts';

/** What is measured is little. */
const brief = ['--threads', '1', '--set', 'rollout.contextTokens=32', '--set', 'rollout.concurrency=2'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'doctor-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('search-e1 doctor', () => {
  it('measures the embedded policy and tells memory and time', async () => {
    const { code, out } = await capture('doctor', '--preset', 'smoke', ...brief, '--json');
    expect(code).toBe(0);
    const diagnosis = JSON.parse(out);
    expect(diagnosis).toMatchObject({ fits: true, computation: { mode: 'whole' }, model: { family: 'qwen2' } });
    expect(diagnosis.memory.map(({ stage }: { stage: string }) => stage)).toEqual(['GRPO', 'distillation']);
    for (const { parts, bytes } of diagnosis.memory)
      expect(parts.reduce((sum: number, part: { bytes: number }) => sum + part.bytes, 0)).toBe(bytes);
    for (const pace of Object.values(diagnosis.pace)) expect(pace).toBeGreaterThan(0);
    expect(diagnosis.atMost.stages[0].name).toBe('evaluate-base');
  });

  it('needs no more than config.json, and shows the sampling defaults that are not used', async () => {
    const model = path.join(folder, 'config-only');
    await mkdir(model);
    await copyFile(path.join(BASE_POLICY, 'config.json'), path.join(model, 'config.json'));
    await writeFile(path.join(model, 'generation_config.json'), '{"do_sample": true, "top_p": 0.8, "eos_token_id": 1}');
    const { code, out, err } = await capture('doctor', '--model', model, '--preset', 'smoke', ...brief);
    expect([code, err]).toEqual([0, 'measuring speed on random tokens ...\n']);
    expect(out).toContain('not used: do_sample true, top_p 0.8 (generation_config.json)');
    expect(out).toMatch(/Memory, GRPO\n {2}weights/);
    expect(out).toMatch(
      /It fits\.\n\nSpeed, measured on random tokens with random weights\n {2}sampling {2}[\d,]+ tokens\/s/,
    );
    await writeFile(path.join(model, 'generation_config.json'), '{"top_p": "high"}');
    const refused = await capture('doctor', '--model', model, '--preset', 'smoke');
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('generation_config.json: top_p: ')]);
  });

  it('downloads no weights of a model of the Hub until it is asked to', async () => {
    const files = ['config.json', 'tokenizer.json', 'model.safetensors'];
    const content = async (name: string) => ({ content: await readFile(path.join(BASE_POLICY, name)), lfs: true });
    const hub = await startFakeHub(
      new Map(await Promise.all(files.map(async (name) => [`own/model/${name}`, await content(name)] as const))),
    );
    vi.stubEnv('HF_ENDPOINT', hub.url);
    vi.stubEnv('HF_HOME', path.join(folder, 'hf'));
    for (const name of ['HF_TOKEN', 'HF_HUB_OFFLINE']) vi.stubEnv(name, '');
    for (const name of ['HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE']) vi.stubEnv(name, undefined);
    const doctor = (...more: string[]) =>
      capture('doctor', '--model', 'hf:own/model', '--preset', 'smoke', ...brief, ...more);
    try {
      const before = await doctor();
      expect([before.code, before.err]).toEqual([0, 'measuring speed on random tokens ...\n']);
      // config.json alone was fetched.
      expect(hub.requests).toHaveLength(1);
      expect(before.out).toContain(`Model     hf:own/model@${COMMIT}: qwen2, 0.8 million parameters`);
      expect(before.out).toMatch(/\nDownload {2}3\.\d MB, not begun; [\d.]+ GB are free in .*hf\/hub\n/);
      expect(before.out).toContain('with random weights (--download fetches its own)');

      const after = await doctor('--download', '--json');
      expect(after.code).toBe(0);
      expect(JSON.parse(after.out)).toMatchObject({ missing: null, measuredOn: 'its weights' });
      expect(hub.requests).toHaveLength(3);
      const offline = await doctor('--offline', '--json');
      expect(JSON.parse(offline.out)).toMatchObject({ missing: null, measuredOn: 'its weights' });
    } finally {
      vi.unstubAllEnvs();
      await hub.close();
    }
  });

  it('opens nothing where a run would not fit, and says what to change', async () => {
    // 70 billion parameters: a configuration alone, there are no weights to read.
    const config = {
      model_type: 'llama',
      vocab_size: 128_256,
      hidden_size: 8192,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      intermediate_size: 28_672,
      rope_theta: 500_000,
      rms_norm_eps: 1e-5,
      max_position_embeddings: 8192,
    };
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
    const { code, out } = await capture('doctor', '--model', folder, '--preset', 'paper');
    expect(code).toBe(0);
    expect(out).toMatch(/70\d{3}\.\d million parameters/);
    expect(out).toContain('layer by layer');
    expect(out).toMatch(/It does not fit: GRPO takes \d{4}\.\d GB/);
    expect(out).toContain("--set 'rollout.concurrency=16'");
    expect(out).not.toContain('Speed');
  });
});
