/* Routing as a plain C loop: the yardstick of the compiled kernel's speed and an independent check of its results.
 *
 * Written from docs/design.md, section 3, with data structures of its own. What the router sees is kept as one array per
 * figure over the nodes, so that the observation is made with vector instructions; what only the nodes know is one
 * structure per node; the memory of a world is one block. Accounts other than latency are not kept.
 *
 * Not covered, and refused by `create`: bursts, day cycles, traces, empirical laws, timelines, rewards beside latency.
 * Compile without contraction to fused multiply-add (-ffp-contract=off): event times are then exact to the nanosecond.
 */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- The tables of a scenario, as edge_gym/kernel/tables.py lays them out ---- */

#pragma pack(push, 1)

typedef struct {
    int32_t kind, first, count, pad;
    double a, b, minimum, maximum;
} Law;

typedef struct {
    int32_t arrival_kind, max_retries, trace_loops, trace_random_start;
    int64_t n_requests, horizon_ns, drain_ns, telemetry_age_ns;
    double rate_per_s, burst_rate_per_s, calm_mean_s, burst_mean_s, period_s, amplitude, trace_scale;
    int64_t trace_span_ns;
    double forecast_sigma, bias_sigma, ewma, drop_charge, stutter_gap_s, stutter_gap_ratio;
    double weight[8]; /* of the reward terms, latency first */
    double drift_share, drift_gap_s, drift_hold_s, drift_ramp_s, drift_low, drift_high, outage_share, outage_speed;
    double churn_share, churn_up_s, churn_down_s, slow_start_s, slow_start_speed;
} Rules;

typedef struct {
    int32_t slots, limit;
    int64_t memory_bytes;
    double idle_w, active_w, price_per_s, per_slot, per_byte;
    float price_scaled, power_scaled;
} NodeType;

typedef struct {
    int64_t weights_bytes, deadline_ns;
    double cumulative_share, up_bytes, up_bytes_per_token, down_bytes, down_bytes_per_unit;
    int32_t kind, pad;
    Law prompt, units;
} Model;

typedef struct {
    double first_s, per_prompt_token_s, beyond_2048_s, per_unit_s, crowding, full_slowdown;
    int64_t load_ns;
    int32_t supported, preload;
    float parallelism_scaled;
    int32_t pad;
} Service;

typedef struct {
    int64_t delay_ns;
    double s_per_byte;
    int64_t reachable;
} Link;

#pragma pack(pop)

int64_t table_size(int which) {
    const int64_t sizes[] = {sizeof(Rules), sizeof(NodeType), sizeof(Model), sizeof(Service), sizeof(Link)};
    return which >= 0 && which < 5 ? sizes[which] : -1;
}

enum { OK, NO_MEMORY, BAD_ARRIVALS, BAD_LAW, BAD_TIMELINE, BAD_WEIGHTS, BAD_SIZES, BAD_DRIFT, BAD_CHURN };

/* The arrays of a loop do not overlap: there are too many for the compiler to check. */
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define NEVER INT64_MAX
#define NONE (-1)
#define PER_SECOND (1.0 / 1e9)

/* ---- Draws: SplitMix64 at any position (docs/design.md, section 4) ---- */

enum { ARRIVAL = 1, SITE = 3, MODEL = 4, PROMPT = 5, UNITS = 6, FORECAST = 7, BIAS = 8, EPISODE = 10, N_STREAMS };

#define GOLDEN 0x9E3779B97F4A7C15u
#define MIX_1 0xBF58476D1CE4E5B9u
#define MIX_2 0x94D049BB133111EBu

static inline uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * MIX_1;
    z = (z ^ (z >> 27)) * MIX_2;
    return z ^ (z >> 31);
}

static inline uint64_t stream_key(uint64_t seed, uint64_t stream, uint64_t entity) {
    return mix(mix(seed + stream * GOLDEN) ^ mix(entity * GOLDEN + MIX_1));
}

static inline double uniform(uint64_t key, uint64_t index) {
    uint64_t z = mix(key + (index + 1) * GOLDEN);
    return ((double)(int64_t)(z >> 12) + 0.5) * 0x1p-52;
}

static double normal_tail(double q) {
    double top = -7.784894002430293e-03 * q - 3.223964580411365e-01;
    top = ((top * q - 2.400758277161838e00) * q - 2.549732539343734e00) * q + 4.374664141464968e00;
    top = top * q + 2.938163982698783e00;
    double low = 7.784695709041462e-03 * q + 3.224671290700398e-01;
    low = (low * q + 2.445134137142996e00) * q + 3.754408661907416e00;
    return top / (low * q + 1.0);
}

/* Acklam's approximation of the quantile of the standard normal distribution. */
static double inverse_normal(double u) {
    if (u < 0.02425) return normal_tail(sqrt(-2.0 * log(u)));
    if (u > 0.97575) return -normal_tail(sqrt(-2.0 * log(1.0 - u)));
    double q = u - 0.5, r = q * q;
    double top = -3.969683028665376e01 * r + 2.209460984245205e02;
    top = ((top * r - 2.759285104469687e02) * r + 1.383577518672690e02) * r - 3.066479806614716e01;
    top = top * r + 2.506628277459239e00;
    double low = -5.447609879822406e01 * r + 1.615858368580409e02;
    low = ((low * r - 1.556989798598866e02) * r + 6.680131188771972e01) * r - 1.328068155288572e01;
    return top * q / (low * r + 1.0);
}

enum { CONSTANT, EXPONENTIAL, UNIFORM, LOGNORMAL };

static int32_t draw_count(const Law *law, uint64_t key, uint64_t index) {
    double value = law->a;
    if (law->kind != CONSTANT) {
        double u = uniform(key, index);
        if (law->kind == EXPONENTIAL) value = -log(1.0 - u) * law->a;
        else if (law->kind == UNIFORM) value = law->a + (law->b - law->a) * u;
        else value = exp(law->a + law->b * inverse_normal(u));
    }
    if (value < law->minimum) value = law->minimum;
    if (value > law->maximum) value = law->maximum;
    return (int32_t)(value + 0.5);
}

static inline int64_t to_ns(double seconds) { return (int64_t)(seconds * 1e9 + 0.5); }
static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- The world ---- */

enum { ABSENT, LOADING, RESIDENT };
enum { FREE, UPLINK, AT_NODE, DOWNLINK, DELIVERED };

typedef struct { /* a request, from arrival to the report of its completion */
    int64_t arrive_ns, due_ns, down_ns, dispatch_ns;
    double work_s, share_s;            /* nominal work; time in service weighted by share */
    double expected_s, expected_all_s; /* the router's book */
    int32_t next, older, newer;
    int32_t prompt, units, forecast, node;
    int16_t model, site;
    int32_t state, pad;
} Job;

typedef struct { /* a request that runs */
    double left_s, share, crowding, share_s;
    int64_t job;
} Slot;

typedef struct { /* what only the node knows, and the lists of the router's book */
    int64_t settled_ns, finish_ns, load_ns, memory_used;
    int32_t running, finish_slot, first_slot, queued, queue_head, queue_tail, air_head, air_tail;
    double book_s, crowding_seen;
    int32_t oldest, newest;
    int64_t evidence;
} Node;

typedef struct {
    uint64_t key[N_STREAMS];
    uint64_t root, episode;
    int64_t now_ns, next_arrival_ns, stop_ns, arrived, latency_ns, in_system;
    int32_t subject, free, fresh, report_head, report_tail;
    bool done;
    /* one entry per node, padded to whole vectors */
    int64_t *due_ns, *mark_ns, *oldest_ns, *heard_ns, *memory_busy, *disk_free_ns;
    double *fluid_s, *drain, *waiting_s, *oldest_expected_s, *slowdown;
    float *busy, *sent, *free_memory; /* as shown */
    int32_t *seen, *outstanding;
    /* per model and node: [m * stride + n] */
    double *pair_slowdown;
    int64_t *ready_ns;
    int32_t *pair_evidence, *held, *residency;
    /* cold: per model and node */
    double *bias;
    int64_t *used_ns;
    Node *node;
    Slot *slot;
    Job *job;
} World;

typedef struct {
    int64_t n_worlds, n_nodes, n_models, n_sites, n_jobs, n_slots, stride, column;
    Rules rules;
    NodeType *type;
    Model *model;
    Link *link;
    double *site;
    bool autoreset;
    /* one entry per node */
    int32_t *slots, *limit;
    int64_t *memory;
    /* per model and node: [m * stride + n] */
    double *first_s, *per_prompt_s, *beyond_s, *per_unit_s, *crowding, *full_slowdown, *per_full;
    int64_t *model_load_ns;
    int32_t *supported, *preload;
    float *parallelism;
    /* per site and node: [s * stride + n] */
    double *delay_s, *s_per_byte;
    int32_t *reachable;
    float *columns; /* scratch of the observation */
    char *memory_block;
    World *world;
} Sim;

/* ---- The router's book ---- */

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

static void report(const Sim *s, World *w, int j) {
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

    if (job->work_s > 0.0) {
        double measured = job->share_s / job->work_s;
        double before = w->pair_evidence[pair] > 0 ? w->pair_slowdown[pair] : w->slowdown[n];
        double gain = fmax(s->rules.ewma, 1.0 / (w->pair_evidence[pair] + 2.0));
        w->pair_slowdown[pair] = before + gain * (measured - before);
        gain = fmax(s->rules.ewma, 1.0 / (node->evidence + 2.0));
        w->slowdown[n] += gain * (measured - w->slowdown[n]);
    }
    w->pair_evidence[pair]++;
    node->evidence++;
    w->heard_ns[n] = w->now_ns;
    keep_figures(s, w, n);
    job->state = FREE;
    job->next = w->free;
    w->free = j;
}

static void report_first(const Sim *s, World *w) {
    int j = w->report_head;
    w->report_head = w->job[j].next;
    if (w->report_head == NONE) w->report_tail = NONE;
    report(s, w, j);
}

/* ---- A node at work ---- */

static inline void refresh_due(World *w, int n) {
    const Node *node = &w->node[n];
    int64_t due = min64(node->load_ns, node->finish_ns);
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
        double progress = elapsed * slot[k].share;
        slot[k].left_s -= progress;
        slot[k].share_s += progress;
    }
}

static void rerate(World *w, int n) {
    Node *node = &w->node[n];
    Slot *slot = w->slot + node->first_slot;
    double crowd = 0.0, soonest = 1e18;
    for (int k = 0; k < node->running; k++) crowd += slot[k].crowding;
    node->finish_slot = NONE;
    node->finish_ns = NEVER;
    for (int k = 0; k < node->running; k++) {
        double share = node->running > 1 ? 1.0 / (1.0 + (crowd - slot[k].crowding)) : 1.0;
        slot[k].share = share;
        double seconds = slot[k].left_s / share;
        if (seconds < soonest) soonest = seconds, node->finish_slot = k;
    }
    if (node->finish_slot != NONE) node->finish_ns = w->now_ns + to_ns(soonest > 0.0 ? soonest : 0.0);
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
        Slot *slot = &w->slot[node->first_slot + node->running++];
        *slot = (Slot){job->work_s * w->bias[pair], 0.0, s->crowding[pair], 0.0, j};
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

static void complete(const Sim *s, World *w, int n) {
    Node *node = &w->node[n];
    settle(w, n);
    Slot *slot = w->slot + node->first_slot;
    int j = (int)slot[node->finish_slot].job;
    Job *job = &w->job[j];
    job->share_s = slot[node->finish_slot].share_s;
    slot[node->finish_slot] = slot[--node->running];
    w->used_ns[job->model * s->stride + n] = w->now_ns;
    if (--w->held[job->model * s->stride + n] == 0) {
        w->memory_busy[n] -= s->model[job->model].weights_bytes;
        show_memory(s, w, n);
    }
    if (node->queued > 0) start_ready(s, w, n);
    rerate(w, n);
    refresh_due(w, n);
    send(w, n, j, w->now_ns + job->down_ns, DOWNLINK);
}

static void deliver(const Sim *s, World *w, int n, int j) {
    Job *job = &w->job[j];
    w->in_system--;
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

static void node_event(const Sim *s, World *w, int n) {
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

/* ---- Arrivals and decisions ---- */

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
    job->state = FREE;
    job->next = w->free;
    w->free = j;
}

static void dispatch(const Sim *s, World *w, int n, int j) {
    Job *job = &w->job[j];
    Node *node = &w->node[n];
    const Model *model = &s->model[job->model];
    int64_t pair = job->model * s->stride + n, link = job->site * s->stride + n;
    double up = s->delay_s[link] + (model->up_bytes + model->up_bytes_per_token * job->prompt) * s->s_per_byte[link];
    double down = s->delay_s[link] + (model->down_bytes + model->down_bytes_per_unit * job->units) * s->s_per_byte[link];
    double errors = model->down_bytes_per_unit * (job->forecast - job->units) * s->s_per_byte[link];
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

static void finish(const Sim *s, World *w) {
    if (w->in_system > 0) advance_clock(w, w->stop_ns);
    while (w->report_head != NONE) report_first(s, w);
    for (int j = 0; j < w->fresh; j++)
        if (w->job[j].state >= UPLINK && w->job[j].state <= DOWNLINK) give_up(s, w, j);
    w->subject = NONE;
    w->done = true;
}

/* Earliest event of a node, the first of equals: the least, then where it is. */
static inline int soonest(const Sim *s, const World *w, int64_t *at) {
    const int64_t *due = w->due_ns;
    int64_t least = NEVER;
    for (int64_t n = 0; n < s->stride; n++) least = due[n] < least ? due[n] : least;
    *at = least;
    int n = 0;
    if (least != NEVER)
        while (due[n] != least) n++;
    return n;
}

static void advance(const Sim *s, World *w) {
    for (;;) {
        int64_t node_at, report_at = NEVER;
        int n = soonest(s, w, &node_at);
        if (w->report_head != NONE) report_at = w->job[w->report_head].due_ns;
        int64_t at = min64(node_at, min64(report_at, w->next_arrival_ns));
        if ((w->in_system == 0 && w->next_arrival_ns == NEVER) || at > w->stop_ns) {
            finish(s, w);
            return;
        }
        advance_clock(w, at);
        if (node_at <= at) {
            node_event(s, w, n);
        } else if (report_at <= at) {
            report_first(s, w);
        } else {
            arrive(s, w);
            return;
        }
    }
}

static void begin(const Sim *s, World *w) {
    uint64_t seed = w->root;
    if (w->episode > 0) seed = mix(stream_key(w->root, EPISODE, 0) + w->episode * GOLDEN) >> 1;
    for (int k = 0; k < N_STREAMS; k++) w->key[k] = stream_key(seed, k, 0);
    w->now_ns = w->next_arrival_ns = w->arrived = w->in_system = w->latency_ns = 0;
    w->stop_ns = NEVER;
    w->subject = w->free = w->report_head = w->report_tail = NONE;
    w->fresh = 0;
    w->done = false;
    int first_slot = 0;
    for (int n = 0; n < s->n_nodes; n++) {
        Node *node = &w->node[n];
        *node = (Node){.finish_ns = NEVER, .load_ns = NEVER, .first_slot = first_slot, .finish_slot = NONE,
                       .queue_head = NONE, .queue_tail = NONE, .air_head = NONE, .air_tail = NONE,
                       .oldest = NONE, .newest = NONE};
        first_slot += s->slots[n];
        w->due_ns[n] = NEVER;
        w->heard_ns[n] = -1;
        w->mark_ns[n] = w->memory_busy[n] = w->disk_free_ns[n] = 0;
        w->seen[n] = w->outstanding[n] = 0;
        w->fluid_s[n] = w->oldest_expected_s[n] = 0.0;
        w->slowdown[n] = 1.0;
        for (int m = 0; m < s->n_models; m++) {
            int64_t pair = m * s->stride + n;
            w->pair_slowdown[pair] = 1.0;
            w->pair_evidence[pair] = w->held[pair] = 0;
            w->used_ns[pair] = w->ready_ns[pair] = 0;
            w->residency[pair] = s->preload[pair] ? RESIDENT : ABSENT;
            if (s->preload[pair]) node->memory_used += s->model[m].weights_bytes;
            w->bias[pair] = 1.0;
            if (s->rules.bias_sigma > 0.0) {
                uint64_t key = stream_key(seed, BIAS, (uint64_t)(n * s->n_models + m));
                w->bias[pair] = exp(s->rules.bias_sigma * inverse_normal(uniform(key, 0)));
            }
        }
        keep_figures(s, w, n);
        show_memory(s, w, n);
    }
    schedule_arrival(s, w);
    advance(s, w);
    w->latency_ns = 0;
}

/* ---- The observation ---- */

enum {
    IS_REQUEST, IS_MODEL, IS_PROMPT, IS_FORECAST, SLACK, RETRIES, IS_DECLINE, LEGAL, ALIVE, BUSY, OUTSTANDING, FREE_MEMORY,
    IS_RESIDENT, PARALLELISM, PRICE, POWER, SLOWDOWN, EVIDENCE, OVERDUE, BACKLOG, WAIT, FIRST, PER_UNIT, SERVICE,
    NETWORK, LOAD, EVIDENCE_AGE, N_FEATURES
};

int64_t n_features(void) { return N_FEATURES; }

/* log2(x) of x >= 1: exponent, and a polynomial in the mantissa. */
static inline float log2_plain(float x) {
    int32_t bits;
    memcpy(&bits, &x, 4);
    float exponent = (float)((bits >> 23) - 127);
    bits = (bits & 0x7FFFFF) | 0x3F800000;
    memcpy(&x, &bits, 4);
    float t = x - 1.0f;
    float p = -0.0123706510f;
    p = p * t + 0.0637876265f;
    p = p * t - 0.1556000138f;
    p = p * t + 0.2561797395f;
    p = p * t - 0.3534546977f;
    p = p * t + 0.4800737522f;
    p = p * t - 0.7213107231f;
    p = p * t + 1.4426947671f;
    return exponent + t * p;
}

static inline float scale_count(double number) {
    float x = log2_plain((float)(1.0 + number)) * (float)(1.0 / 20.0);
    return x < 1.0f ? x : 1.0f;
}

static inline float scale_time(float seconds) {
    float x = log2_plain(1.0f + seconds * (float)(1.0 / 1e-4)) * (float)(1.0 / 28.0);
    return x < 1.0f ? x : 1.0f;
}

/* Columns that do not depend on the subject. */
static void show_nodes(const Sim *s, const World *w, float *column) {
    const int64_t stride = s->stride, now = w->now_ns;
    const int64_t *mark = w->mark_ns, *oldest = w->oldest_ns, *heard = w->heard_ns;
    const double *fluid_s = w->fluid_s, *drain = w->drain, *waiting = w->waiting_s;
    const double *expected = w->oldest_expected_s, *slowdown = w->slowdown;
    float *overdue = column + OVERDUE * s->column, *backlog = column + BACKLOG * s->column;
    float *since = column + EVIDENCE_AGE * s->column, *slow = column + SLOWDOWN * s->column;
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        int64_t age_ns = now - oldest[n];
        double age = (age_ns > 0 ? age_ns : 0) * PER_SECOND;
        overdue[n] = (float)(age / (age + expected[n] + 1e-9));
        double fluid = fluid_s[n] - (now - mark[n]) * PER_SECOND * drain[n];
        backlog[n] = (float)(fluid > waiting[n] ? fluid : waiting[n]);
        double heard_s = (now - heard[n]) * PER_SECOND;
        since[n] = heard[n] >= 0 ? (float)heard_s : 1e9f;
        slow[n] = (float)(slowdown[n] / (1.0 + slowdown[n]));
    }
}

/* Columns of the nodes as homes for the subject. */
static void show_homes(const Sim *s, const World *w, const Job *job, float *column) {
    const int64_t stride = s->stride, now = w->now_ns, at = job->model * stride, from = job->site * stride;
    const Model *model = &s->model[job->model];
    const double *first_s = s->first_s + at, *per_prompt = s->per_prompt_s + at;
    const double *beyond_s = s->beyond_s + at, *per_unit = s->per_unit_s + at;
    const double *crowding = s->crowding + at, *full = s->full_slowdown + at;
    const double *per_full = s->per_full + at;
    const int64_t *load_ns = s->model_load_ns + at, *ready = w->ready_ns + at;
    const int64_t *busy_bytes = w->memory_busy, *memory = s->memory;
    const int64_t *disk_free = w->disk_free_ns;
    const int32_t *supported = s->supported + at, *residency = w->residency + at;
    const int32_t *held = w->held + at, *evidence = w->pair_evidence + at;
    const int32_t *seen = w->seen, *slots = s->slots, *limit = s->limit;
    const int32_t *outstanding = w->outstanding, *reachable = s->reachable + from;
    const double *delay = s->delay_s + from, *s_per_byte = s->s_per_byte + from;
    const double *pair_slow = w->pair_slowdown + at;
    float *legal = column + LEGAL * s->column, *resident = column + IS_RESIDENT * s->column;
    float *wait = column + WAIT * s->column, *first = column + FIRST * s->column;
    float *unit = column + PER_UNIT * s->column, *service = column + SERVICE * s->column;
    float *network = column + NETWORK * s->column, *load = column + LOAD * s->column;
    float *slow = column + SLOWDOWN * s->column, *known = column + EVIDENCE * s->column;
    const float *backlog = column + BACKLOG * s->column;
    const double prompt = job->prompt, beyond = job->prompt > 2048 ? job->prompt - 2048 : 0, units = job->forecast;
    const double bytes = model->up_bytes + model->up_bytes_per_token * prompt + model->down_bytes
                         + model->down_bytes_per_unit * units;
    const int64_t weights = model->weights_bytes;
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        double ahead = seen[n], beyond_slots = ahead - slots[n];
        double prefill = first_s[n] + per_prompt[n] * prompt + beyond_s[n] * beyond;
        double own = prefill + per_unit[n] * units;
        double fluid = backlog[n], shared = ahead * own;
        shared = fluid < shared ? fluid : shared;
        double vacant = own + crowding[n] * shared, queued = own * full[n];
        double before = fluid * (beyond_slots + 1.0) / (ahead + 1e-300) * per_full[n];
        wait[n] = (float)(beyond_slots < 0.0 ? 0.0 : before);
        service[n] = (float)(beyond_slots < 0.0 ? vacant : queued);
        first[n] = (float)prefill;
        unit[n] = (float)per_unit[n];
        network[n] = (float)(2.0 * delay[n] + bytes * s_per_byte[n]);
    }
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        int64_t disk = disk_free[n] - now, left = ready[n] - now;
        disk = (disk > 0 ? disk : 0) + load_ns[n];
        left = left > 0 ? left : 0;
        double load_s = (residency[n] == ABSENT ? disk : residency[n] == LOADING ? left : 0) * PER_SECOND;
        load[n] = (float)load_s;
        double known_slow = pair_slow[n] / (1.0 + pair_slow[n]), count = evidence[n];
        slow[n] = evidence[n] > 0 ? (float)known_slow : slow[n];
        known[n] = (float)(count / (count + 8.0));
        int64_t needed = held[n] > 0 ? 0 : weights;
        bool fits = busy_bytes[n] + needed <= memory[n];
        bool open = (outstanding[n] < limit[n]) & (supported[n] != 0) & (reachable[n] != 0) & fits;
        legal[n] = open ? 1.0f : 0.0f;
        resident[n] = 0.5f * residency[n];
    }
    for (int64_t n = 0; n < s->n_nodes; n++) {
        if (supported[n]) continue;
        wait[n] = first[n] = unit[n] = service[n] = network[n] = load[n] = resident[n] = 0.0f;
    }
}

static void observe(const Sim *s, const World *w, float *out, uint8_t *mask) {
    const int64_t stride = s->stride, nodes = s->n_nodes;
    float *column = s->columns;
    float subject[IS_DECLINE] = {0};
    float charge = 0.0f;
    const float *parallelism = NULL;
    show_nodes(s, w, column);
    if (w->subject != NONE) {
        const Job *job = &w->job[w->subject];
        const Model *model = &s->model[job->model];
        int64_t deadline = model->deadline_ns, spent = w->now_ns - job->arrive_ns;
        subject[IS_REQUEST] = 1.0f;
        subject[IS_MODEL] = (float)((job->model + 1.0) / s->n_models);
        subject[IS_PROMPT] = scale_count(job->prompt);
        subject[IS_FORECAST] = scale_count(job->forecast);
        subject[SLACK] = (float)((double)max64(deadline - spent, 0) / deadline);
        charge = (float)fmax(s->rules.drop_charge * deadline / 1e9 - spent / 1e9, 0.0);
        show_homes(s, w, job, column);
        parallelism = s->parallelism + job->model * stride;
    } else {
        for (int k = LEGAL; k <= EVIDENCE; k++)
            if (k != SLOWDOWN) memset(column + k * s->column, 0, stride * sizeof(float));
        memset(column + WAIT * s->column, 0, (EVIDENCE_AGE - WAIT) * s->column * sizeof(float));
    }
    INDEPENDENT
    for (int64_t k = BACKLOG * s->column; k < N_FEATURES * s->column; k++) column[k] = scale_time(column[k]);
    const float *legal = column + LEGAL * s->column;
    for (int64_t n = 0; n < nodes; n++) mask[n] = legal[n] > 0.0f;
    mask[nodes] = 1;
    for (int64_t n = 0; n < nodes; n++, out += N_FEATURES) {
        memcpy(out, subject, sizeof subject);
        out[IS_DECLINE] = 0.0f;
        out[LEGAL] = legal[n];
        out[ALIVE] = 1.0f;
        out[BUSY] = w->busy[n];
        out[OUTSTANDING] = w->sent[n];
        out[FREE_MEMORY] = w->free_memory[n];
        out[IS_RESIDENT] = column[IS_RESIDENT * s->column + n];
        out[PARALLELISM] = parallelism ? parallelism[n] : 0.0f;
        out[PRICE] = s->type[n].price_scaled;
        out[POWER] = s->type[n].power_scaled;
        for (int64_t k = SLOWDOWN; k < N_FEATURES; k++) out[k] = column[k * s->column + n];
    }
    memset(out, 0, N_FEATURES * sizeof(float));
    memcpy(out, subject, sizeof subject);
    out[IS_DECLINE] = out[LEGAL] = 1.0f;
    out[WAIT] = scale_time(charge);
}

/* ---- The handle ---- */

void destroy(Sim *s) {
    if (!s) return;
    free(s->world);
    free(s->memory_block);
    free(s);
}

static int refusal(int64_t n_models, int64_t n_changes, const Rules *rules, const Model *model) {
    if (rules->arrival_kind != 0) return BAD_ARRIVALS;
    if (n_changes > 1) return BAD_TIMELINE; /* the last row is at NEVER */
    if (rules->drift_share > 0.0) return BAD_DRIFT;
    if (rules->churn_share > 0.0) return BAD_CHURN;
    for (int k = 1; k < 8; k++)
        if (rules->weight[k] != 0.0) return BAD_WEIGHTS;
    for (int64_t m = 0; m < n_models; m++)
        if (model[m].prompt.kind > LOGNORMAL || model[m].units.kind > LOGNORMAL) return BAD_LAW;
    return OK;
}

/* Cuts the next array out of a block; with a null block it only counts. */
static void *take(char *block, size_t *used, size_t bytes) {
    void *at = block ? block + *used : NULL;
    *used += (bytes + 63) & ~(size_t)63;
    return at;
}

static size_t lay_out_shared(Sim *s, char *block) {
    size_t used = 0, nodes = s->stride, pairs = s->stride * s->n_models, links = s->stride * s->n_sites;
    s->type = take(block, &used, s->n_nodes * sizeof(NodeType));
    s->model = take(block, &used, s->n_models * sizeof(Model));
    s->site = take(block, &used, s->n_sites * sizeof(double));
    s->slots = take(block, &used, nodes * sizeof(int32_t));
    s->limit = take(block, &used, nodes * sizeof(int32_t));
    s->memory = take(block, &used, nodes * sizeof(int64_t));
    double **tables[] = {&s->first_s, &s->per_prompt_s, &s->beyond_s, &s->per_unit_s,
                         &s->crowding, &s->full_slowdown, &s->per_full};
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        *tables[k] = take(block, &used, pairs * sizeof(double));
    s->model_load_ns = take(block, &used, pairs * sizeof(int64_t));
    s->supported = take(block, &used, pairs * sizeof(int32_t));
    s->preload = take(block, &used, pairs * sizeof(int32_t));
    s->parallelism = take(block, &used, pairs * sizeof(float));
    s->delay_s = take(block, &used, links * sizeof(double));
    s->s_per_byte = take(block, &used, links * sizeof(double));
    s->reachable = take(block, &used, links * sizeof(int32_t));
    s->columns = take(block, &used, N_FEATURES * s->column * sizeof(float));
    return used;
}

static size_t lay_out_world(const Sim *s, World *w, char *block) {
    size_t used = 0, nodes = s->stride, pairs = s->stride * s->n_models;
    int64_t **integers[] = {&w->due_ns, &w->mark_ns, &w->oldest_ns, &w->heard_ns, &w->memory_busy, &w->disk_free_ns};
    for (size_t k = 0; k < sizeof integers / sizeof *integers; k++)
        *integers[k] = take(block, &used, nodes * sizeof(int64_t));
    double **doubles[] = {&w->fluid_s, &w->drain, &w->waiting_s, &w->oldest_expected_s, &w->slowdown};
    for (size_t k = 0; k < sizeof doubles / sizeof *doubles; k++)
        *doubles[k] = take(block, &used, nodes * sizeof(double));
    float **floats[] = {&w->busy, &w->sent, &w->free_memory};
    for (size_t k = 0; k < sizeof floats / sizeof *floats; k++)
        *floats[k] = take(block, &used, nodes * sizeof(float));
    w->seen = take(block, &used, nodes * sizeof(int32_t));
    w->outstanding = take(block, &used, nodes * sizeof(int32_t));
    w->pair_slowdown = take(block, &used, pairs * sizeof(double));
    w->ready_ns = take(block, &used, pairs * sizeof(int64_t));
    w->pair_evidence = take(block, &used, pairs * sizeof(int32_t));
    w->held = take(block, &used, pairs * sizeof(int32_t));
    w->residency = take(block, &used, pairs * sizeof(int32_t));
    w->node = take(block, &used, s->n_nodes * sizeof(Node));
    w->bias = take(block, &used, pairs * sizeof(double));
    w->used_ns = take(block, &used, pairs * sizeof(int64_t));
    w->slot = take(block, &used, s->n_slots * sizeof(Slot));
    w->job = take(block, &used, s->n_jobs * sizeof(Job));
    return used;
}

static void fill_shared(Sim *s, const NodeType *type, const Model *model, const Service *service, const Link *link,
                        const double *site) {
    memcpy(s->type, type, s->n_nodes * sizeof(NodeType));
    memcpy(s->model, model, s->n_models * sizeof(Model));
    memcpy(s->site, site, s->n_sites * sizeof(double));
    for (int64_t n = 0; n < s->n_nodes; n++) {
        s->slots[n] = type[n].slots;
        s->limit[n] = type[n].limit;
        s->memory[n] = type[n].memory_bytes;
        for (int64_t m = 0; m < s->n_models; m++) {
            const Service *from = &service[n * s->n_models + m];
            int64_t pair = m * s->stride + n;
            s->first_s[pair] = from->first_s;
            s->per_prompt_s[pair] = from->per_prompt_token_s;
            s->beyond_s[pair] = from->beyond_2048_s;
            s->per_unit_s[pair] = from->per_unit_s;
            s->crowding[pair] = from->crowding;
            s->full_slowdown[pair] = from->full_slowdown;
            s->per_full[pair] = from->full_slowdown / type[n].slots;
            s->model_load_ns[pair] = from->load_ns;
            s->supported[pair] = from->supported;
            s->preload[pair] = from->preload;
            s->parallelism[pair] = from->parallelism_scaled;
        }
        for (int64_t k = 0; k < s->n_sites; k++) {
            const Link *from = &link[k * s->n_nodes + n];
            int64_t at = k * s->stride + n;
            s->delay_s[at] = from->delay_ns * PER_SECOND;
            s->s_per_byte[at] = from->s_per_byte;
            s->reachable[at] = from->reachable != 0;
        }
    }
}

Sim *create(int64_t n_worlds, int64_t n_nodes, int64_t n_models, int64_t n_sites, int64_t n_jobs, int64_t n_changes,
            int autoreset, const Rules *rules, const NodeType *type, const Model *model, const Service *service,
            const Link *link, const double *site, int *error) {
    bool small = n_models <= INT16_MAX && n_sites <= INT16_MAX && n_jobs <= INT32_MAX;
    *error = small ? refusal(n_models, n_changes, rules, model) : BAD_SIZES;
    if (*error) return NULL;
    *error = NO_MEMORY;
    Sim *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->n_worlds = n_worlds, s->n_nodes = n_nodes, s->n_models = n_models, s->n_sites = n_sites, s->n_jobs = n_jobs;
    s->stride = (n_nodes + 15) & ~(int64_t)15;
    s->column = s->stride + 16; /* not a power of two: columns in different cache sets */
    s->rules = *rules;
    s->autoreset = autoreset;
    for (int64_t n = 0; n < n_nodes; n++) s->n_slots += type[n].slots;
    World count;
    size_t shared = lay_out_shared(s, NULL), each = lay_out_world(s, &count, NULL) + 64; /* odd lines: no aliasing */
    size_t total = shared + n_worlds * each;
    s->world = calloc(n_worlds, sizeof(World));
    s->memory_block = calloc(1, total + 64);
    if (!s->world || !s->memory_block) {
        destroy(s);
        return NULL;
    }
    char *block = (char *)(((uintptr_t)s->memory_block + 63) & ~(uintptr_t)63);
    lay_out_shared(s, block);
    for (int64_t b = 0; b < n_worlds; b++) {
        World *w = &s->world[b];
        lay_out_world(s, w, block + shared + b * each);
        for (int64_t n = 0; n < s->stride; n++) w->due_ns[n] = w->oldest_ns[n] = NEVER; /* the padding too */
    }
    fill_shared(s, type, model, service, link, site);
    *error = OK;
    return s;
}

void reset(Sim *s, const uint64_t *roots, float *obs, uint8_t *mask) {
    int64_t rows = s->n_nodes + 1;
    for (int64_t b = 0; b < s->n_worlds; b++) {
        World *w = &s->world[b];
        w->root = roots[b];
        w->episode = 0;
        begin(s, w);
        observe(s, w, obs + b * rows * N_FEATURES, mask + b * rows);
    }
}

/* One decision in every world. A world that was done begins its next episode instead (reward 0), or stays done. */
void step(Sim *s, const int64_t *actions, float *obs, uint8_t *mask, double *reward, uint8_t *done) {
    int64_t rows = s->n_nodes + 1;
    for (int64_t b = 0; b < s->n_worlds; b++) {
        World *w = &s->world[b];
        if (w->done) {
            if (s->autoreset) {
                w->episode++;
                begin(s, w);
            }
        } else {
            int j = w->subject;
            w->subject = NONE;
            if (actions[b] == s->n_nodes) give_up(s, w, j);
            else dispatch(s, w, (int)actions[b], j);
            advance(s, w);
        }
        reward[b] = s->rules.weight[0] * (-(double)w->latency_ns / 1e9);
        w->latency_ns = 0;
        done[b] = w->done;
        observe(s, w, obs + b * rows * N_FEATURES, mask + b * rows);
    }
}

void clocks(const Sim *s, int64_t *now_ns) {
    for (int64_t b = 0; b < s->n_worlds; b++) now_ns[b] = s->world[b].now_ns;
}
