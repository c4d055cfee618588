/* What moves. Part of routing.c. */

#pragma once

#include "tables.h"

enum { ABSENT, LOADING, RESIDENT };
enum { STUTTER_GAP = 1, STUTTER_FOREGROUND = 2 };
enum { FREE, UPLINK, AT_NODE, DOWNLINK, DELIVERED };

typedef struct { /* a request, from arrival to the report of its completion */
    int64_t arrive_ns, due_ns, down_ns, dispatch_ns;
    double work_s, share_s;            /* nominal work; time in service weighted by share */
    double expected_s, expected_all_s; /* the router's book */
    int32_t next, older, newer;
    int32_t prompt, units, forecast, node;
    int16_t model, site;
    int32_t state, retries, stutter;
} Job;

typedef struct { /* a request that runs */
    double left_s, share, crowding, share_s;
    double after_first_s, unit_ratio, unit_s; /* of its units: work, gap over the prior gap (0: none), gap */
    double stutter_below;
    int32_t job, stutter;
} Slot;

typedef struct { /* what happens to a node by itself */
    double drift, warm, event; /* factors of its speed */
    int64_t drift_ns, warm_ns, churn_ns, drift_cycle, churn_cycle;
    double depth;
    int32_t drift_stage, drift_steps;
    int64_t start_ns, end_ns, say_ns, deny_ns, chatter_ns, event_cycle, chatter_cycle, hold_ns;
    double event_speed;
    int32_t activity;
    bool real, says_end;
} Regime;

typedef struct { /* what only the node knows, and the lists of the router's book */
    int64_t settled_ns, finish_ns, load_ns, regime_ns, memory_used, joined_ns;
    int32_t running, finish_slot, first_slot, queued, queue_head, queue_tail, air_head, air_tail;
    double book_s, crowding_seen;
    int32_t oldest, newest, incarnation;
    bool foreground;
    int64_t evidence;
} Node;

typedef struct {
    uint64_t key[N_STREAMS];
    uint64_t root, episode, seed;
    int64_t now_ns, next_arrival_ns, stop_ns, arrived, latency_ns, in_system;
    int64_t stutters, messages; /* since the last decision */
    uint64_t words;             /* tells messages apart */
    int32_t subject, free, fresh, report_head, report_tail, pending_head, pending_tail;
    bool done;
    /* one entry per node, padded to whole vectors */
    int64_t *due_ns, *mark_ns, *oldest_ns, *heard_ns, *memory_busy, *disk_free_ns;
    double *fluid_s, *drain, *waiting_s, *oldest_expected_s, *slowdown;
    float *busy, *sent, *free_memory; /* as shown */
    int32_t *seen, *outstanding, *alive;
    /* what running responses show: since when, gap over prior at nominal speed, gap, what was shown before */
    int32_t *stream_model;
    int64_t *stream_ns;
    double *speed, *stream_ratio, *stream_gap_s, *stream_before;
    /* by how much a node was slower than its models said when last heard of, and for how long that is believed */
    int64_t *trend_ns;
    double *trend, *trend_s;
    /* what was said last */
    int64_t *told_ns, *told_from_ns, *told_until_ns;
    double *told_slowdown;
    int32_t *told, *told_foreground;
    /* per model and node: [m * stride + n] */
    double *pair_slowdown;
    double *first_ratio, *unit_ratio, *p_first, *p_cross, *p_unit; /* performance model of the fast path */
    int64_t *ready_ns;
    int32_t *pair_evidence, *held, *residency;
    /* cold: per model and node */
    double *bias;
    int64_t *used_ns;
    Node *node;
    Regime *regime;
    Slot *slot;
    Job *job;
} World;

typedef struct {
    int64_t n_worlds, n_nodes, n_models, n_sites, n_jobs, n_slots, n_phrases, n_activities, stride, column;
    Rules rules;
    NodeType *type;
    Model *model;
    Link *link;
    double *site;
    Phrase *phrase;
    Run *run; /* [(regime * N_STAGES + stage) * n_activities + activity] */
    bool autoreset;
    /* one entry per node */
    int32_t *slots, *limit;
    int64_t *memory;
    /* per model and node: [m * stride + n] */
    double *first_s, *per_prompt_s, *beyond_s, *per_unit_s, *crowding, *full_slowdown;
    int64_t *model_load_ns;
    int32_t *supported, *preload;
    float *parallelism;
    /* per site and node: [s * stride + n] */
    double *delay_s, *s_per_byte;
    int32_t *reachable;
    float *columns; /* scratch of the observation */
    double *scratch; /* and of the router */
    char *memory_block;
    World *world;
} Sim;
