/* The tables of a scenario as edge_gym/kernel/tables.py lays them out, and draws. Part of routing.c. */

#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
    double semantic_share, event_gap_s, event_lead_s, event_hold_s;
    double foreground_low, foreground_high, background_low, background_high, foreground_share;
    double silent_share, late_share, late_s, false_share, contradict_share, end_share, chatter_gap_s;
    int64_t n_foreground, n_background;
    double exploration, forgetting, trend_sigma, trend_s, congestion;
    struct { /* the control surface: nobody is at it here */
        double caution_s;
        int64_t tick_ns, cooldown_ns;
        double max_gated_share, max_gated_a_turn;
        int64_t max_calls;
        double calls_per_s;
        int64_t max_probes;
    } control;
} Rules;

typedef struct {
    int32_t stage, foreground, says_onset, says_duration, names_node, says_speed;
    double slowdown[3]; /* mild, strong, severe */
} Phrase;

typedef struct { /* phrases of a regime, stage and activity */
    int32_t first, count;
} Run;

typedef struct {
    int32_t slots, limit;
    int64_t memory_bytes;
    double idle_w, active_w, price_per_s, per_slot, per_byte, capacity_share;
    float price_scaled, power_scaled;
    int32_t home, pad;
} NodeType;

typedef struct {
    int64_t weights_bytes, deadline_ns;
    double cumulative_share, up_bytes, up_bytes_per_token, down_bytes, down_bytes_per_unit;
    int32_t kind, probe_prompt, probe_units, pad;
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

enum { ITEM, TOKENS, STEPS };                    /* what a model puts out */
enum { AHEAD, NOW, OVER, CANCELLED, CHATTER, N_STAGES }; /* what a message is about */
enum { SEMANTIC_NEWS, DRIFT_NEWS, CHURN_NEWS, N_NEWS };

int64_t table_size(int which) {
    const int64_t sizes[] = {sizeof(Rules), sizeof(NodeType), sizeof(Model), sizeof(Service),
                             sizeof(Link),  sizeof(Phrase),   sizeof(Run)};
    return which >= 0 && which < 7 ? sizes[which] : -1;
}

enum { OK, NO_MEMORY, BAD_ARRIVALS, BAD_LAW, BAD_TIMELINE, BAD_WEIGHTS, BAD_SIZES };

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

enum { ARRIVAL = 1, SITE = 3, MODEL = 4, PROMPT = 5, UNITS = 6, FORECAST = 7, N_STREAMS };
enum { BIAS = 8, EPISODE = 10, DRIFT = 12, CHURN = 13, EVENT = 14, CHATTER_STREAM = 15, WORDS = 16 };

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

static inline double exponential(uint64_t key, uint64_t index) { return -log(uniform(key, index)); }

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
