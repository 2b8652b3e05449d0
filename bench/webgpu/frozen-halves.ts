/**
 * `node bench/webgpu/frozen-halves.ts`: what it would change to hold the frozen weights under an adapter in 16 bits. Computed on the processor
 * with the graphs for a GPU: the loss and the adapter's gradient with linear layers rounded to 16 bits and everything else in 32; and one
 * product of the way back, dy W, as a GPU does it in 16 bits, whose sums have 16 too.
 */
import { Random, streamKey } from '../../src/base/random.ts';
import type { ModelConfig } from '../../src/checkpoint/config.ts';
import { readModel } from '../../src/checkpoint/model-directory.ts';
import { smolLM2 } from '../../src/checkpoint/smollm2.testing.ts';
import { adapterLayoutOf, LINEAR_LAYERS, layoutOf, viewOf } from '../../src/engines/onnx/model/parameters.ts';
import { randomWeights } from '../../src/engines/onnx/model/random-weights.ts';
import { freshAdapter } from '../../src/engines/onnx/training/adapter.ts';
import { DeviceTrainer } from '../../src/engines/onnx/training/device-trainer.ts';
import { lossBatches } from '../../src/engines/onnx/training/loss-batches.testing.ts';
import { onProcessor } from './on-processor.ts';

// TypeScript's library is behind Node here.
const { f16round } = Math as unknown as { f16round: (x: number) => number };
/** Below it, a 16-bit float has fewer than 11 bits. */
const LEAST_NORMAL = 2 ** -14;
const RANK = 16;

/** SmolLM2-135M's layers, four of them, over a small vocabulary. */
const wide: ModelConfig = { ...smolLM2, vocabulary: 2048, layers: 4, contextLength: 512 };

const { config, weights } = await readModel('assets/base');
const trained = new Float32Array(layoutOf(config).total);
for (const { name } of layoutOf(config).entries) viewOf(layoutOf(config), trained, name).set(weights.get(name)!.data);
await report('the embedded base policy', config, trained);
await report("SmolLM2-135M's layers, four of them, random", wide, randomWeights(wide));

async function report(title: string, config: ModelConfig, weights: Float32Array): Promise<void> {
  const layout = layoutOf(config);
  const rounded = weights.slice();
  for (let layer = 0; layer < config.layers; layer++)
    for (const linear of LINEAR_LAYERS) {
      const matrix = viewOf(layout, rounded, `model.layers.${layer}.${linear}.weight`);
      for (let i = 0; i < matrix.length; i++) matrix[i] = f16round(matrix[i]!);
    }
  console.log(`${title}:`);
  const shape = { vocabulary: config.vocabulary, lengths: [48, 48, 48, 48], teacherPrompt: 16, denominator: 192 };
  for (const batch of lossBatches(new Random(streamKey('halves')), shape)) {
    if (batch.loss !== 'cross-entropy' && batch.loss !== 'forward-kl') continue;
    const whole = await gradientOf(config, weights, batch);
    const halves = await gradientOf(config, rounded, batch);
    const apart = distance(halves.gradient, whole.gradient);
    const cosine = inner(halves.gradient, whole.gradient) / norm(halves.gradient) / norm(whole.gradient);
    console.log(
      `  ${batch.loss}: loss ${whole.loss.toPrecision(6)}, off by ${share(Math.abs(halves.loss / whole.loss - 1))}; gradient off by ${share(apart)}, 1 - cosine ${share(1 - cosine)}, its norm off by ${share(Math.abs(norm(halves.gradient) / norm(whole.gradient) - 1))}`,
    );
    for (const [layer, dy] of whole.dys.entries()) console.log(`    ${inHalves(config, weights, layer, dy)}`);
  }
}

/** With an adapter that has moved: the gradient, and what comes to each layer on the way back, the first layer first. */
async function gradientOf(config: ModelConfig, weights: Float32Array, batch: ReturnType<typeof lossBatches>[number]) {
  const values = freshAdapter(config, { rank: RANK, alpha: 2 * RANK, key: [1, 2] });
  const layout = adapterLayoutOf(config, RANK);
  const random = new Random(streamKey('adapter'));
  for (const { name } of layout.entries)
    if (name.endsWith('lora_B.weight')) {
      const matrix = viewOf(layout, values, name);
      for (let i = 0; i < matrix.length; i++) matrix[i] = 0.005 * random.normal();
    }
  const dys: Float32Array[] = [];
  let [loss, gradient] = [0, new Float32Array(0)];
  await onProcessor(
    async () => {
      const trainer = await DeviceTrainer.open(config, weights);
      await trainer.freeze();
      await trainer.restore({ weights, adapter: { rank: RANK, alpha: 2 * RANK, values } });
      ({ loss } = await trainer.accumulate(batch));
      gradient = new Float32Array(await trainer.gradient());
      await trainer.close();
    },
    async ({ feeds }, run) => {
      if ('dy' in feeds) dys.unshift((feeds.dy!.data as Float32Array).slice());
      return run();
    },
  );
  return { loss, gradient, dys };
}

/** dy W of the layer's last product, of 8 rows. */
function inHalves(config: ModelConfig, weights: Float32Array, layer: number, dy: Float32Array): string {
  const { hidden, intermediate } = config;
  const w = viewOf(layoutOf(config), weights, `model.layers.${layer}.mlp.down_proj.weight`);
  const used = Array.from({ length: dy.length / hidden }, (_, row) => dy.subarray(row * hidden, (row + 1) * hidden));
  const rows = used.filter((row) => row.some((value) => value !== 0)).slice(0, 8);
  const product = (round: (x: number) => number, scale: number) =>
    rows.flatMap((row) =>
      Array.from({ length: intermediate }, (_, column) => {
        let sum = 0;
        for (let i = 0; i < hidden; i++)
          sum = round(sum + round(round(scale * row[i]!) * round(w[i * intermediate + column]!)));
        return sum / scale;
      }),
    );
  const exact = product((x) => x, 1);
  const largest = Math.max(...rows.flatMap((row) => [...row].map(Math.abs)));
  // As loss scaling has it: what comes in is moved to where 16 bits are best.
  const scale = 2 ** -Math.ceil(Math.log2(largest));
  const few = rows.flatMap((row) => [...row]).filter((value) => value !== 0);
  const small = few.filter((value) => Math.abs(value) < LEAST_NORMAL).length / few.length;
  return `layer ${layer}: dy up to ${largest.toExponential(1)}, ${(100 * small).toFixed(0)} % below 16 bits' normal numbers; dy W in 16 bits off by ${share(distance(product(f16round, 1), exact))}, with dy scaled by ${scale} by ${share(distance(product(f16round, scale), exact))}`;
}

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function norm(a: ArrayLike<number>): number {
  return Math.sqrt(inner(a, a));
}

/** ‖a − b‖ / ‖b‖ */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return norm(Array.from(a, (value, i) => value - b[i]!)) / norm(b);
}

function share(value: number): string {
  return value.toExponential(1);
}
