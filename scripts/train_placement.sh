#!/bin/bash
# Five trainings of the placement controller: bash scripts/train_placement.sh [SEEDS]
# One takes about two minutes of one core; the controllers are left in runs/train/placement-SEED.
for seed in ${1:-0 1 2 3 4}; do
    folder=runs/train/placement-$seed
    grep -qs '"finished": true' "$folder/run.json" && continue
    ${EDGE_GYM:-.venv/bin/edge-gym} train --task placement --scenario global-24,metro-16,campus-8 --algo placement_hindsight \
        --hyper learning_rate=0.001 --hidden 32 --worlds 16 --steps 30000 --threads 1 --seed "$seed" --validate 4 \
        --validate-every 15000 --out "$folder" $([ -e "$folder/run.json" ] && echo --resume)
done
