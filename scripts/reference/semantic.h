/* What the users of nodes do, and what they say about it. Part of routing.c. */

#pragma once

#include "news.h"
#include "node.h"

enum { /* draws of one event */
    D_GAP, D_LEAD, D_HOLD, D_ACTIVITY, D_GROUP, D_SPEED, D_SILENT, D_FALSE, D_LATE, D_DENY, D_DENY_AT, D_END, W_SAY,
    W_DENY, W_END, N_DRAWS = 16
};

static double draw_event(const World *w, int n, int which) {
    return uniform(stream_key(w->seed, EVENT, n), N_DRAWS * w->regime[n].event_cycle + which);
}

/* Half of the mean, and an exponential time of half the mean. */
static int64_t draw_event_ns(const World *w, int n, int which, double mean_s) {
    return to_ns((0.5 - 0.5 * log(draw_event(w, n, which))) * mean_s);
}

static double draw_log_uniform(double low, double high, double u) {
    return exp(log(low) + (log(high) - log(low)) * u);
}

static void draw_activity(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    const Rules *rules = &s->rules;
    double u = draw_event(w, n, D_ACTIVITY), depth = draw_event(w, n, D_SPEED);
    if (draw_event(w, n, D_GROUP) < rules->foreground_share) {
        regime->activity = (int32_t)(u * rules->n_foreground);
        regime->event_speed = draw_log_uniform(rules->foreground_low, rules->foreground_high, depth);
    } else {
        regime->activity = (int32_t)(rules->n_foreground + (int64_t)(u * rules->n_background));
        regime->event_speed = draw_log_uniform(rules->background_low, rules->background_high, depth);
    }
}

static void plan_event(const Sim *s, World *w, int n, int64_t now) {
    Regime *regime = &w->regime[n];
    const Rules *rules = &s->rules;
    regime->event_cycle++;
    regime->real = draw_event(w, n, D_FALSE) >= rules->false_share;
    regime->hold_ns = draw_event_ns(w, n, D_HOLD, rules->event_hold_s);
    regime->start_ns = regime->say_ns = now + draw_event_ns(w, n, D_GAP, rules->event_gap_s);
    bool late = regime->real && draw_event(w, n, D_LATE) < rules->late_share;
    if (late) regime->say_ns += draw_event_ns(w, n, D_LEAD, rules->late_s);
    else regime->start_ns += draw_event_ns(w, n, D_LEAD, rules->event_lead_s);
    regime->end_ns = regime->start_ns + regime->hold_ns;
    double denies = draw_event(w, n, D_DENY);
    regime->deny_ns = NEVER;
    if (!regime->real && denies < 0.5) regime->deny_ns = regime->start_ns;
    if (regime->real && denies < rules->contradict_share)
        regime->deny_ns = regime->start_ns + (int64_t)(draw_event(w, n, D_DENY_AT) * regime->hold_ns);
    regime->says_end = regime->real && draw_event(w, n, D_END) < rules->end_share;
    if (regime->real && draw_event(w, n, D_SILENT) < rules->silent_share) {
        regime->say_ns = regime->deny_ns = NEVER;
        regime->says_end = false;
    }
    draw_activity(s, w, n);
}

static void begin_semantic(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    regime->event = 1.0;
    regime->start_ns = regime->end_ns = regime->say_ns = regime->deny_ns = regime->chatter_ns = NEVER;
    uint64_t key = stream_key(w->seed, CHATTER_STREAM, n);
    if (s->rules.semantic_share > 0.0 && s->rules.chatter_gap_s > 0.0)
        regime->chatter_ns = to_ns(exponential(key, 0) * s->rules.chatter_gap_s);
    if (uniform(key, 1) < s->rules.semantic_share) plan_event(s, w, n, 0);
}

static int64_t next_semantic(const Regime *regime) {
    int64_t change = min64(regime->start_ns, regime->end_ns), message = min64(regime->say_ns, regime->deny_ns);
    return min64(min64(change, message), regime->chatter_ns);
}

static void tell(const Sim *s, World *w, int n, int stage, int64_t onset_ns, int64_t duration_ns, int which) {
    const Regime *regime = &w->regime[n];
    double onset_s = onset_ns / 1e9, duration_s = duration_ns / 1e9;
    say(s, w, n, SEMANTIC_NEWS, stage, regime->activity, onset_s, duration_s, regime->event_speed,
        draw_event(w, n, which));
}

static void announce(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    regime->say_ns = NEVER;
    if (regime->start_ns != NEVER) {
        tell(s, w, n, AHEAD, regime->start_ns - w->now_ns, regime->hold_ns, W_SAY);
        return;
    }
    int64_t left = regime->end_ns == NEVER ? 0 : max64(regime->end_ns - w->now_ns, 0);
    tell(s, w, n, NOW, 0, left, W_SAY);
}

static void chat(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    uint64_t key = stream_key(w->seed, CHATTER_STREAM, n);
    int64_t index = 2 * ++regime->chatter_cycle;
    regime->chatter_ns = w->now_ns + to_ns(exponential(key, index) * s->rules.chatter_gap_s);
    say(s, w, n, SEMANTIC_NEWS, CHATTER, 0, 0.0, 0.0, 1.0, uniform(key, index + 1));
}

static void begin_event(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    Node *node = &w->node[n];
    regime->start_ns = NEVER;
    if (!regime->real) return;
    regime->event = regime->event_speed;
    if (regime->activity >= s->rules.n_foreground) return;
    node->foreground = true;
    for (int k = 0; k < node->running; k++) w->slot[node->first_slot + k].stutter |= STUTTER_FOREGROUND;
}

static void end_event(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    regime->end_ns = NEVER;
    regime->event = 1.0;
    w->node[n].foreground = false;
    if (regime->says_end) tell(s, w, n, OVER, 0, 0, W_END);
}

static void semantic_event(const Sim *s, World *w, int n) {
    Regime *regime = &w->regime[n];
    if (regime->chatter_ns <= w->now_ns) {
        chat(s, w, n);
        return;
    }
    if (regime->start_ns <= w->now_ns) {
        begin_event(s, w, n);
        return;
    }
    if (regime->say_ns <= w->now_ns) {
        announce(s, w, n);
    } else if (regime->deny_ns <= w->now_ns) {
        regime->deny_ns = NEVER;
        tell(s, w, n, CANCELLED, 0, 0, W_DENY);
    } else if (regime->end_ns <= w->now_ns) {
        end_event(s, w, n);
    }
    if (regime->end_ns == NEVER && regime->say_ns == NEVER) plan_event(s, w, n, w->now_ns);
}
