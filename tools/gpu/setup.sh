#!/bin/bash
# Puts the parts together that pack.py wrote: bash PARTS/0/setup.sh TARGET
# TARGET gets packages (site), the weights of vit (cache) and env.sh, to be sourced in the repository's root.
set -euo pipefail
parts=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
target=$(cd "$1" && pwd)
for ((number = 0; ; number++)); do
  [ -f "$parts/$number/part" ] || break
  cat "$parts/$number/part"
done | tar -xf - --no-same-owner -C "$target"
python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$target/site" "$target"/wheels/*.whl
rm -r "$target/wheels"
cat > "$target/env.sh" <<ENV
export PYTHONPATH="\$PWD/src:$target/site" REMODAL_CACHE="$target/cache" HF_HUB_OFFLINE=1
ENV
echo "next, in the repository's root: source $target/env.sh"
