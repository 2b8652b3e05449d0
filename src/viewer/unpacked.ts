/** The bytes of shards, unpacked: the last ones that were looked at, and those that are read next. */
import { readShardBytes } from './segment.ts';
import { isSame, type Stamp } from './stamps.ts';

/** Bytes that are held, since who looks at one trajectory looks at the next. */
const MOST_HELD = 2 ** 27;
/** So many are unpacked before their turn, if they are no larger than this, by other threads than the one that reads. */
const [AHEAD, MOST_AHEAD] = [3, 2 ** 22];

export class Unpacked {
  readonly #held = new Map<string, { readonly stamp: Stamp; readonly bytes: Buffer }>();
  readonly #coming = new Map<string, Promise<Buffer>>();

  /** Of a shard that is looked at: held for the next look. */
  async of(stamp: Stamp, file: string): Promise<Buffer> {
    const { shard } = stamp;
    let held = this.#held.get(shard);
    if (held === undefined || !isSame(held.stamp, stamp)) {
      held = { stamp, bytes: await readShardBytes(file) };
      this.#held.delete(shard);
      this.#held.set(shard, held);
      let size = [...this.#held.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
      for (const [other, { bytes }] of this.#held)
        if (size > MOST_HELD && other !== shard) {
          this.#held.delete(other);
          size -= bytes.length;
        }
    }
    return held.bytes;
  }

  /** Of a shard that is read once, after which others will be: they are begun. */
  async ahead(stamp: Stamp, next: readonly Stamp[], fileOf: (stamp: Stamp) => string): Promise<Buffer> {
    const begin = (one: Stamp) => {
      const bytes = this.#coming.get(one.shard) ?? readShardBytes(fileOf(one));
      this.#coming.set(one.shard, bytes);
      // It is told when it is this one's turn.
      bytes.catch(() => {});
      return bytes;
    };
    const bytes = begin(stamp);
    for (const one of next.slice(0, AHEAD)) if (one.size <= MOST_AHEAD) begin(one);
    return bytes.finally(() => this.#coming.delete(stamp.shard));
  }

  drop(shard: string): void {
    this.#held.delete(shard);
    this.#coming.delete(shard);
  }
}
