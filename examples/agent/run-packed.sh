#!/usr/bin/env bash
# Runs main.ts from the packed tarball, as a user gets it: packed, installed in an empty folder, types checked.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tarball=$(cd "$root" && npm pack --silent --pack-destination "$work" | tail -1)
cp "$root/examples/agent/main.ts" "$work"
cd "$work"
echo '{ "name": "application", "private": true, "type": "module" }' > package.json
# As README.md says: the CPU library is inside the package, what its install script fetches is for GPUs.
ONNXRUNTIME_NODE_INSTALL=skip npm install --silent --no-audit --no-fund --prefer-offline "./$tarball"
echo '{ "compilerOptions": { "module": "nodenext", "target": "es2024", "lib": ["es2024", "dom"], "types": [], "strict": true,
  "noEmit": true, "skipLibCheck": true }, "include": ["main.ts"] }' > tsconfig.json
node "$root/node_modules/typescript/bin/tsc" -p .

node=$root/node_modules/node/bin/node
[ -x "$node" ] || node=node
said=$("$node" main.ts)
echo "$said"
[ "$(tail -1 <<< "$said")" = "zavan zezul" ]
echo "the packed library answers"
