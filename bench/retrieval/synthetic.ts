/**
 * Passages and queries made up in any number, alike to the real ones in what a search's cost depends on: word frequencies
 * (Zipf-Mandelbrot over 500,000 words), lengths (around 100 words), and words that keep together (each passage has a
 * topic). The same number and seed give the same text.
 */
import { Random, streamKey } from '../../src/base/random.ts';

const WORDS = 500_000;
const TOPICS = 20_000;
const TOPIC_WORDS = 60;
/** Words too frequent for a question, as stop words are. */
const TOO_FREQUENT = 30;

const consonants = 'bcdfglmnprstvz';
const vowels = 'aeiou';

/** A pronounceable word, another one for each rank; frequent words are short. */
function word(rank: number): string {
  let rest = rank;
  let text = '';
  do {
    text += consonants[rest % 14]! + vowels[Math.floor(rest / 14) % 5]!;
    rest = Math.floor(rest / 70);
  } while (rest > 0);
  return `${text}k`;
}

/** Σ over the ranks up to each of 1 / (rank + 2.7)^1.07, divided by the total. */
const cumulative = (() => {
  const sums = new Float64Array(WORDS);
  let sum = 0;
  for (let r = 0; r < WORDS; r++) sums[r] = sum += 1 / (r + 2.7) ** 1.07;
  return sums.map((s) => s / sum);
})();

function rankAt(uniform: number): number {
  let [low, high] = [0, WORDS - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulative[middle]! < uniform) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The i-th word of a topic: one of the less frequent ones. */
function topicRank(topic: number, i: number): number {
  return 300 + ((Math.imul(topic * TOPIC_WORDS + i + 1, 0x9e3779b1) >>> 0) % 60_000);
}

const topicOf = (position: number) => (Math.imul(position + 1, 0x85ebca6b) >>> 0) % TOPICS;

export function* syntheticPassages(count: number): Generator<{ id: string; title: string; text: string }> {
  const random = new Random(streamKey(1, 'synthetic passages'));
  for (let position = 0; position < count; position++) {
    const topic = topicOf(position);
    // The first words of a topic are its most frequent ones.
    const topical = () => word(topicRank(topic, Math.floor(TOPIC_WORDS * random.uniform() ** 2)));
    const length = 60 + random.below(81);
    const words: string[] = [];
    for (let i = 0; i < length; i++) words.push(random.chance(0.2) ? topical() : word(rankAt(random.uniform())));
    yield { id: `s${position}`, title: `${topical()} ${topical()}`, text: words.join(' ') };
  }
}

/** Questions of 4 to 10 words, about half of them words of one topic. */
export function* syntheticQueries(count: number): Generator<string> {
  const random = new Random(streamKey(1, 'synthetic queries'));
  for (let q = 0; q < count; q++) {
    const topic = random.below(TOPICS);
    const words = Array.from({ length: 4 + random.below(7) }, () => {
      if (random.chance(0.5)) return word(topicRank(topic, Math.floor(TOPIC_WORDS * random.uniform() ** 2)));
      for (;;) {
        const rank = rankAt(random.uniform());
        if (rank >= TOO_FREQUENT) return word(rank);
      }
    });
    yield words.join(' ');
  }
}
