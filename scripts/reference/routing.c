/* Routing as a plain C loop: the yardstick of the compiled kernel's speed and an independent check of its results.
 *
 * Written from docs/design.md, section 3, with data structures of its own. What the router sees is one array per
 * figure over the nodes, so that the observation is made with vector instructions; what only the nodes know is one
 * structure per node; the memory of a world is one block. Accounts other than latency and stutters are not kept, and
 * nobody is at the controls of the fast path: gates are open, and there are no calibration requests.
 *
 * Not covered, and refused by `create`: bursts, day cycles, traces, empirical laws, timelines, rewards beside latency.
 * Compile without contraction to fused multiply-add (-ffp-contract=off): event times are then exact to the nanosecond.
 */

#include "observation.h"
#include "regimes.h"

/* ---- Events and episodes ---- */

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

static void node_event(const Sim *s, World *w, int n) {
    if (w->node[n].regime_ns <= w->now_ns) regime_event(s, w, n);
    else work_on(s, w, n);
}

static void forget_accounts(World *w) { w->latency_ns = w->stutters = w->messages = w->words = 0; }

static void advance(const Sim *s, World *w) {
    for (;;) {
        if (w->pending_head != NONE) {
            take_pending(w);
            return;
        }
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

static void begin_node(const Sim *s, World *w, int n, int first_slot) {
    w->node[n] = (Node){.finish_ns = NEVER, .load_ns = NEVER, .regime_ns = NEVER, .first_slot = first_slot,
                        .finish_slot = NONE, .queue_head = NONE, .queue_tail = NONE, .air_head = NONE,
                        .air_tail = NONE, .oldest = NONE, .newest = NONE, .incarnation = -1};
    w->due_ns[n] = NEVER;
    w->mark_ns[n] = 0;
    w->seen[n] = w->outstanding[n] = 0;
    w->fluid_s[n] = w->oldest_expected_s[n] = 0.0;
    w->speed[n] = 1.0;
    for (int m = 0; m < s->n_models; m++) w->ready_ns[m * s->stride + n] = 0;
    forget_news(w, n);
    join(s, w, n);
    begin_regimes(s, w, n);
}

static void begin(const Sim *s, World *w) {
    w->seed = w->root;
    if (w->episode > 0) w->seed = mix(stream_key(w->root, EPISODE, 0) + w->episode * GOLDEN) >> 1;
    for (int k = 0; k < N_STREAMS; k++) w->key[k] = stream_key(w->seed, k, 0);
    w->now_ns = w->next_arrival_ns = w->arrived = w->in_system = 0;
    forget_accounts(w);
    w->stop_ns = NEVER;
    w->subject = w->free = w->report_head = w->report_tail = w->pending_head = w->pending_tail = NONE;
    w->fresh = 0;
    w->done = false;
    for (int n = 0, first_slot = 0; n < s->n_nodes; first_slot += s->slots[n++]) begin_node(s, w, n, first_slot);
    schedule_arrival(s, w);
    advance(s, w);
    w->latency_ns = w->stutters = 0;
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
                         &s->crowding, &s->full_slowdown};
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        *tables[k] = take(block, &used, pairs * sizeof(double));
    s->model_load_ns = take(block, &used, pairs * sizeof(int64_t));
    s->supported = take(block, &used, pairs * sizeof(int32_t));
    s->preload = take(block, &used, pairs * sizeof(int32_t));
    s->parallelism = take(block, &used, pairs * sizeof(float));
    s->delay_s = take(block, &used, links * sizeof(double));
    s->s_per_byte = take(block, &used, links * sizeof(double));
    s->reachable = take(block, &used, links * sizeof(int32_t));
    s->phrase = take(block, &used, s->n_phrases * sizeof(Phrase));
    s->run = take(block, &used, N_NEWS * N_STAGES * s->n_activities * sizeof(Run));
    s->columns = take(block, &used, N_FEATURES * s->column * sizeof(float));
    s->scratch = take(block, &used, N_SCRATCH * s->column * sizeof(double));
    return used;
}

static size_t lay_out_world(const Sim *s, World *w, char *block) {
    size_t used = 0, nodes = s->stride, pairs = s->stride * s->n_models;
    int64_t **integers[] = {&w->due_ns,       &w->mark_ns,   &w->oldest_ns, &w->heard_ns,     &w->memory_busy,
                            &w->disk_free_ns, &w->stream_ns, &w->told_ns,   &w->told_from_ns, &w->told_until_ns,
                            &w->trend_ns};
    for (size_t k = 0; k < sizeof integers / sizeof *integers; k++)
        *integers[k] = take(block, &used, nodes * sizeof(int64_t));
    double **doubles[] = {&w->fluid_s,  &w->drain, &w->waiting_s,    &w->oldest_expected_s,
                          &w->slowdown, &w->speed, &w->stream_ratio, &w->stream_gap_s,
                          &w->stream_before,       &w->told_slowdown,  &w->trend, &w->trend_s};
    for (size_t k = 0; k < sizeof doubles / sizeof *doubles; k++)
        *doubles[k] = take(block, &used, nodes * sizeof(double));
    float **floats[] = {&w->busy, &w->sent, &w->free_memory};
    for (size_t k = 0; k < sizeof floats / sizeof *floats; k++)
        *floats[k] = take(block, &used, nodes * sizeof(float));
    int32_t **counts[] = {&w->seen, &w->outstanding, &w->alive, &w->stream_model, &w->told, &w->told_foreground};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        *counts[k] = take(block, &used, nodes * sizeof(int32_t));
    double **ratios[] = {&w->pair_slowdown, &w->first_ratio, &w->unit_ratio, &w->p_first, &w->p_cross, &w->p_unit};
    for (size_t k = 0; k < sizeof ratios / sizeof *ratios; k++)
        *ratios[k] = take(block, &used, pairs * sizeof(double));
    w->ready_ns = take(block, &used, pairs * sizeof(int64_t));
    w->pair_evidence = take(block, &used, pairs * sizeof(int32_t));
    w->held = take(block, &used, pairs * sizeof(int32_t));
    w->residency = take(block, &used, pairs * sizeof(int32_t));
    w->node = take(block, &used, s->n_nodes * sizeof(Node));
    w->regime = take(block, &used, s->n_nodes * sizeof(Regime));
    w->bias = take(block, &used, pairs * sizeof(double));
    w->used_ns = take(block, &used, pairs * sizeof(int64_t));
    w->slot = take(block, &used, s->n_slots * sizeof(Slot));
    w->job = take(block, &used, s->n_jobs * sizeof(Job));
    return used;
}

static void fill_shared(Sim *s, const NodeType *type, const Model *model, const Service *service, const Link *link,
                        const double *site, const Phrase *phrase, const Run *run) {
    memcpy(s->phrase, phrase, s->n_phrases * sizeof(Phrase));
    memcpy(s->run, run, N_NEWS * N_STAGES * s->n_activities * sizeof(Run));
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
            int64_t n_phrases, int64_t n_activities, int autoreset, const Rules *rules, const NodeType *type,
            const Model *model, const Service *service, const Link *link, const double *site, const Phrase *phrase,
            const Run *run, int *error) {
    bool small = n_models <= INT16_MAX && n_sites <= INT16_MAX && n_jobs <= INT32_MAX;
    *error = small ? refusal(n_models, n_changes, rules, model) : BAD_SIZES;
    if (*error) return NULL;
    *error = NO_MEMORY;
    Sim *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->n_worlds = n_worlds, s->n_nodes = n_nodes, s->n_models = n_models, s->n_sites = n_sites, s->n_jobs = n_jobs;
    s->n_phrases = n_phrases, s->n_activities = n_activities;
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
    fill_shared(s, type, model, service, link, site, phrase, run);
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
        forget_accounts(w);
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
        done[b] = w->done;
        observe(s, w, obs + b * rows * N_FEATURES, mask + b * rows);
    }
}

void clocks(const Sim *s, int64_t *now_ns) {
    for (int64_t b = 0; b < s->n_worlds; b++) now_ns[b] = s->world[b].now_ns;
}

/* Per world since the last decision: stuttering responses, messages, and a number made of the messages' words. */
void accounts(const Sim *s, int64_t *stutters, int64_t *messages, int64_t *words) {
    for (int64_t b = 0; b < s->n_worlds; b++) {
        stutters[b] = s->world[b].stutters;
        messages[b] = s->world[b].messages;
        words[b] = (int64_t)s->world[b].words;
    }
}
