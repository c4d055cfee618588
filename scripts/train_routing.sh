#!/bin/bash
# Five trainings of the routing controller, two at a time: bash scripts/train_routing.sh [SEEDS]
# One takes 12 minutes of one core: first in the presets and a variant of each, then in the presets alone, exploring
# less and trying more choices. The controllers are left in runs/train/routing-SEED. What is finished is skipped, what was stopped goes on.
seeds=${1:-"0 1 2 3 4"}
presets=stationary,coldstart,semantic,churn,drift,mixed,residency
train() {
    first=runs/train/routing-first-$1 second=runs/train/routing-$1
    common=(--task routing --scenario "$presets" --algo hindsight --worlds 224 --threads 1 --seed "$1" --validate 10)
    run "$first" "${common[@]}" --randomise 1 --steps 2500000 --validate-every 416666 &&
        run "$second" "${common[@]}" --init "$first/best.safetensors" --hyper taught=0 --hyper learning_rate=0.0007 \
            --hyper explore=0.1 --hyper trials=32 --hyper best=5 --hyper random=2 --steps 1000000 --validate-every 500000
}
run() {
    folder=$1
    shift
    grep -qs '"finished": true' "$folder/run.json" && return
    .venv/bin/edge-gym train "$@" --out "$folder" $([ -e "$folder/run.json" ] && echo --resume)
}
export -f train run
export presets
printf '%s\n' $seeds | xargs -P 2 -I{} bash -c 'train {}'
