#!/bin/bash
# Five trainings of the routing controller, two at a time: bash scripts/train_routing.sh [STEPS] [SEEDS]
# One takes about 15 minutes of one core; checkpoints are left in runs/train/routing-SEED. Resumable: what is finished is skipped.
steps=${1:-2500000}
seeds=${2:-"0 1 2 3 4"}
train() {
    folder=runs/train/routing-$1
    resume=$([ -e "$folder/run.json" ] && echo --resume)
    .venv/bin/edge-gym train --task routing --scenario stationary,coldstart,semantic,churn,drift,mixed,residency \
        --algo hindsight --randomise 1 --worlds 224 --hidden 64 --threads 1 --seed "$1" --steps "$steps" \
        --validate 10 --validate-every $((steps / 6)) --out "$folder" $resume
}
export -f train
export steps
printf '%s\n' $seeds | xargs -P 2 -I{} bash -c 'train {}'
