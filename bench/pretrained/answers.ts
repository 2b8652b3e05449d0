/**
 * What the embedded engine makes of a model: ids and log-probabilities of lines of text, greedy replies to questions. One JSON
 * document on standard output, for check.py.
 *
 *     node bench/pretrained/answers.ts MODEL.gguf|DIR < lines.txt
 */
import { readFileSync } from 'node:fs';
import { loadTokenizer } from '../../src/checkpoint/tokenizer.ts';
import { openPolicyDirectory } from '../../src/engines/onnx/engine.ts';

const QUESTIONS = [
  'What is the capital of France?',
  'Name three colours.',
  'Who wrote Romeo and Juliet?',
  'How many legs does a spider have?',
];
const NEW_TOKENS = 40;

const place = process.argv[2]!;
const lines = readFileSync(0, 'utf8')
  .split('\n')
  .filter((line) => line !== '');
const tokenizer = await loadTokenizer(place);
const opening = performance.now();
const policy = await openPolicyDirectory(place, { pieces: tokenizer.pieces });
const seconds = (performance.now() - opening) / 1000;
try {
  const ids = lines.map((line) => tokenizer.encode(line));
  // The longest ones: they say most in the fewest passes.
  const scored = [...ids].sort((a, b) => b.length - a.length).slice(0, 8);
  const logprobs = await policy.logprobs(scored, 'present');
  const replies = [];
  for (const question of QUESTIONS) {
    const prompt = tokenizer.encode(tokenizer.chat(question) ?? question);
    const request = { prompt, maxTokens: NEW_TOKENS, temperature: 0, stop: [], stopTokens: tokenizer.endTokens };
    const sample = await policy.sample({ ...request, key: [1, 2], session: question });
    replies.push({ question, prompt, ids: sample.ids, text: tokenizer.decode(sample.ids) });
  }
  const memory = Math.round(process.resourceUsage().maxRSS / 1000);
  process.stdout.write(
    JSON.stringify({
      lines,
      ids,
      scored,
      logprobs: logprobs.map((row) => [...row]),
      replies,
      seconds,
      megabytes: memory,
    }),
  );
} finally {
  await policy.close();
}
