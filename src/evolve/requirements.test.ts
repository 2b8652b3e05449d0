import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { presets } from './presets.ts';
import { memoryOfRun, peakOf, refuseUnfit, remedies } from './requirements.ts';
import type { LocalSettings } from './settings.ts';

const model: ModelConfig = {
  family: 'qwen2',
  vocabulary: 151_936,
  hidden: 896,
  layers: 24,
  heads: 14,
  keyValueHeads: 2,
  headSize: 64,
  intermediate: 4864,
  ropeTheta: 1e6,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 32_768,
};
const settings: LocalSettings = {
  ...presets.paper,
  distill: { ...presets.paper.distill, adapter: null },
};
const stagesOf = (changed: LocalSettings) => memoryOfRun(model, changed).map(({ stage }) => stage);

describe('memoryOfRun', () => {
  it('has the stages of the method', () => {
    expect(stagesOf(settings)).toEqual(['GRPO', 'distillation']);
    expect(stagesOf({ ...settings, method: 'grpo' })).toEqual(['GRPO']);
    expect(stagesOf({ ...settings, method: 'sft' })).toEqual(['fine-tuning']);
  });

  it('keeps no frozen copy where nothing asks for one', () => {
    const frozen = (changed: LocalSettings) =>
      memoryOfRun(model, changed)[0]!.parts.some(({ name }) => name === 'frozen copy');
    expect(frozen({ ...settings, method: 'grpo' })).toBe(true);
    expect(frozen({ ...settings, method: 'grpo', grpo: { ...settings.grpo, klCoefficient: 0 } })).toBe(false);
  });
});

describe('refuseUnfit', () => {
  const need = peakOf(memoryOfRun(model, settings)).bytes;

  it('lets a run pass that fits', () => {
    expect(() => refuseUnfit(model, settings, { available: need })).not.toThrow();
    expect(() => refuseUnfit(model, presets.default, { available: 24e9 })).not.toThrow();
  });

  it('refuses one that does not, with settings that make it fit', () => {
    const list = remedies(model, settings);
    expect(list.length).toBeGreaterThan(1);
    const bounds = [need, ...list.map(({ bytes }) => bytes)];
    for (const [i, bytes] of bounds.slice(1).entries()) expect(bytes).toBeLessThan(bounds[i]!);
    try {
      refuseUnfit(model, settings, { available: list[0]!.bytes });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).message).toMatch(/would take \d+\.\d GB of memory \(.+ GB are available/);
      expect((error as UserError).hint).toContain(`--set '${list[0]!.option}'`);
      expect((error as UserError).hint).not.toContain(list[1]!.option);
    }
    expect(() => refuseUnfit(model, settings, { available: 1e9 })).toThrow(UserError);
  });

  it('does not offer quantised sampling where it frees next to nothing', () => {
    const small = { ...model, vocabulary: 236, hidden: 128, layers: 4, heads: 4, headSize: 32, intermediate: 384 };
    const options = (config: ModelConfig) => remedies(config, settings).map(({ option }) => option);
    expect(options(model)).toContain('engine.decodeBits=8');
    expect(options(small)).not.toContain('engine.decodeBits=8');
    expect(options(small)).toContain('rollout.concurrency=16');
  });

  it('does not offer on a GPU what a GPU cannot do', () => {
    const onGpu: LocalSettings = { ...settings, engine: { ...settings.engine, device: 'webgpu' } };
    const offered = remedies(model, onGpu).map(({ option }) => option);
    expect(offered).not.toContain('engine.decodeBits=8');
    expect(offered).toContain('rollout.concurrency=16');
  });
});
