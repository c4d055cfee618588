/* The observation. Part of routing.c. */

#pragma once

#include "node.h"

enum {
    IS_REQUEST, IS_MODEL, IS_PROMPT, IS_FORECAST, SLACK, RETRIES, IS_DECLINE, LEGAL, ALIVE, BUSY, OUTSTANDING,
    FREE_MEMORY, IS_RESIDENT, PARALLELISM, PRICE, POWER, SLOWDOWN, EVIDENCE, OVERDUE, STREAM, TOLD, TOLD_SLOWDOWN,
    TOLD_FOREGROUND, UNCERTAINTY, PICKED, BACKLOG, WAIT, FIRST, PER_UNIT, SERVICE, INFLICTED, NETWORK, LOAD,
    EVIDENCE_AGE, TOLD_IN, TOLD_AGE, ROUTER_COST, N_FEATURES
};

/* Scratch of the router, in double precision, one entry per node. */
enum { FLUID, LATENESS, SLOWER, FIRST_S, UNITS_S, WAIT_S, SERVED_S, OTHER_S, COST_S, N_SCRATCH };

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
    double *fluid_now = s->scratch + FLUID * s->column, *late = s->scratch + LATENESS * s->column;
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        int64_t age_ns = now - oldest[n];
        double age = (age_ns > 0 ? age_ns : 0) * PER_SECOND;
        overdue[n] = (float)(age / (age + expected[n] + 1e-9));
        late[n] = age / (expected[n] + 1e-9);
        double fluid = fluid_s[n] - (now - mark[n]) * PER_SECOND * drain[n];
        fluid_now[n] = fluid > waiting[n] ? fluid : waiting[n];
        backlog[n] = (float)fluid_now[n];
        double heard_s = (now - heard[n]) * PER_SECOND;
        since[n] = heard[n] >= 0 ? (float)heard_s : 1e9f;
        slow[n] = (float)(slowdown[n] / (1.0 + slowdown[n]));
    }
}

/* What was said of the nodes. */
static void show_news(const Sim *s, const World *w, float *column) {
    const int64_t stride = s->stride, now = w->now_ns;
    const int64_t *told_ns = w->told_ns, *from = w->told_from_ns, *until = w->told_until_ns;
    const double *slowdown = w->told_slowdown;
    const int32_t *told = w->told, *foreground = w->told_foreground;
    float *event = column + TOLD * s->column, *slower = column + TOLD_SLOWDOWN * s->column;
    float *front = column + TOLD_FOREGROUND * s->column, *in = column + TOLD_IN * s->column;
    float *age = column + TOLD_AGE * s->column;
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        bool believed = (told[n] != 0) & (now < until[n]), ahead = now < from[n];
        int64_t left = (ahead ? from[n] : until[n]) - now;
        double left_s = left * PER_SECOND, age_s = (now - told_ns[n]) * PER_SECOND;
        double known = slowdown[n] / (1.0 + slowdown[n]);
        event[n] = believed ? (ahead ? 0.5f : 1.0f) : 0.0f;
        slower[n] = believed ? (float)known : 0.5f;
        front[n] = believed ? (float)foreground[n] : 0.0f;
        in[n] = believed ? (float)left_s : 0.0f;
        age[n] = told_ns[n] >= 0 ? (float)age_s : 1e9f;
    }
}

/* What running responses show as the telemetry has it, and by how much that is slower than what is known. */
static void show_streams(const Sim *s, const World *w, int model, float *column) {
    float *shown = column + STREAM * s->column;
    double *slower = s->scratch + SLOWER * s->column;
    for (int n = 0; n < s->n_nodes; n++) {
        int other = w->stream_model[n];
        double stream = other == NONE ? 0.0 : streamed(w, n, w->now_ns - s->rules.telemetry_age_ns);
        shown[n] = 0.0f;
        slower[n] = fmax(trend_now(w, n), 0.0);
        if (stream == 0.0) continue;
        shown[n] = (float)(stream / (1.0 + stream));
        int64_t pair = other * s->stride + n;
        if (w->pair_evidence[pair] > 0 || other == model) slower[n] = fmax(stream / w->unit_ratio[pair], 0.0);
    }
}

/* What the fast path expects of every node; returns its choice. Comes after show_homes. */
static int show_router(const Sim *s, const World *w, const Job *job, float *column) {
    const int64_t stride = s->stride, now = w->now_ns, at = job->model * stride;
    const double *crowding = s->crowding + at, *first_s = s->scratch + FIRST_S * s->column;
    const double *units_s = s->scratch + UNITS_S * s->column, *wait_s = s->scratch + WAIT_S * s->column;
    const double *served_s = s->scratch + SERVED_S * s->column;
    const double *first_ratio = w->first_ratio + at, *unit_ratio = w->unit_ratio + at;
    const double *p_first = w->p_first + at, *p_cross = w->p_cross + at, *p_unit = w->p_unit + at;
    const double *fluid_s = s->scratch + FLUID * s->column;
    const double *late = s->scratch + LATENESS * s->column, *slower = s->scratch + SLOWER * s->column;
    const double *other = s->scratch + OTHER_S * s->column;
    const int64_t *heard = w->heard_ns;
    const int32_t *seen = w->seen, *slots = s->slots;
    double *cost = s->scratch + COST_S * s->column;
    float *unsure = column + UNCERTAINTY * s->column, *inflicts = column + INFLICTED * s->column;
    float *expects = column + ROUTER_COST * s->column;
    const float *legal = column + LEGAL * s->column;
    const double stale = 1.0 - s->rules.forgetting, explore = s->rules.exploration, congestion = s->rules.congestion;
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        double first = first_s[n], unit = units_s[n], fluid = fluid_s[n];
        double beside = (seen[n] < slots[n] ? seen[n] : slots[n] - 1) * (first + unit);
        double inflicted = crowding[n] * (fluid < beside ? fluid : beside);
        /* the performance model, and how sure it is */
        double share = first / (first + unit + 1e-12), rest = 1.0 - share;
        double fitted = first_ratio[n] * share + unit_ratio[n] * rest;
        double p = share * share * p_first[n] + 2.0 * share * rest * p_cross[n] + rest * rest * p_unit[n];
        p = (p > 0.0 ? p : 0.0) / PRIOR_P;
        double silence = stale * ((now - heard[n]) * PER_SECOND) / PRIOR_P;
        p += heard[n] >= 0 ? silence : 0.0;
        double sigma = 0.5 * sqrt(p < 1.0 ? p : 1.0), ratio = fitted;
        /* the cost */
        double optimism = 1.0 - explore * sigma, overdue = late[n] > 1.0 ? late[n] : 1.0;
        optimism = optimism > 0.1 ? optimism : 0.1;
        double more = slower[n] > overdue ? slower[n] : overdue;
        overdue = slower[n] > 1.0 ? more : overdue * slower[n];
        double work = wait_s[n] * ratio + served_s[n] * ratio * optimism + congestion * inflicted * ratio;
        cost[n] = work * overdue + other[n];
        unsure[n] = (float)(sigma * 2.0);
        inflicts[n] = (float)inflicted;
        expects[n] = (float)cost[n];
    }
    int pick = (int)s->n_nodes;
    double best = 1e18;
    for (int n = 0; n < s->n_nodes; n++)
        if (legal[n] > 0.0f && cost[n] < best) best = cost[n], pick = n;
    return pick;
}

/* Columns of the nodes as homes for the subject. */
static void show_homes(const Sim *s, const World *w, const Job *job, float *column) {
    const int64_t stride = s->stride, now = w->now_ns, at = job->model * stride, from = job->site * stride;
    const Model *model = &s->model[job->model];
    const double *first_s = s->first_s + at, *per_prompt = s->per_prompt_s + at;
    const double *beyond_s = s->beyond_s + at, *per_unit = s->per_unit_s + at;
    const double *crowding = s->crowding + at, *full = s->full_slowdown + at;
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
    const double *backlog = s->scratch + FLUID * s->column;
    const int32_t *alive = w->alive;
    double *prefill_s = s->scratch + FIRST_S * s->column, *units_s = s->scratch + UNITS_S * s->column;
    double *wait_s = s->scratch + WAIT_S * s->column, *served_s = s->scratch + SERVED_S * s->column;
    double *other = s->scratch + OTHER_S * s->column;
    const double prompt = job->prompt, beyond = job->prompt > 2048 ? job->prompt - 2048 : 0, units = job->forecast;
    const double bytes = model->up_bytes + model->up_bytes_per_token * prompt + model->down_bytes
                         + model->down_bytes_per_unit * units;
    const int64_t weights = model->weights_bytes;
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        double ahead = seen[n], beyond_slots = ahead - slots[n];
        double prefill = first_s[n] + per_prompt[n] * prompt + beyond_s[n] * beyond, unit_work = per_unit[n] * units;
        double own = prefill + unit_work, fluid = backlog[n], shared = ahead * own;
        double vacant = own + crowding[n] * (fluid < shared ? fluid : shared), queued = own * full[n];
        double before = fluid * (beyond_slots + 1.0) / (ahead + 1e-300) * full[n] / slots[n];
        prefill_s[n] = prefill;
        units_s[n] = unit_work;
        wait_s[n] = beyond_slots < 0.0 ? 0.0 : before;
        served_s[n] = beyond_slots < 0.0 ? vacant : queued;
        wait[n] = (float)wait_s[n];
        service[n] = (float)served_s[n];
        first[n] = (float)prefill;
        unit[n] = (float)per_unit[n];
        other[n] = 2.0 * delay[n] + bytes * s_per_byte[n];
        network[n] = (float)other[n];
    }
    INDEPENDENT
    for (int64_t n = 0; n < stride; n++) {
        int64_t disk = disk_free[n] - now, left = ready[n] - now;
        disk = (disk > 0 ? disk : 0) + load_ns[n];
        left = left > 0 ? left : 0;
        double load_s = (residency[n] == ABSENT ? disk : residency[n] == LOADING ? left : 0) * PER_SECOND;
        load[n] = (float)load_s;
        other[n] += load_s;
        double known_slow = pair_slow[n] / (1.0 + pair_slow[n]), count = evidence[n];
        slow[n] = evidence[n] > 0 ? (float)known_slow : slow[n];
        known[n] = (float)(count / (count + 8.0));
        int64_t needed = held[n] > 0 ? 0 : weights;
        bool fits = busy_bytes[n] + needed <= memory[n];
        bool open = (alive[n] != 0) & (outstanding[n] < limit[n]) & (supported[n] != 0) & (reachable[n] != 0) & fits;
        legal[n] = open ? 1.0f : 0.0f;
        resident[n] = 0.5f * residency[n];
    }
}

static void hide_unsupported(const Sim *s, const Job *job, float *column) {
    const int hidden[] = {WAIT,    FIRST, PER_UNIT,    SERVICE,     INFLICTED,
                          NETWORK, LOAD,  ROUTER_COST, IS_RESIDENT, UNCERTAINTY};
    for (int64_t n = 0; n < s->n_nodes; n++) {
        if (s->supported[job->model * s->stride + n]) continue;
        for (size_t k = 0; k < sizeof hidden / sizeof *hidden; k++) column[hidden[k] * s->column + n] = 0.0f;
    }
}

static void observe(const Sim *s, const World *w, float *out, uint8_t *mask) {
    const int64_t stride = s->stride, nodes = s->n_nodes;
    float *column = s->columns;
    float subject[IS_DECLINE] = {0};
    float charge = 0.0f;
    const float *parallelism = NULL;
    int64_t pick = NONE;
    show_nodes(s, w, column);
    show_news(s, w, column);
    show_streams(s, w, w->subject == NONE ? NONE : w->job[w->subject].model, column);
    if (w->subject != NONE) {
        const Job *job = &w->job[w->subject];
        const Model *model = &s->model[job->model];
        int64_t deadline = model->deadline_ns, spent = w->now_ns - job->arrive_ns;
        subject[IS_REQUEST] = 1.0f;
        subject[IS_MODEL] = (float)((job->model + 1.0) / s->n_models);
        subject[IS_PROMPT] = scale_count(job->prompt);
        subject[IS_FORECAST] = scale_count(job->forecast);
        subject[SLACK] = (float)((double)max64(deadline - spent, 0) / deadline);
        subject[RETRIES] = (float)(job->retries / (job->retries + 1.0));
        charge = (float)fmax(s->rules.drop_charge * deadline / 1e9 - spent / 1e9, 0.0);
        show_homes(s, w, job, column);
        pick = show_router(s, w, job, column);
        hide_unsupported(s, job, column);
        parallelism = s->parallelism + job->model * stride;
    } else {
        for (int k = LEGAL; k <= EVIDENCE; k++)
            if (k != SLOWDOWN) memset(column + k * s->column, 0, stride * sizeof(float));
        memset(column + UNCERTAINTY * s->column, 0, s->column * sizeof(float));
        memset(column + WAIT * s->column, 0, (EVIDENCE_AGE - WAIT) * s->column * sizeof(float));
        memset(column + ROUTER_COST * s->column, 0, s->column * sizeof(float));
    }
    INDEPENDENT
    for (int64_t k = BACKLOG * s->column; k < N_FEATURES * s->column; k++) column[k] = scale_time(column[k]);
    const float *legal = column + LEGAL * s->column;
    for (int64_t n = 0; n < nodes; n++) mask[n] = legal[n] > 0.0f;
    mask[nodes] = 1;
    float *first = out;
    for (int64_t n = 0; n < nodes; n++, out += N_FEATURES) {
        memcpy(out, subject, sizeof subject);
        out[IS_DECLINE] = 0.0f;
        out[LEGAL] = legal[n];
        out[ALIVE] = (float)w->alive[n];
        out[BUSY] = w->busy[n];
        out[OUTSTANDING] = w->sent[n];
        out[FREE_MEMORY] = w->free_memory[n];
        out[IS_RESIDENT] = column[IS_RESIDENT * s->column + n];
        out[PARALLELISM] = parallelism ? parallelism[n] : 0.0f;
        out[PRICE] = s->type[n].price_scaled;
        out[POWER] = s->type[n].power_scaled;
        for (int64_t k = SLOWDOWN; k < N_FEATURES; k++) out[k] = column[k * s->column + n];
        out[PICKED] = 0.0f;
    }
    memset(out, 0, N_FEATURES * sizeof(float));
    memcpy(out, subject, sizeof subject);
    out[IS_DECLINE] = out[LEGAL] = 1.0f;
    out[WAIT] = scale_time(charge);
    if (pick != NONE) first[pick * N_FEATURES + PICKED] = 1.0f;
}
