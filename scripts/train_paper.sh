#!/usr/bin/env bash
# Train the paper's network, the defaults of Config and a noise map, on a GPU.
#
#     OUT=results MINUTES=30 scripts/train_paper.sh BSDS500/train BSDS500/test [FLAGS OF nlrn train denoise]
#
# Takes what `pip install '.[train]'` would, without nlrn itself, so a copy of the checkout is enough. The rate falls
# over the last three fifths of the MINUTES. The same command goes on from what it finds in OUT; a job in parts gives all
# but the last `--cool 0`. Flags after the folders take the place of those below.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-runs/paper} minutes=${MINUTES:-30}
export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" -m nlrn train denoise --noise-map --sigmas 0 75 --smaller 0.7 --precision bf16 --batch 96 \
    --patch 48 --rate 2.5e-3 --warmup 300 --clip 2 --iterations 1000000 --minutes "$minutes" \
    --cool $((minutes * 3 / 5)) --validate 1500 --out "$out" --data "$@"
