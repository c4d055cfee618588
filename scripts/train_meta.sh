#!/bin/bash
# Five trainings of the controller of the fast path: bash scripts/train_meta.sh [SEEDS]
# Cloned from e3_rules, then evolved on returns in which a request that stutters counts as two seconds. One takes 8
# minutes of one core; the controllers are left in runs/train/meta-SEED. What is finished is skipped, what was stopped goes on.
train() {
    folder=$1
    shift
    grep -qs '"finished": true' "$folder/run.json" && return
    .venv/bin/edge-gym train --task metacontrol --scenario coldstart,semantic,churn,drift,mixed --set n_requests=1000 \
        --hidden 32 --threads 1 --out "$folder" "$@" $([ -e "$folder/run.json" ] && echo --resume)
}
for seed in ${1:-0 1 2 3 4}; do
    train runs/train/meta-clone-$seed --algo imitation --teacher e3_rules --hyper loss=choice --hyper guided=0.5 \
        --hyper explore=0.2 --hyper minibatches=12 --worlds 160 --steps 250000 --validate 0 --seed "$seed"
    train runs/train/meta-$seed --algo evolution --init runs/train/meta-clone-$seed/last.safetensors \
        --set weights_stutter=2 --group 64 --worlds 320 --steps 12000000 --validate 40 --validate-every 3000000 --seed "$seed"
done
