/* What is said about nodes, and what the router makes of it. Part of routing.c. */

#pragma once

#include "world.h"

static void forget_news(World *w, int n) {
    w->told[n] = w->told_foreground[n] = 0;
    w->told_slowdown[n] = 1.0;
    w->told_ns[n] = -1;
    w->told_from_ns[n] = w->told_until_ns[n] = NEVER;
}

/* The router believes what the shipped parser reads in a phrase. */
static void hear(World *w, int n, const Phrase *phrase, double onset_s, double duration_s, double speed) {
    if (!phrase->names_node || phrase->stage == CHATTER) return;
    w->told_ns[n] = w->now_ns;
    w->told[n] = phrase->stage == AHEAD || phrase->stage == NOW;
    if (!w->told[n]) return;
    int64_t onset_ns = phrase->stage == AHEAD && phrase->says_onset ? to_ns(onset_s) : 0;
    w->told_foreground[n] = phrase->foreground;
    w->told_slowdown[n] = phrase->says_speed ? 1.0 / speed : phrase->slowdown[speed > 0.5 ? 0 : speed > 0.2 ? 1 : 2];
    w->told_from_ns[n] = w->now_ns + onset_ns;
    w->told_until_ns[n] = w->told_from_ns[n] + to_ns(phrase->says_duration ? duration_s : 60.0);
}

/* A message about node n; the draw u picks its words, if there are any. */
static void say(const Sim *s, World *w, int n, int regime, int stage, int activity, double onset_s, double duration_s,
                double speed, double u) {
    Run run = s->run[(regime * N_STAGES + stage) * s->n_activities + activity];
    if (run.count == 0) return;
    int phrase = run.first + (int)(u * run.count);
    w->messages++;
    w->words = (w->words + (uint64_t)w->now_ns) * 31 + (uint64_t)phrase * 1009 + (uint64_t)n; /* ordered */
    hear(w, n, &s->phrase[phrase], onset_s, duration_s, speed);
}
