#!/bin/bash
# Five trainings of the routing controller, two at a time: bash scripts/train_routing.sh [SEEDS]
# One takes 8 minutes of one core; the controllers are left in runs/train/routing-SEED. What is finished is skipped, what
# was stopped goes on.
train() {
    folder=runs/train/routing-$1
    grep -qs '"finished": true' "$folder/run.json" && return
    .venv/bin/edge-gym train --task routing --scenario stationary,coldstart,semantic,churn,drift,mixed,residency \
        --algo hindsight --randomise 1 --worlds 224 --threads 1 --seed "$1" --steps 2500000 --validate 10 \
        --validate-every 416666 --out "$folder" $([ -e "$folder/run.json" ] && echo --resume)
}
export -f train
printf '%s\n' ${1:-0 1 2 3 4} | xargs -P 2 -I{} bash -c 'train {}'
