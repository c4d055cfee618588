/* A node at work. Part of routing.c. */

#pragma once

#include "book.h"

static inline void refresh_due(World *w, int n) {
    const Node *node = &w->node[n];
    int64_t due = min64(node->regime_ns, min64(node->load_ns, node->finish_ns));
    if (node->air_head != NONE) due = min64(due, w->job[node->air_head].due_ns);
    w->due_ns[n] = due;
}

/* Messages of a node are a list by due time, equals in the order they were sent. */
static void send(World *w, int n, int j, int64_t due_ns, int state) {
    Node *node = &w->node[n];
    Job *job = w->job;
    job[j].due_ns = due_ns;
    job[j].state = state;
    if (due_ns < w->due_ns[n]) w->due_ns[n] = due_ns;
    if (node->air_head == NONE || due_ns < job[node->air_head].due_ns) {
        job[j].next = node->air_head;
        if (node->air_head == NONE) node->air_tail = j;
        node->air_head = j;
        return;
    }
    int before = node->air_tail;
    if (due_ns < job[before].due_ns)
        for (before = node->air_head; job[job[before].next].due_ns <= due_ns;) before = job[before].next;
    job[j].next = job[before].next;
    job[before].next = j;
    if (before == node->air_tail) node->air_tail = j;
}

static void settle(World *w, int n) {
    Node *node = &w->node[n];
    int64_t elapsed_ns = w->now_ns - node->settled_ns;
    if (elapsed_ns <= 0) return;
    node->settled_ns = w->now_ns;
    double elapsed = elapsed_ns / 1e9;
    Slot *slot = w->slot + node->first_slot;
    for (int k = 0; k < node->running; k++) {
        double progress = elapsed * (slot[k].share * w->speed[n]);
        if (slot[k].left_s - progress <= slot[k].after_first_s) slot[k].after_first_s = 0.0; /* its units come now */
        slot[k].left_s -= progress;
        slot[k].share_s += elapsed * slot[k].share;
    }
}

/* What running responses show of the node's speed at a time: gap over prior gap, 0 if nothing. */
static inline double streamed(const World *w, int n, int64_t at) {
    if (w->stream_model[n] == NONE) return 0.0;
    double elapsed = (at - w->stream_ns[n]) / 1e9;
    if (elapsed * w->speed[n] >= w->stream_gap_s[n]) return w->stream_ratio[n] / w->speed[n];
    if (w->stream_before[n] == 0.0) return 0.0;
    return fmax(w->stream_before[n], elapsed / w->stream_gap_s[n] * w->stream_ratio[n]);
}

/* Slot k has begun to put out units, after those that did before. */
static void watch_stream(World *w, int n, const Slot *slot, double begins_s) {
    int model = w->job[slot->job].model;
    w->stream_gap_s[n] = slot->unit_s / slot->share;
    if (model == w->stream_model[n] && begins_s == 0.0) return;
    w->stream_model[n] = model;
    w->stream_ratio[n] = slot->unit_ratio;
    w->stream_before[n] = 0.0;
    w->stream_ns[n] = w->now_ns + to_ns(begins_s);
}

static void rerate(World *w, int n) {
    Node *node = &w->node[n];
    Slot *slot = w->slot + node->first_slot;
    double crowd = 0.0, soonest = 1e18, begins = 1e18;
    int streaming = NONE;
    for (int k = 0; k < node->running; k++) crowd += slot[k].crowding;
    node->finish_slot = NONE;
    node->finish_ns = NEVER;
    for (int k = 0; k < node->running; k++) {
        double share = node->running > 1 ? 1.0 / (1.0 + (crowd - slot[k].crowding)) : 1.0;
        slot[k].share = share;
        double rate = share * w->speed[n], seconds = slot[k].left_s / rate;
        if (rate < slot[k].stutter_below) slot[k].stutter |= STUTTER_GAP;
        double waits = slot[k].after_first_s > 0.0 ? (slot[k].left_s - slot[k].after_first_s) / rate : 0.0;
        if (slot[k].unit_ratio > 0.0 && waits <= begins) begins = waits, streaming = k;
        if (seconds < soonest) soonest = seconds, node->finish_slot = k;
    }
    if (streaming == NONE) w->stream_model[n] = NONE;
    else watch_stream(w, n, &slot[streaming], begins);
    if (node->finish_slot != NONE) node->finish_ns = w->now_ns + to_ns(soonest > 0.0 ? soonest : 0.0);
}

static void set_speed(World *w, int n, double speed) {
    settle(w, n);
    w->stream_before[n] = streamed(w, n, w->now_ns);
    w->stream_ns[n] = w->now_ns;
    w->speed[n] = speed;
    rerate(w, n);
    refresh_due(w, n);
}

static void start(const Sim *s, World *w, int n, int j) {
    Node *node = &w->node[n];
    const Job *job = &w->job[j];
    int64_t pair = job->model * s->stride + n;
    int kind = s->model[job->model].kind;
    double bias = w->bias[pair], gap = s->per_unit_s[pair];
    double bound = fmax(s->rules.stutter_gap_ratio * gap, s->rules.stutter_gap_s);
    Slot *slot = &w->slot[node->first_slot + node->running++];
    *slot = (Slot){.left_s = job->work_s * bias, .crowding = s->crowding[pair], .unit_s = gap * bias, .job = j};
    slot->stutter = job->stutter | (node->foreground ? STUTTER_FOREGROUND : 0);
    if (kind == TOKENS) slot->after_first_s = gap * job->units * bias;
    if (kind == ITEM) return;
    slot->unit_ratio = bias;
    slot->stutter_below = gap * bias / bound;
}

/* Start queued requests whose model is resident while slots are free; true if any started. */
static bool start_ready(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    bool started = false;
    int before = NONE, j = node->queue_head;
    while (j != NONE && node->running < s->slots[n]) {
        Job *job = &w->job[j];
        int after = job->next;
        int64_t pair = job->model * s->stride + n;
        if (w->residency[pair] != RESIDENT) {
            before = j;
            j = after;
            continue;
        }
        if (before == NONE) node->queue_head = after;
        else w->job[before].next = after;
        if (after == NONE) node->queue_tail = before;
        node->queued--;
        if (!started) settle(w, n);
        started = true;
        start(s, w, n, j);
        w->used_ns[pair] = w->now_ns;
        j = after;
    }
    return started;
}

static void begin_load(const Sim *s, World *w, int n, int m) {
    Node *node = &w->node[n];
    while (node->memory_used + s->model[m].weights_bytes > s->memory[n]) {
        int victim = NONE;
        int64_t used = NEVER;
        for (int k = 0; k < s->n_models; k++) {
            int64_t pair = k * s->stride + n;
            if (w->residency[pair] == RESIDENT && w->held[pair] == 0 && w->used_ns[pair] < used)
                used = w->used_ns[pair], victim = k;
        }
        if (victim == NONE) break; /* cannot happen while the mask is respected */
        w->residency[victim * s->stride + n] = ABSENT;
        node->memory_used -= s->model[victim].weights_bytes;
    }
    int64_t pair = m * s->stride + n;
    node->memory_used += s->model[m].weights_bytes;
    w->disk_free_ns[n] = max64(w->disk_free_ns[n], w->now_ns) + s->model_load_ns[pair];
    w->residency[pair] = LOADING;
    w->ready_ns[pair] = w->disk_free_ns[n];
    node->load_ns = min64(node->load_ns, w->ready_ns[pair]);
}

static void end_load(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    node->load_ns = NEVER;
    for (int m = 0; m < s->n_models; m++) {
        int64_t pair = m * s->stride + n;
        if (w->residency[pair] != LOADING) continue;
        if (w->ready_ns[pair] <= w->now_ns) {
            w->residency[pair] = RESIDENT;
            w->used_ns[pair] = w->now_ns;
        } else {
            node->load_ns = min64(node->load_ns, w->ready_ns[pair]);
        }
    }
    if (start_ready(s, w, n)) rerate(w, n);
    refresh_due(w, n);
}

static void receive(const Sim *s, World *w, int n, int j) {
    Node *node = &w->node[n];
    Job *job = &w->job[j];
    job->state = AT_NODE;
    job->next = NONE;
    if (node->queue_tail == NONE) node->queue_head = j;
    else w->job[node->queue_tail].next = j;
    node->queue_tail = j;
    node->queued++;
    if (w->residency[job->model * s->stride + n] == ABSENT) begin_load(s, w, n, job->model);
    if (start_ready(s, w, n)) rerate(w, n);
    refresh_due(w, n);
}

static void show_memory(const Sim *s, World *w, int n) {
    w->free_memory[n] = (float)(1.0 - w->memory_busy[n] * s->type[n].per_byte);
}

/* One request less needs the model on the node. */
static void release_model(const Sim *s, World *w, int n, int model) {
    if (--w->held[model * s->stride + n] > 0) return;
    w->memory_busy[n] -= s->model[model].weights_bytes;
    show_memory(s, w, n);
}

static void complete(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    settle(w, n);
    Slot *slot = w->slot + node->first_slot;
    int j = slot[node->finish_slot].job;
    Job *job = &w->job[j];
    job->stutter = slot[node->finish_slot].stutter;
    job->share_s = slot[node->finish_slot].share_s;
    slot[node->finish_slot] = slot[--node->running];
    w->used_ns[job->model * s->stride + n] = w->now_ns;
    release_model(s, w, n, job->model);
    if (node->queued > 0) start_ready(s, w, n);
    rerate(w, n);
    refresh_due(w, n);
    send(w, n, j, w->now_ns + job->down_ns, DOWNLINK);
}

static void deliver(const Sim *s, World *w, int n, int j) {
    Job *job = &w->job[j];
    w->in_system--;
    w->stutters += job->stutter != 0;
    w->outstanding[n]--;
    job->state = DELIVERED;
    if (s->rules.telemetry_age_ns == 0) {
        report(s, w, j);
        return;
    }
    job->due_ns = w->now_ns + s->rules.telemetry_age_ns;
    job->next = NONE;
    if (w->report_tail == NONE) w->report_head = j;
    else w->job[w->report_tail].next = j;
    w->report_tail = j;
}

/* The node's own next event. */
static void work_on(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    if (node->load_ns <= w->now_ns) {
        end_load(s, w, n);
    } else if (node->finish_ns <= w->now_ns) {
        complete(s, w, n);
    } else {
        int j = node->air_head;
        node->air_head = w->job[j].next;
        if (node->air_head == NONE) node->air_tail = NONE;
        refresh_due(w, n);
        if (w->job[j].state == UPLINK) receive(s, w, n, j);
        else deliver(s, w, n, j);
    }
}
