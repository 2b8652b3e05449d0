#!/bin/sh
# Real text, real questions, a real tokenizer: warm-up, a short evolve, seven evaluation sets. Run it in the repository's root.
# Finished parts are kept: run it again to go on after an interruption.
set -eu
data=${SEARCH_E1_SHARED:-../shared}/data
out=${1:-runs/real-wiki}
here=examples/real-wiki
node=node_modules/.bin/node
mkdir -p "$out"

if [ ! -e "$out/base/manifest.json" ]; then
  resume=''
  [ -e "$out/base/progress/state.json" ] && resume='--resume'
  # shellcheck disable=SC2086
  $node bin/search-e1.js warmup $resume --config $here/recipe.json --template $here/template.json \
    --questions "$data/questions/nq.train.jsonl.gz" --corpus "$data/corpus/wiki-passages.jsonl.gz" \
    --tokenizer "$data/tokenizers/wiki-bpe-8k/tokenizer.json" --out "$out/base"
fi

if [ -e "$out/evolve/config.json" ]; then
  $node bin/search-e1.js evolve --resume "$out/evolve"
else
  $node $here/mix-questions.ts "$data/questions/nq.train.jsonl.gz" "$data/questions/multihop.train.jsonl.gz" "$out/questions.jsonl"
  $node bin/search-e1.js evolve --config $here/evolve.json --template $here/template.json --model "$out/base" \
    --questions "$out/questions.jsonl" --corpus "$data/corpus/wiki-passages.jsonl.gz" \
    --evaluate nq="$data/questions/nq.test.jsonl.gz" \
    --evaluate triviaqa="$data/questions/triviaqa.test-subset.jsonl.gz" \
    --evaluate popqa="$data/questions/popqa.test-subset.jsonl.gz" \
    --evaluate hotpotqa="$data/questions/hotpotqa.dev.jsonl.gz" \
    --evaluate 2wiki="$data/questions/2wikimultihopqa.dev.jsonl.gz" \
    --evaluate musique="$data/questions/musique.dev.jsonl.gz" \
    --evaluate bamboogle="$data/questions/bamboogle.test.jsonl.gz" \
    --out "$out/evolve"
fi
