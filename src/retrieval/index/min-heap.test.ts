import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MinHeap } from './min-heap.ts';

test('gives back the least, whatever is pushed in between', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant('pop' as const))), (actions) => {
      const heap = new MinHeap<number>((x, y) => x < y);
      const plain: number[] = [];
      for (const action of actions) {
        if (action === 'pop') expect(heap.pop()).toBe(plain.sort((x, y) => x - y).shift());
        else {
          heap.push(action);
          plain.push(action);
        }
        expect(heap.least).toBe(plain.length === 0 ? undefined : Math.min(...plain));
      }
    }),
  );
});
