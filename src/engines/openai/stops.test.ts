import { describe, expect, it } from 'vitest';
import { endOfStop } from '../stop-strings.ts';
import { droppedStop } from './stops.ts';

const stop = ['</search>', '</answer>'];

describe('stop strings', () => {
  it('finds where the first one is complete', () => {
    expect(endOfStop('<search> a </search> b </answer>', stop)).toBe(20);
    expect(endOfStop('<search> a </answer> b </search>', stop)).toBe(20);
    expect(endOfStop('<search> a </searc', stop)).toBeUndefined();
    expect(endOfStop('anything', [])).toBeUndefined();
  });

  it.each([
    ['what the server says goes before any guess', '<search> a', '</answer>', '</answer>'],
    ['null is the end of the model itself (vLLM)', '<search> a', null, undefined],
    ['so is a token id (SGLang)', '<search> a', 151645, undefined],
    ['a string that was not asked for is no stop', '<search> a', '<|im_end|>', undefined],
    ['unsaid: the tag that stands open', 'so <search> a', undefined, '</search>'],
    ['unsaid: the tag opened last', 'a <search> or an <answer> b', undefined, '</answer>'],
    ['unsaid, and nothing is open', 'I do not know', undefined, undefined],
  ])('%s', (_, text, told, expected) => {
    expect(droppedStop(text, stop, told)).toBe(expected);
  });

  it('leaves off what is no closing tag, unless the server says it', () => {
    expect(droppedStop('Action: a', ['\nObservation:'], undefined)).toBeUndefined();
    expect(droppedStop('Action: a', ['\nObservation:'], '\nObservation:')).toBe('\nObservation:');
  });
});
