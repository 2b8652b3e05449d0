#!/bin/sh
# A pretrained model becomes a search agent overnight: warm-up, its rivals with the same reader, GRPO and E1 of equal tokens, the tables.
#
#   bench/pretrained/night.sh DATA MODEL OUT             DATA holds questions/ and corpus/ (docs/pretrained.md names the files)
#   bench/pretrained/night.sh DATA MODEL OUT --dry-run   prints the commands and how long each takes on this machine
#
# What is finished is kept: run it again to go on after any interruption. QUESTIONS (default 300) are asked of each set.
set -eu
[ $# -ge 3 ] || { sed -n '2,7p' "$0"; exit 2; }
data=$1 model=$2 out=$3 dry=${4:-}
ask=${QUESTIONS:-300}
cd "$(dirname "$0")/../.."
here=bench/pretrained
node=node_modules/.bin/node
corpus=$data/corpus/wiki-passages.jsonl.gz
nq=$data/questions/nq.test.jsonl.gz
hotpot=$data/questions/hotpotqa.dev.jsonl.gz
mkdir -p "$out"

e1() {
  echo "+ search-e1 $*"
  $node bin/search-e1.js "$@"
}

# Asks the questions of both sets; a dry run asks four of each and says what all would take.
evaluate() {
  name=$1 policy=$2 baselines=$3
  shift 3
  limit=$ask place=$out/$name
  [ -z "$dry" ] || { limit=4 place=$(mktemp -d)/$name; began=$(date +%s); }
  e1 evaluate --policy "$policy" --retriever "$corpus" --template compact --baseline "$baselines" --questions nq="$nq" \
    --questions hotpotqa="$hotpot" --limit "$limit" --searches 2 --passages 2 --turn-tokens 96 --observation-tokens 320 --context-tokens 1200 \
    --out "$place" "$@"
  [ -z "$dry" ] || echo "$name: about $((($(date +%s) - began) * ask / 4 / 60)) minutes for $ask questions of each set"
}

[ -e "$out/train.jsonl" ] ||
  $node $here/questions.ts "$out/train.jsonl" "$data/questions/nq.train.jsonl.gz" "$data/questions/multihop.train.jsonl.gz"

if [ ! -e "$out/base/manifest.json" ]; then
  resume=''
  [ ! -e "$out/base/progress/state.json" ] || resume=--resume
  # shellcheck disable=SC2086
  e1 warmup --model "$model" --questions "$out/train.jsonl" --corpus "$corpus" --config $here/recipe.json \
    --out "$out/base" $resume $dry
fi
warm=$out/base
[ -e "$warm/manifest.json" ] || warm=$model

evaluate agent "$warm" direct,rag,agent
evaluate agent-sampled "$warm" agent --temperature 1
evaluate before "$model" direct,rag

e1 experiment $here/experiment.json --model "$warm" --questions "$out/train.jsonl" --corpus "$corpus" --template compact \
  --evaluate nq="$nq" --evaluate hotpotqa="$hotpot" --out "$out/experiment" $dry

[ -n "$dry" ] || e1 compare "$out/agent" "$out/agent-sampled" "$out/before" --no-published --out "$out/table.html"
