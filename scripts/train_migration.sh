#!/bin/bash
# Five trainings of the migration controller: bash scripts/train_migration.sh [SEEDS]
# One takes about 4 minutes of one core; the controllers are left in runs/train/migration-SEED.
for seed in ${1:-0 1 2 3 4}; do
    folder=runs/train/migration-$seed
    grep -qs '"finished": true' "$folder/run.json" && continue
    .venv/bin/edge-gym train --task migration --scenario commute-16,roam-24,failing-16 --algo imitation \
        --teacher antllm_migration --hyper loss=choice --hyper every=3 --hyper minibatch=512 --hyper minibatches=24 \
        --hyper explore=0.2 --hidden 32 --worlds 48 --steps 150000 --threads 1 --seed "$seed" --validate 5 \
        --validate-every 75000 --out "$folder" $([ -e "$folder/run.json" ] && echo --resume)
done
