/** One training step of the Qwen2.5-0.5B shape on 4 x 512 tokens, with LoRA and of all weights: time and peak memory. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from './measure.ts';

interface Step {
  readonly tokens: number;
  readonly gradientSeconds: number;
  readonly optimizerSeconds: number;
  readonly peakBytes: number;
}

export async function measureLargeTraining(threads: number): Promise<Row[]> {
  return ['lora', 'full'].map((mode) => {
    const script = fileURLToPath(new URL('large-step.ts', import.meta.url));
    // A process of its own: its peak memory is that of the step.
    const run = spawnSync(process.execPath, [script, mode, '4', '512', String(threads)], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`large-step.ts ${mode} failed:\n${run.stderr}`);
    const { tokens, gradientSeconds, optimizerSeconds, peakBytes } = JSON.parse(run.stdout) as Step;
    return {
      what: `0.5B shape, one step on 4 x 512, ${mode === 'lora' ? 'LoRA rank 16' : 'all weights'}`,
      who: 'search-e1',
      tokensPerSecond: tokens / (gradientSeconds + optimizerSeconds),
      seconds: [gradientSeconds + optimizerSeconds],
      note: `peak memory ${(peakBytes / 1e9).toFixed(1)} GB; once, first step`,
    };
  });
}
