#!/bin/bash
# The five routing controllers trained on for the composite objective: bash scripts/train_composite.sh
# One takes 2 minutes of one core; the controllers are left in runs/train/composite-SEED.
for seed in ${1:-0 1 2 3 4}; do
    folder=runs/train/composite-$seed
    grep -qs '"finished": true' "$folder/run.json" && continue
    .venv/bin/edge-gym train --task routing --scenario composite --algo hindsight --worlds 96 --threads 1 --seed "$seed" \
        --init "runs/train/routing-$seed/best.safetensors" --hyper taught=0 --hyper learning_rate=0.0005 \
        --steps 400000 --validate 10 --validate-every 400000 --out "$folder" $([ -e "$folder/run.json" ] && echo --resume)
done
