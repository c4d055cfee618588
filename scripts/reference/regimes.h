/* Nodes drift, leave and join; what their users do is in semantic.h. Part of routing.c. */

#pragma once

#include "requests.h"
#include "semantic.h"

/* ---- Presence ---- */

static void draw_bias(const Sim *s, World *w, int n) {
    for (int64_t m = 0; m < s->n_models; m++) {
        double *bias = &w->bias[m * s->stride + n];
        *bias = 1.0;
        if (s->rules.bias_sigma <= 0.0) continue;
        uint64_t key = stream_key(w->seed, BIAS, (uint64_t)(n * s->n_models + m));
        *bias = exp(s->rules.bias_sigma * inverse_normal(uniform(key, (uint64_t)w->node[n].incarnation)));
    }
}

static void join(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    w->alive[n] = 1;
    node->incarnation++;
    node->joined_ns = w->now_ns;
    node->evidence = node->memory_used = 0;
    node->load_ns = NEVER;
    w->slowdown[n] = 1.0;
    w->heard_ns[n] = -1;
    w->stream_model[n] = NONE;
    w->trend[n] = 1.0;
    w->trend_ns[n] = 0;
    w->trend_s[n] = s->rules.trend_s;
    w->memory_busy[n] = w->disk_free_ns[n] = 0;
    for (int m = 0; m < s->n_models; m++) {
        int64_t pair = m * s->stride + n;
        w->pair_slowdown[pair] = 1.0;
        w->pair_evidence[pair] = w->held[pair] = 0;
        w->used_ns[pair] = 0;
        w->residency[pair] = s->preload[pair] ? RESIDENT : ABSENT;
        if (s->preload[pair]) node->memory_used += s->model[m].weights_bytes;
        forget_model(w, pair);
    }
    draw_bias(s, w, n);
    keep_figures(s, w, n);
    show_memory(s, w, n);
}

/* What the node had not finished comes back: what ran, what waited, what was on its way there. */
static void leave(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    settle(w, n);
    w->alive[n] = 0;
    w->stream_model[n] = NONE;
    node->finish_ns = node->load_ns = NEVER;
    int running = node->running, waiting = node->queue_head, flying = node->air_head;
    node->running = node->queued = 0;
    node->queue_head = node->queue_tail = node->air_head = node->air_tail = NONE;
    for (int k = 0; k < running; k++) come_back(s, w, w->slot[node->first_slot + k].job);
    for (int j = waiting, after; j != NONE; j = after) {
        after = w->job[j].next;
        come_back(s, w, j);
    }
    for (int j = flying, after; j != NONE; j = after) {
        after = w->job[j].next;
        if (w->job[j].state == UPLINK) come_back(s, w, j);
        else send(w, n, j, w->job[j].due_ns, DOWNLINK);
    }
    refresh_due(w, n);
}

static void draw_churn(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    double mean_s = regime->churn_cycle % 2 ? s->rules.churn_down_s : s->rules.churn_up_s;
    uint64_t key = stream_key(w->seed, CHURN, n);
    regime->churn_ns = w->now_ns + to_ns(exponential(key, regime->churn_cycle + 1) * mean_s);
}

static void change_presence(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    bool leaves = regime->churn_cycle % 2 == 0;
    regime->warm = 1.0;
    regime->warm_ns = NEVER;
    if (leaves) {
        leave(s, w, n);
    } else {
        join(s, w, n);
        if (s->rules.slow_start_s > 0.0) {
            regime->warm = s->rules.slow_start_speed;
            regime->warm_ns = w->now_ns + to_ns(s->rules.slow_start_s);
        }
    }
    double u = uniform(stream_key(w->seed, WORDS, n), 2 * regime->churn_cycle);
    int activity = (int)s->n_activities - 1;
    say(s, w, n, CHURN_NEWS, leaves ? NOW : OVER, activity, 0.0, s->rules.churn_down_s, 1.0, u);
    regime->churn_cycle++;
    draw_churn(s, w, n);
}

/* ---- Drift ---- */

static double draw_drift(const World *w, int n, int which) {
    return uniform(stream_key(w->seed, DRIFT, n), 4 * w->regime[n].drift_cycle + which);
}

static void tell_of_drift(const Sim *s, World *w, int n, int stage) {
    const Regime *regime = &w->regime[n];
    double u = uniform(stream_key(w->seed, WORDS, n), 4 * regime->drift_cycle + 1);
    int activity = (int)s->n_activities - 2;
    say(s, w, n, DRIFT_NEWS, stage, activity, 0.0, s->rules.drift_hold_s, regime->depth, u);
}

static void begin_slowdown(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    const Rules *rules = &s->rules;
    bool outage = draw_drift(w, n, 3) < rules->outage_share;
    regime->drift_steps = !outage && rules->drift_ramp_s > 0.0 ? 8 : 1;
    regime->depth = outage ? rules->outage_speed
                           : draw_log_uniform(rules->drift_low, rules->drift_high, draw_drift(w, n, 4));
    tell_of_drift(s, w, n, NOW);
}

static void change_drift(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    if (regime->drift_stage == 0) begin_slowdown(s, w, n);
    int steps = regime->drift_steps, stage = ++regime->drift_stage;
    int level = stage <= steps ? stage : 2 * steps - stage;
    regime->drift = exp(log(regime->depth) * level / steps);
    if (stage == 2 * steps) {
        tell_of_drift(s, w, n, OVER);
        regime->drift_stage = 0;
        regime->drift_cycle++;
        regime->drift_ns = w->now_ns + to_ns(-log(draw_drift(w, n, 1)) * s->rules.drift_gap_s);
    } else if (stage == steps) {
        regime->drift_ns = w->now_ns + to_ns(-log(draw_drift(w, n, 2)) * s->rules.drift_hold_s);
    } else {
        regime->drift_ns = w->now_ns + to_ns(s->rules.drift_ramp_s / steps);
    }
}

/* ---- All of them ---- */

static void keep_next_regime(World *w, int n) {
    const Regime *regime = &w->regime[n];
    int64_t next = min64(regime->drift_ns, min64(regime->warm_ns, regime->churn_ns));
    w->node[n].regime_ns = min64(next, next_semantic(regime));
    refresh_due(w, n);
}

static void begin_regimes(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    *regime = (Regime){.drift = 1.0, .warm = 1.0, .drift_ns = NEVER, .warm_ns = NEVER, .churn_ns = NEVER};
    if (draw_drift(w, n, 0) < s->rules.drift_share)
        regime->drift_ns = to_ns(-log(draw_drift(w, n, 1)) * s->rules.drift_gap_s);
    if (uniform(stream_key(w->seed, CHURN, n), 0) < s->rules.churn_share) draw_churn(s, w, n);
    begin_semantic(s, w, n);
    keep_next_regime(w, n);
}

static void regime_event(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    if (regime->churn_ns <= w->now_ns) {
        change_presence(s, w, n);
    } else if (regime->warm_ns <= w->now_ns) {
        regime->warm = 1.0;
        regime->warm_ns = NEVER;
    } else if (regime->drift_ns <= w->now_ns) {
        change_drift(s, w, n);
    } else {
        semantic_event(s, w, n);
    }
    double speed = regime->drift * regime->warm * regime->event;
    if (speed != w->speed[n]) set_speed(w, n, speed);
    keep_next_regime(w, n);
}
