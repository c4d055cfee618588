/* The life of a request. Part of routing.c. */

#pragma once

#include "node.h"

static void schedule_arrival(const Sim *s, World *w) {
    int64_t last = w->next_arrival_ns, at = NEVER;
    if (w->arrived < s->rules.n_requests) {
        at = last + (int64_t)(-log(uniform(w->key[ARRIVAL], w->arrived)) / s->rules.rate_per_s * 1e9 + 0.5);
        if (at > s->rules.horizon_ns) at = NEVER, last = s->rules.horizon_ns;
    }
    w->next_arrival_ns = at;
    if (at == NEVER) w->stop_ns = last + s->rules.drain_ns;
}

static void arrive(const Sim *s, World *w) {
    int j = w->free;
    if (j == NONE && w->fresh == s->n_jobs) {
        report_first(s, w); /* only reports under way can hold that many rows */
        j = w->free;
    }
    if (j != NONE) w->free = w->job[j].next;
    else j = w->fresh++;
    Job *job = &w->job[j];
    int64_t i = w->arrived;
    double u = uniform(w->key[MODEL], i);
    int m = 0, site = 0;
    while (m < s->n_models - 1 && s->model[m].cumulative_share <= u) m++;
    if (s->n_sites > 1) {
        u = uniform(w->key[SITE], i);
        while (site < s->n_sites - 1 && s->site[site] <= u) site++;
    }
    job->arrive_ns = w->now_ns;
    job->model = (int16_t)m;
    job->site = (int16_t)site;
    job->prompt = draw_count(&s->model[m].prompt, w->key[PROMPT], i);
    job->units = job->forecast = draw_count(&s->model[m].units, w->key[UNITS], i);
    if (s->rules.forecast_sigma > 0.0) {
        double noise = inverse_normal(uniform(w->key[FORECAST], i));
        job->forecast = (int32_t)(job->units * exp(s->rules.forecast_sigma * noise) + 0.5);
    }
    job->forecast = job->units == 0 ? 0 : job->forecast < 1 ? 1 : job->forecast;
    job->state = FREE;
    job->retries = 0;
    w->arrived++;
    w->in_system++;
    w->subject = j;
    schedule_arrival(s, w);
}

static void give_up(const Sim *s, World *w, int j) {
    Job *job = &w->job[j];
    int64_t spent = w->now_ns - job->arrive_ns;
    int64_t charge = (int64_t)(s->rules.drop_charge * s->model[job->model].deadline_ns);
    if (charge > spent) w->latency_ns += charge - spent;
    w->in_system--;
    free_job(w, j);
}

/* Its node has left: request j waits for another decision, or is dropped. */
static void come_back(const Sim *s, World *w, int j) {
    Job *job = &w->job[j];
    w->outstanding[job->node]--;
    release_model(s, w, job->node, job->model);
    strike_out(s, w, j);
    if (++job->retries > s->rules.max_retries) {
        give_up(s, w, j);
        return;
    }
    job->state = FREE;
    job->next = NONE;
    if (w->pending_tail == NONE) w->pending_head = j;
    else w->job[w->pending_tail].next = j;
    w->pending_tail = j;
}

static void take_pending(World *w) {
    w->subject = w->pending_head;
    w->pending_head = w->job[w->subject].next;
    if (w->pending_head == NONE) w->pending_tail = NONE;
}

static void dispatch(const Sim *s, World *w, int n, int j) {
    Job *job = &w->job[j];
    Node *node = &w->node[n];
    const Model *model = &s->model[job->model];
    int64_t pair = job->model * s->stride + n, link = job->site * s->stride + n;
    double delay = s->delay_s[link], s_per_byte = s->s_per_byte[link];
    double up = delay + (model->up_bytes + model->up_bytes_per_token * job->prompt) * s_per_byte;
    double down = delay + (model->down_bytes + model->down_bytes_per_unit * job->units) * s_per_byte;
    double errors = model->down_bytes_per_unit * (job->forecast - job->units) * s_per_byte;
    int beyond = job->prompt > 2048 ? job->prompt - 2048 : 0;
    double prefill = s->first_s[pair] + s->per_prompt_s[pair] * job->prompt + s->beyond_s[pair] * beyond;
    double own = prefill + s->per_unit_s[pair] * job->forecast;
    int seen = w->seen[n], slots = s->slots[n];
    double fluid = fluid_now(w, n), expected;
    if (seen < slots) expected = own + s->crowding[pair] * fmin(fluid, seen * own);
    else expected = fluid * (seen - slots + 1) / seen * s->full_slowdown[pair] / slots + own * s->full_slowdown[pair];
    expected *= w->pair_evidence[pair] > 0 ? w->pair_slowdown[pair] : w->slowdown[n];
    double load = 0.0;
    if (w->residency[pair] == ABSENT)
        load = (max64(w->disk_free_ns[n] - w->now_ns, 0) + s->model_load_ns[pair]) / 1e9;
    else if (w->residency[pair] == LOADING)
        load = max64(w->ready_ns[pair] - w->now_ns, 0) / 1e9;
    job->expected_all_s = expected + up + down + errors + load;
    job->expected_s = own;
    job->node = n;
    job->dispatch_ns = w->now_ns;
    job->stutter = 0;
    job->work_s = prefill + s->per_unit_s[pair] * job->units;
    job->down_ns = to_ns(down);

    w->fluid_s[n] = fluid + own;
    w->mark_ns[n] = w->now_ns;
    node->book_s += own;
    node->crowding_seen += s->crowding[pair];
    w->seen[n]++;
    job->newer = NONE;
    job->older = node->newest;
    if (node->newest == NONE) node->oldest = j;
    else w->job[node->newest].newer = j;
    node->newest = j;
    keep_figures(s, w, n);

    w->outstanding[n]++;
    if (w->held[pair]++ == 0) {
        w->memory_busy[n] += model->weights_bytes;
        show_memory(s, w, n);
    }
    send(w, n, j, w->now_ns + to_ns(up), UPLINK);
}

static inline void advance_clock(World *w, int64_t at) {
    w->latency_ns += (at - w->now_ns) * w->in_system;
    w->now_ns = at;
}
