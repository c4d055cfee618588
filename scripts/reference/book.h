/* The router's book and what it learns. Part of routing.c. */

#pragma once

#include "world.h"

static inline double fluid_now(const World *w, int n) {
    double elapsed = max64(w->now_ns - w->mark_ns[n], 0) * PER_SECOND;
    double fluid = w->fluid_s[n] - elapsed * w->drain[n];
    return fluid > w->waiting_s[n] ? fluid : w->waiting_s[n];
}

static void keep_figures(const Sim *s, World *w, int n) {
    const Node *node = &w->node[n];
    int seen = w->seen[n], slots = s->slots[n];
    double busy = seen * s->type[n].per_slot;
    w->busy[n] = busy < 1.0 ? (float)busy : 1.0f;
    w->sent[n] = (float)(seen / (seen + 8.0));
    if (seen == 0) {
        w->drain[n] = 0.0;
        w->waiting_s[n] = 0.0;
        w->oldest_ns[n] = NEVER;
        return;
    }
    int running = seen < slots ? seen : slots;
    double throughput = running / (1.0 + (running - 1) * node->crowding_seen / seen);
    w->drain[n] = throughput / w->slowdown[n];
    w->waiting_s[n] = node->book_s * (seen - running) / seen;
    const Job *oldest = &w->job[node->oldest];
    w->oldest_ns[n] = oldest->dispatch_ns;
    w->oldest_expected_s[n] = oldest->expected_all_s;
}

/* Request j is no longer outstanding at its node, as far as the router knows. */
static void strike_out(const Sim *s, World *w, int j) {
    Job *job = &w->job[j];
    int n = job->node;
    Node *node = &w->node[n];
    int64_t pair = job->model * s->stride + n;
    double fluid = fluid_now(w, n);
    node->book_s -= job->expected_s;
    node->crowding_seen -= s->crowding[pair];
    if (--w->seen[n] == 0) node->book_s = node->crowding_seen = 0.0;
    w->fluid_s[n] = fluid < node->book_s ? fluid : node->book_s;
    w->mark_ns[n] = w->now_ns;
    if (job->older == NONE) node->oldest = job->newer;
    else w->job[job->older].newer = job->newer;
    if (job->newer == NONE) node->newest = job->older;
    else w->job[job->newer].older = job->older;
    keep_figures(s, w, n);
}

enum { PRIOR_P = 4 }; /* variance of a ratio nothing is known of, in units of the noise */

static void forget_model(World *w, int64_t pair) {
    w->first_ratio[pair] = w->unit_ratio[pair] = 1.0;
    w->p_first[pair] = w->p_unit[pair] = PRIOR_P;
    w->p_cross[pair] = 0.0;
}

static inline double clip(double x, double low, double high) { return fmin(fmax(x, low), high); }

/* Recursive least squares of measured = first_ratio * share + unit_ratio * (1 - share), with forgetting. */
static void fit(World *w, int64_t pair, double share, double measured, double forgetting) {
    double *p11 = &w->p_first[pair], *p12 = &w->p_cross[pair], *p22 = &w->p_unit[pair];
    double rest = 1.0 - share;
    double k1 = *p11 * share + *p12 * rest, k2 = *p12 * share + *p22 * rest;
    double scale = forgetting + share * k1 + rest * k2;
    double error = measured - (w->first_ratio[pair] * share + w->unit_ratio[pair] * rest);
    w->first_ratio[pair] = clip(w->first_ratio[pair] + k1 / scale * error, 0.05, 100.0);
    w->unit_ratio[pair] = clip(w->unit_ratio[pair] + k2 / scale * error, 0.05, 100.0);
    double cross = (*p12 - k1 * k2 / scale) / forgetting;
    double first = (*p11 - k1 * k1 / scale) / forgetting, unit = (*p22 - k2 * k2 / scale) / forgetting;
    /* no eigenvalue beyond that of the prior */
    double spread = sqrt((first - unit) * (first - unit) + 4.0 * cross * cross);
    double top = 0.5 * (first + unit + spread), low = 0.5 * (first + unit - spread);
    double excess = top > PRIOR_P ? fmin((top - PRIOR_P) / fmax(spread, 1e-12), 1.0) : 0.0;
    low = fmax(fmin(low, PRIOR_P), 0.0);
    *p11 = (1.0 - excess) * first + excess * low;
    *p12 = (1.0 - excess) * cross;
    *p22 = (1.0 - excess) * unit + excess * low;
}

static inline double trend_now(const World *w, int n) {
    double fade = 1.0 + (w->now_ns - w->trend_ns[n]) / 1e9 / w->trend_s[n];
    return 1.0 + (w->trend[n] - 1.0) / (fade * fade);
}

/* Part of a surprise is the node straying for a while, part the model being wrong about it. */
static void follow(const Sim *s, World *w, int n, int64_t pair, double share, double measured) {
    double rest = 1.0 - share;
    double p = share * share * w->p_first[pair] + 2.0 * share * rest * w->p_cross[pair] + rest * rest * w->p_unit[pair];
    double wrong = 0.25 * (fmax(p, 0.0) / PRIOR_P), stray = s->rules.trend_sigma * s->rules.trend_sigma;
    double plain = log(fmax(measured, 1e-6) / (w->first_ratio[pair] * share + w->unit_ratio[pair] * rest));
    double trend = trend_now(w, n), surprise = plain - log(trend), most = 2.0 * sqrt(wrong);
    double model = w->pair_evidence[pair] > 0 ? wrong / (wrong + stray + 1e-3) * surprise : surprise;
    model = clip(model, -most, most);
    w->trend[n] = clip(trend * exp(surprise - model), 0.05, 100.0);
    w->trend_ns[n] = w->now_ns;
    bool again = plain > 0.7 && s->rules.trend_sigma > 0.0;
    w->trend_s[n] = again ? fmin(2.0 * w->trend_s[n], 32.0 * s->rules.trend_s) : s->rules.trend_s;
    fit(w, pair, share, measured / w->trend[n], s->rules.forgetting);
}

/* What request j tells about its node, unless that has left and joined since. */
static void learn(const Sim *s, World *w, const Job *job) {
    int n = job->node;
    Node *node = &w->node[n];
    int64_t pair = job->model * s->stride + n;
    if (job->dispatch_ns < node->joined_ns) return;
    if (job->work_s > 0.0) {
        double measured = job->share_s / job->work_s;
        double before = w->pair_evidence[pair] > 0 ? w->pair_slowdown[pair] : w->slowdown[n];
        double gain = fmax(s->rules.ewma, 1.0 / (w->pair_evidence[pair] + 2.0));
        w->pair_slowdown[pair] = before + gain * (measured - before);
        gain = fmax(s->rules.ewma, 1.0 / (node->evidence + 2.0));
        w->slowdown[n] += gain * (measured - w->slowdown[n]);
        double share = 1.0 - fmin(s->per_unit_s[pair] * job->units / job->work_s, 1.0);
        follow(s, w, n, pair, share, measured);
    }
    w->pair_evidence[pair]++;
    node->evidence++;
    w->heard_ns[n] = w->now_ns;
}

static void free_job(World *w, int j) {
    w->job[j].state = FREE;
    w->job[j].next = w->free;
    w->free = j;
}

static void report(const Sim *s, World *w, int j) {
    learn(s, w, &w->job[j]);
    strike_out(s, w, j);
    free_job(w, j);
}

static void report_first(const Sim *s, World *w) {
    int j = w->report_head;
    w->report_head = w->job[j].next;
    if (w->report_head == NONE) w->report_tail = NONE;
    report(s, w, j);
}
