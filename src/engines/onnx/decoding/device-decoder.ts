/**
 * What decoder.ts is on the processor, on a GPU: weights are those that training has there, keys and values stay there too, and a step
 * brings ids, positions and a table of slots, and takes probabilities.
 *
 * The provider's products want rectangles, so that rows with about as many new tokens (within a factor of two) are read together. What a
 * row gets depends, in its last bits, on that company.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { letGo, Transfers } from '../../../onnx/resident.ts';
import { floats, integers } from '../../../onnx/session.ts';
import { EMBEDDING } from '../model/decode-graph.ts';
import {
  type DeviceDecodeBits,
  decodeLayerGraph,
  decodePlanGraph,
  drawGraph,
  growGraph,
  narrowGraph,
} from '../model/device-decode-graphs.ts';
import { embeddingGraph } from '../model/device-graphs.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { isMultiplied } from '../model/transformer.ts';
import { asFirstLayer } from '../training/layered.ts';
import { SessionPool, type Tensors } from '../training/model-runner.ts';
import type { Reading, TokenReader } from './decoder.ts';
import { type CachedRow, Pages, type RowCache } from './pages.ts';
import { type Draw, drawToken } from './sampling.ts';

const PAGE = 16;
/** Pages to begin with; then half as many again whenever they are used up. */
const FIRST_PAGES = 256;
/** The first page belongs to nobody: its first slot is where padding goes. */
const NOBODYS = 1;

export class DeviceDecoder implements TokenReader<Tensors> {
  readonly cache: DeviceCache;
  readonly #config: ModelConfig;
  readonly #bits: DeviceDecodeBits;
  readonly #transfers = new Transfers();
  readonly #sessions = new SessionPool(1);
  #embedding: Tensor | undefined;
  /** With 16 bits, the matrices in them, its own. */
  #narrow: Tensors = {};
  /** What layers and head are fed. */
  #weights: Tensors = {};
  #layers: Tensors[] = [];

  constructor(config: ModelConfig, bits: DeviceDecodeBits = 32) {
    this.#config = config;
    this.#bits = bits;
    this.cache = new DeviceCache(config, this.#transfers, this.#sessions);
  }

  /** Takes weights that stay where they are: valid until the next call. */
  async load(weights: Tensors): Promise<void> {
    this.#embedding = weights[EMBEDDING]!;
    await letGo(Object.values(this.#narrow));
    this.#narrow = this.#bits === 16 ? await this.#narrowed(weights) : {};
    this.#weights = { ...weights, ...this.#narrow };
    this.#layers = Array.from({ length: this.#config.layers }, (_, layer) => asFirstLayer(this.#weights, layer));
  }

  async #narrowed(weights: Tensors): Promise<Tensors> {
    const session = await this.#sessions.get('narrow', narrowGraph);
    const narrow: Record<string, Tensor> = {};
    for (const [name, w] of Object.entries(weights))
      if (isMultiplied(this.#config, name)) narrow[name] = (await session.run({ w })).narrow as Tensor;
    return narrow;
  }

  async close(): Promise<void> {
    await letGo(Object.values(this.#narrow));
    await this.cache.close();
    await this.#sessions.close();
    await this.#transfers.close();
  }

  async read(readings: readonly Reading[]): Promise<(Draw | undefined)[]> {
    for (const { row, ids } of readings) this.cache.extend(row, ids.length);
    await this.cache.fit();
    const draws = new Array<Draw | undefined>(readings.length);
    for (const group of byLength(readings)) {
      const drawn = await this.#readGroup(group.map((index) => readings[index]!));
      for (const [i, index] of group.entries()) draws[index] = drawn[i];
    }
    return draws;
  }

  /** Rows that are read as one rectangle. */
  async #readGroup(readings: readonly Reading[]): Promise<(Draw | undefined)[]> {
    const { hidden, layers } = this.#config;
    const count = Math.max(...readings.map(({ ids }) => ids.length));
    const tokens = readings.length * count;
    const plan = await this.#plan(readings, count);
    const lookUp = await this.#sessions.get('embedding', () => embeddingGraph(this.#config));
    const ids = new Float64Array(tokens);
    for (const [n, reading] of readings.entries()) ids.set(reading.ids, n * count);
    let { x } = (await lookUp.run({ embedding: this.#embedding!, ids: integers(ids, [tokens]) })) as { x: Tensor };
    let y = await this.#transfers.zeros([tokens, hidden]);
    // No output has a place of its own: all are handed the memory that they go to.
    const session = await this.#sessions.get(
      'layer',
      () => decodeLayerGraph(this.#config, this.#bits),
      () => true,
    );
    try {
      for (let layer = 0; layer < layers; layer++) {
        const { keys, values } = this.cache.layer(layer);
        await session.run(
          { ...this.#layers[layer], ...plan, keys, values, x },
          { y, 'new keys': keys, 'new values': values },
        );
        [x, y] = [y, x];
      }
      return await this.#draw(readings, count, x);
    } finally {
      const { shape: _, ...made } = plan;
      await letGo([x, y, ...Object.values(made)]);
    }
  }

  /** What all layers are fed besides weights and x. */
  async #plan(readings: readonly Reading[], count: number): Promise<Tensors & { readonly shape: Tensor }> {
    const { heads, keyValueHeads, headSize } = this.#config;
    const group = heads / keyValueHeads;
    const rows = readings.length;
    const end = Math.max(...readings.map(({ row }) => row.length));
    const [slots, positions] = [new Float64Array(rows * count), new Float64Array(rows * count)];
    const table = new Float64Array(rows * end);
    const queries = new Float32Array(rows * count * group);
    for (const [n, { row, ids }] of readings.entries()) {
      for (let position = 0; position < row.length; position++)
        table[n * end + position] = this.cache.slotOf(row, position);
      const start = row.length - ids.length;
      // What fills a row up writes nowhere; it sees something, so that nothing is divided by 0.
      for (let i = 0; i < count; i++) {
        const position = Math.min(start + i, row.length - 1);
        positions[n * count + i] = position;
        slots[n * count + i] = i < ids.length ? this.cache.slotOf(row, position) : 0;
        queries.fill(position, (n * count + i) * group, (n * count + i + 1) * group);
      }
    }
    const session = await this.#sessions.get('plan', decodePlanGraph);
    const made = await session.run({
      'the slots': integers(slots, [rows * count, 1]),
      'the table': integers(table, [rows, end]),
      'the positions': integers(positions, [rows * count, 1]),
      'query positions': floats(queries, [rows, 1, count * group, 1]),
      'key positions': floats(
        Float32Array.from({ length: end }, (_, i) => i),
        [1, 1, 1, end],
      ),
    });
    return {
      ...(made as Tensors),
      shape: integers(Float64Array.of(rows, count, keyValueHeads, group * headSize), [4]),
    };
  }

  /** Of the readings that end in a draw. */
  async #draw(readings: readonly Reading[], count: number, x: Tensor): Promise<(Draw | undefined)[]> {
    const ends = readings.flatMap(({ ids, rule }, n) => (rule ? [n * count + ids.length - 1] : []));
    if (ends.length === 0) return readings.map(() => undefined);
    // Greedy ones read the probabilities at temperature 1.
    const temperatures = readings.flatMap(({ rule }) => (rule ? [rule.temperature || 1] : []));
    const session = await this.#sessions.get(
      'draw',
      () => drawGraph(this.#config, this.#bits),
      () => true,
    );
    const { probabilities } = await session.run({
      ...this.#headFeeds(session),
      rows: integers(Float64Array.from(ends), [ends.length]),
      temperature: floats(Float32Array.from(temperatures), [ends.length, 1]),
      x,
    });
    const all = (probabilities as Tensor).data as Float32Array;
    const { vocabulary } = this.#config;
    let drawn = 0;
    return readings.map(({ rule }) => {
      if (rule === undefined) return undefined;
      const start = vocabulary * drawn++;
      return drawToken(all.subarray(start, start + vocabulary), rule);
    });
  }

  #headFeeds(session: InferenceSession): Tensors {
    return Object.fromEntries(
      session.inputNames.filter((name) => name in this.#weights).map((name) => [name, this.#weights[name]!]),
    );
  }
}

/** Keys and values of all layers on the GPU, [slots, K, D] each, in pages of 16 slots that rows hold. */
class DeviceCache implements RowCache {
  readonly #config: ModelConfig;
  readonly #transfers: Transfers;
  readonly #sessions: SessionPool;
  readonly #pages = new Pages();
  #layers: { readonly keys: Tensor; readonly values: Tensor }[] = [];
  /** Pages that there is memory for. */
  #fitted = 0;

  constructor(config: ModelConfig, transfers: Transfers, sessions: SessionPool) {
    this.#config = config;
    this.#transfers = transfers;
    this.#sessions = sessions;
  }

  layer(layer: number): { readonly keys: Tensor; readonly values: Tensor } {
    return this.#layers[layer]!;
  }

  slotOf({ pages }: CachedRow, position: number): number {
    return (NOBODYS + pages[Math.floor(position / PAGE)]!) * PAGE + (position % PAGE);
  }

  bytesOf(length: number): number {
    const { layers, keyValueHeads, headSize } = this.#config;
    const slots = Math.ceil(length / PAGE) * PAGE;
    return 2 * slots * layers * keyValueHeads * headSize * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Whole pages are shared; the rest, less than a page, is read again. */
  fork(row: CachedRow, length: number): CachedRow {
    const pages = row.pages.slice(0, Math.floor(length / PAGE));
    this.#pages.share(pages);
    return { pages, length: pages.length * PAGE };
  }

  /** Makes room for more positions at the end of a row; there is memory for them after `fit`. */
  extend(row: CachedRow, count: number): void {
    row.length += count;
    while (row.pages.length * PAGE < row.length) {
      if (this.#pages.isFull) this.#pages.grow(Math.max(FIRST_PAGES, Math.ceil(1.5 * this.#pages.count)));
      row.pages.push(this.#pages.take());
    }
  }

  release(row: CachedRow): void {
    this.#pages.release(row);
  }

  /** Sees that there is memory for all pages. */
  async fit(): Promise<void> {
    const more = this.#pages.count - this.#fitted;
    if (more === 0) return;
    const { layers, keyValueHeads, headSize } = this.#config;
    if (this.#fitted === 0) {
      const dims = [(NOBODYS + more) * PAGE, keyValueHeads, headSize];
      for (let layer = 0; layer < layers; layer++)
        this.#layers.push({ keys: await this.#transfers.zeros(dims), values: await this.#transfers.zeros(dims) });
    } else {
      const session = await this.#sessions.get('grow', () => growGraph(this.#config));
      const longer = async (cache: Tensor) => {
        const result = await session.run({ cache, more: integers(Float64Array.of(more * PAGE), [1]) });
        await letGo([cache]);
        return result.longer as Tensor;
      };
      for (const [layer, { keys, values }] of this.#layers.entries())
        this.#layers[layer] = { keys: await longer(keys), values: await longer(values) };
    }
    this.#fitted = this.#pages.count;
  }

  async close(): Promise<void> {
    await letGo(this.#layers.splice(0).flatMap(({ keys, values }) => [keys, values]));
  }
}

/** Indices of readings in groups whose numbers of tokens are within a factor of two. */
function byLength(readings: readonly Reading[]): number[][] {
  const groups = new Map<number, number[]>();
  for (const [index, { ids }] of readings.entries()) {
    const size = Math.floor(Math.log2(ids.length));
    groups.set(size, [...(groups.get(size) ?? []), index]);
  }
  return [...groups.values()];
}
