"""The tables of the world: what a scenario fixes (`Params`, shared) and what moves (`State`, one row a world).

Times are int64 nanoseconds unless the name ends in `_s`. Lists inside a table are linked by row numbers, -1 ends them.
Copying the arrays of `State` is cloning the worlds.
"""

from typing import NamedTuple

import numpy as np

from . import agent_tables as at
from . import site_tables as st

NEVER = np.iinfo(np.int64).max
NONE = -1
SECOND = 1_000_000_000
MIN_NEWS = 256  # rows for messages between two decisions; the newest of more are lost, minutes after the last decision

# Kinds of subject a decision can be about (0: no decision is pending).
NO_SUBJECT, REQUEST, PLACEMENT, MIGRATION = 0, 1, 2, 3
# What became of a request.
COMPLETED, REJECTED, DROPPED, UNFINISHED = 1, 2, 3, 4
# Where a job is on its way. AT_AGENT: it waits for an agent that starts or moves; AT_SITE: for its site to decide.
UPLINK, QUEUED, RUNNING, DOWNLINK, DELIVERED, AT_AGENT, AT_SITE = 1, 2, 3, 4, 5, 6, 7
AGENT_REQUESTS = 1 << 40  # requests for agents are numbered from here on, the others from 0
# What a timeline change sets.
SET_SPEED, SET_ALIVE = 1, 2
# Why a response stuttered, bits: a gap beyond the bound; the user of its node was in the foreground.
STUTTER_GAP, STUTTER_FOREGROUND = 1, 2
# What a message is about; order as in `edge_gym.events.activities.STAGES`.
AHEAD, NOW, OVER, CANCELLED, CHATTER = 0, 1, 2, 3, 4
# Regimes that may be announced; order of the phrase tables.
SEMANTIC_NEWS, DRIFT_NEWS, CHURN_NEWS = 0, 1, 2
# Risk gates of the fast path.
OPEN, CAUTION, CLOSED = 0, 1, 2
# What a model produces: one item at once, a stream of tokens, denoising steps.
ITEM, TOKENS, STEPS = 0, 1, 2
# Residency of a model on a node.
ABSENT, LOADING, RESIDENT = 0, 1, 2
# Laws of token counts and of arrivals; order as in the scenario's choices.
CONSTANT, EXPONENTIAL, UNIFORM, LOGNORMAL, EMPIRICAL = 0, 1, 2, 3, 4
POISSON, MMPP, DIURNAL, TRACE_FILE, NO_ARRIVALS = 0, 1, 2, 3, 4
# Reward terms, in the order of the columns.
TERMS = ("latency", "slo_miss", "drop", "stutter", "migration", "energy", "cost", "imbalance")

# Random streams that every request reads; their keys are computed once an episode.
STREAMS = ("arrival", "site", "model", "prompt", "units", "forecast")

LAW = np.dtype(
    [
        ("kind", "i4"),
        ("first", "i4"),  # empirical: first row in `quantile`
        ("count", "i4"),  # empirical: number of rows
        ("pad", "i4"),
        ("a", "f8"),  # constant, exponential: mean; uniform: low; lognormal: mean of the logarithm
        ("b", "f8"),  # uniform: high; lognormal: standard deviation of the logarithm
        ("minimum", "f8"),
        ("maximum", "f8"),
    ]
)

RULES = np.dtype(  # one row: the scalars of a scenario
    [
        ("arrival_kind", "i4"),
        ("max_retries", "i4"),
        ("trace_loops", "i4"),
        ("trace_random_start", "i4"),
        ("n_requests", "i8"),  # arrivals stop after this many
        ("horizon_ns", "i8"),  # arrivals stop after this time
        ("drain_ns", "i8"),  # then the world may drain for at most this long
        ("telemetry_age_ns", "i8"),
        ("rate_per_s", "f8"),  # mean arrival rate (mmpp: rate in calm)
        ("burst_rate_per_s", "f8"),
        ("calm_mean_s", "f8"),
        ("burst_mean_s", "f8"),
        ("period_s", "f8"),
        ("amplitude", "f8"),
        ("trace_scale", "f8"),  # trace times are multiplied by this
        ("trace_span_ns", "i8"),  # one turn of the trace, after scaling
        ("forecast_sigma", "f8"),
        ("bias_sigma", "f8"),
        ("ewma", "f8"),
        ("drop_charge", "f8"),  # deadlines charged for a request that is not served
        ("stutter_gap_s", "f8"),
        ("stutter_gap_ratio", "f8"),
        *((f"weight_{term}", "f8") for term in TERMS),
        ("drift_share", "f8"),  # of the nodes that drift; 0: none
        ("drift_gap_s", "f8"),
        ("drift_hold_s", "f8"),
        ("drift_ramp_s", "f8"),
        ("drift_low", "f8"),
        ("drift_high", "f8"),
        ("outage_share", "f8"),
        ("outage_speed", "f8"),
        ("churn_share", "f8"),  # of the nodes that leave and join; 0: none
        ("churn_up_s", "f8"),
        ("churn_down_s", "f8"),
        ("slow_start_s", "f8"),
        ("slow_start_speed", "f8"),
        ("semantic_share", "f8"),  # of the nodes whose users do things; 0: none
        ("event_gap_s", "f8"),
        ("event_lead_s", "f8"),
        ("event_hold_s", "f8"),
        ("foreground_low", "f8"),
        ("foreground_high", "f8"),
        ("background_low", "f8"),
        ("background_high", "f8"),
        ("foreground_share", "f8"),
        ("silent_share", "f8"),
        ("late_share", "f8"),
        ("late_s", "f8"),
        ("false_share", "f8"),
        ("contradict_share", "f8"),
        ("end_share", "f8"),
        ("chatter_gap_s", "f8"),  # 0: no chatter
        ("n_foreground", "i8"),  # activities: the first of them are in the foreground,
        ("n_background", "i8"),  # then these; the last two announce drift and churn
        ("exploration", "f8"),  # of the fast path, at the beginning
        ("forgetting", "f8"),
        ("trend_sigma", "f8"),
        ("trend_s", "f8"),
        ("congestion", "f8"),
        ("caution_s", "f8"),
        ("tick_ns", "i8"),  # control surface and its guards
        ("cooldown_ns", "i8"),
        ("max_gated_share", "f8"),
        ("max_gated_a_turn", "f8"),
        ("max_calls", "i8"),
        ("calls_per_s", "f8"),
        ("max_probes", "i8"),
    ]
)

PHRASE = np.dtype(  # (K,): how the shipped parser reads each phrase
    [
        ("stage", "i4"),
        ("foreground", "i4"),
        ("says_onset", "i4"),
        ("says_duration", "i4"),
        ("names_node", "i4"),
        ("says_speed", "i4"),  # as a figure, not in three grades
        ("slowdown", "f8", (3,)),  # mild, strong, severe
    ]
)

RUN = np.dtype([("first", "i4"), ("count", "i4")])  # (3, 5, A): phrases of a regime, stage and activity

NODE_TYPE = np.dtype(  # (N,)
    [
        ("slots", "i4"),
        ("limit", "i4"),  # outstanding requests admitted: slots + queue capacity
        ("memory_bytes", "i8"),
        ("idle_w", "f8"),
        ("active_w", "f8"),  # on top of idle while anything runs
        ("price_per_s", "f8"),  # US dollars per second while anything runs
        ("per_slot", "f8"),  # reciprocals of what the observation divides by
        ("per_byte", "f8"),
        ("capacity_share", "f8"),  # of the whole pool, for this mix of models
        ("price_scaled", "f4"),  # as shown in the observation
        ("power_scaled", "f4"),
        ("home", "i4"),  # nearest site: where its calibration requests enter
        ("pad", "i4"),
    ]
)

MODEL = np.dtype(  # (M,)
    [
        ("weights_bytes", "i8"),
        ("deadline_ns", "i8"),
        ("cumulative_share", "f8"),
        ("up_bytes", "f8"),
        ("up_bytes_per_token", "f8"),
        ("down_bytes", "f8"),
        ("down_bytes_per_unit", "f8"),
        ("kind", "i4"),  # ITEM, TOKENS or STEPS
        ("probe_prompt", "i4"),  # of a calibration request: the medians
        ("probe_units", "i4"),
        ("pad", "i4"),
        ("prompt", LAW),
        ("units", LAW),
    ]
)

SERVICE = np.dtype(  # (N, M): the law of the nominal work, seconds
    [
        ("first_s", "f8"),
        ("per_prompt_token_s", "f8"),
        ("beyond_2048_s", "f8"),
        ("per_unit_s", "f8"),
        ("crowding", "f8"),  # 1 / batching gain: by how much one such neighbour slows a job
        ("full_slowdown", "f8"),  # by how much all the other slots, busy with this model, slow a job
        ("load_ns", "i8"),
        ("supported", "i4"),
        ("preload", "i4"),
        ("parallelism_scaled", "f4"),  # as shown in the observation
        ("pad", "i4"),
    ]
)

LINK = np.dtype([("delay_ns", "i8"), ("s_per_byte", "f8"), ("reachable", "i8")])  # (S, N), one way

TRACE_ROW = np.dtype([("time_ns", "i8"), ("prompt", "i4"), ("units", "i4")])  # (T,)

CHANGE = np.dtype([("time_ns", "i8"), ("what", "i4"), ("node", "i4"), ("value", "f8")])  # timeline, sorted by time

WORLD = np.dtype(  # (B,)
    [
        ("root_seed", "u8"),
        ("seed", "u8"),  # of this episode
        ("episode", "i8"),
        ("now_ns", "i8"),
        ("next_arrival_ns", "i8"),
        ("stop_ns", "i8"),  # when the drain is cut; NEVER until arrivals have stopped
        ("phase_until_ns", "i8"),  # the arrival rate is constant until then
        ("phase", "i8"),  # index of that piece
        ("arrived", "i8"),
        ("completed", "i8"),
        ("rejected", "i8"),
        ("dropped", "i8"),
        ("in_system", "i8"),
        ("trace_at", "i8"),
        ("latency_ns", "i8"),  # request-nanoseconds since the last decision, drop charges included
        ("latency_total_ns", "i8"),  # since the episode began
        ("decided_ns", "i8"),  # time of the last decision
        ("decisions", "i8"),
        ("power_w", "f8"),  # now
        ("price_per_s", "f8"),
        ("busy_sum", "f8"),  # sum over nodes of the share of busy slots
        ("busy_square", "f8"),
        ("spread", "f8"),  # standard deviation of the share of busy slots over the nodes
        ("energy_j", "f8"),  # since the last decision
        ("cost_usd", "f8"),
        ("imbalance_s", "f8"),
        ("slo_misses", "i8"),
        ("drops", "i8"),
        ("stutters", "i8"),
        ("subject_kind", "i4"),
        ("subject", "i4"),  # row in `job`
        ("free", "i4"),  # list of job rows that can be used again
        ("fresh", "i4"),  # job rows from here on have never been used
        ("pending_head", "i4"),  # requests that came back and wait for a decision
        ("pending_tail", "i4"),
        ("report_head", "i4"),  # delivered, not yet known to the router
        ("report_tail", "i4"),
        ("change_at", "i4"),  # next row of the timeline
        ("log_count", "i4"),  # rows of `log` written since the last decision
        ("done", "i4"),
        ("news_count", "i4"),  # rows of `news` written since the last decision
        ("wake_ns", "i8"),  # the controller of the fast path is asked then at the latest; NEVER: there is none
        ("turn_ns", "i8"),  # when its turn began
        ("tokens_ns", "i8"),  # when `tokens` was right
        ("calls", "i8"),  # tools it has called
        ("interventions", "i8"),  # calls the guards refused, and gates they opened
        ("tokens", "f8"),  # calls it may make at once
        ("closed_share", "f8"),  # capacity of the healthy nodes that are closed, over that of the pool
        ("masked_s", "f8"),  # time integral of `closed_share` since the episode began
        ("sources", "i8"),  # applications that are there or may come: the world goes on although nothing is in it
        ("closed", "i4"),  # nodes
        ("turn_calls", "i4"),
        ("turn_closed", "i4"),
        ("stir", "i4"),  # something has happened that it should hear of
        ("exploration", "f8"),  # of the fast path, now
        ("forgetting", "f8"),
        *((f"{stream}_key", "u8") for stream in STREAMS),
    ]
)

NODE = np.dtype(  # (B, N); what an observation reads comes first, so that it shares cache lines
    [
        ("alive", "i4"),
        ("seen", "i4"),  # router's view: dispatched, completion not reported
        ("outstanding", "i4"),  # truth: dispatched, response not delivered
        ("running", "i4"),
        ("memory_busy_bytes", "i8"),  # models with outstanding requests: cannot be evicted
        ("fluid_s", "f8"),  # router's view: outstanding prior work less estimated progress, at `mark_ns`
        ("mark_ns", "i8"),
        ("drain", "f8"),  # prior seconds of work it should do in a second, given what it has
        ("waiting_s", "f8"),  # prior work that cannot have begun
        ("oldest_ns", "i8"),  # dispatch of the oldest request the router has not heard back about
        ("oldest_expected_s", "f8"),
        ("slowdown", "f8"),  # measured over prior, exponentially weighted
        ("evidence_ns", "i8"),  # last completion the router knows; -1: none
        ("gate", "i4"),  # of the fast path: OPEN, CAUTION, CLOSED
        ("foreground", "i4"),  # truth: its user is busy with it
        ("heard_foreground", "i4"),  # the last message about it, as the shipped parser reads it
        ("heard", "i4"),  # 1: it says that something is on, or will be
        ("heard_slowdown", "f8"),
        ("heard_ns", "i8"),  # when it came; -1: none has
        ("heard_from_ns", "i8"),
        ("heard_until_ns", "i8"),
        ("joined_ns", "i8"),  # what was dispatched before says nothing of the node as it is now
        ("disk_free_ns", "i8"),
        ("speed", "f8"),
        ("stream_ns", "i8"),  # a running response shows the node's present speed since then,
        ("stream_ratio", "f8"),  # as the gap between its units over the prior one, at nominal speed,
        ("stream_gap_s", "f8"),  # and the gap itself;
        ("stream_before", "f8"),  # what was known before; 0: nothing
        ("trend", "f8"),  # fast path: by how much it was slower than its models said when last heard of
        ("trend_ns", "i8"),
        ("trend_s", "f8"),  # how long it is then believed
        ("settled_ns", "i8"),  # progress of the running jobs is booked up to here
        ("finish_ns", "i8"),  # next completion
        ("load_ns", "i8"),  # next model load that ends
        ("regime_ns", "i8"),  # next change that a regime brings
        ("memory_used_bytes", "i8"),  # resident and loading models
        ("book_s", "f8"),  # router's view: prior work of the outstanding requests
        ("crowding_seen", "f8"),  # router's view: sum of crowding over the outstanding requests
        ("evidence", "i4"),  # completions the router knows
        ("finish_slot", "i4"),
        ("queue_head", "i4"),
        ("queue_tail", "i4"),
        ("queued", "i4"),
        ("air_head", "i4"),  # messages on their way to or from this node, by due time
        ("air_tail", "i4"),
        ("oldest", "i4"),  # dispatches the router has not heard back about, oldest first
        ("newest", "i4"),
        ("incarnation", "i4"),  # how often it has joined
        ("probes", "i4"),  # calibration requests the router has not heard back about
        ("stream_model", "i4"),  # model of that response, NONE if there is none
    ]
)

REGIME = np.dtype(  # (B, N): where each node is in its own, exogenous course of events
    [
        ("base", "f8"),  # factors of the speed: the timeline's,
        ("drift", "f8"),  # of drift,
        ("warm", "f8"),  # of slow start,
        ("event", "f8"),  # of what its user does
        ("drift_ns", "i8"),  # next change of each
        ("warm_ns", "i8"),
        ("churn_ns", "i8"),
        ("drift_cycle", "i8"),  # slow-downs so far
        ("churn_cycle", "i8"),  # changes between up and down so far
        ("depth", "f8"),  # speed factor at the bottom of this slow-down
        ("drift_stage", "i4"),  # 0: nominal; 1 ... steps: going down; then going up
        ("drift_steps", "i4"),  # steps of the ramp of this slow-down, 1: at once
        ("event_cycle", "i8"),  # events so far, this one included
        ("start_ns", "i8"),  # of this event; NEVER once it has begun
        ("end_ns", "i8"),  # NEVER once it is over
        ("say_ns", "i8"),  # its first message
        ("deny_ns", "i8"),  # a message that calls it off, truly or not
        ("chatter_ns", "i8"),
        ("chatter_cycle", "i8"),
        ("event_speed", "f8"),
        ("hold_ns", "i8"),  # how long it lasts
        ("activity", "i4"),
        ("real", "i4"),  # 0: a false alarm
        ("says_end", "i4"),  # its end is announced
        ("pad", "i4"),
    ]
)

PAIR = np.dtype(  # (B, N, M)
    [
        ("bias", "f8"),  # unknown software stack: work is multiplied by it
        ("slowdown", "f8"),  # measured over prior, exponentially weighted
        ("first_ratio", "f8"),  # fast path: estimated over prior, of the work up to the first unit,
        ("unit_ratio", "f8"),  # and of the units
        ("p_first", "f8"),  # their covariance
        ("p_cross", "f8"),
        ("p_unit", "f8"),
        ("ready_ns", "i8"),  # when the load ends
        ("used_ns", "i8"),  # last use, for eviction
        ("evidence", "i4"),
        ("outstanding", "i4"),  # from dispatch to the end of service
        ("residency", "i4"),
        ("pad", "i4"),
    ]
)

JOB = np.dtype(  # (B, J)
    [
        ("id", "i8"),  # number of the request in its episode
        ("arrive_ns", "i8"),
        ("deadline_ns", "i8"),
        ("dispatch_ns", "i8"),
        ("start_ns", "i8"),
        ("first_ns", "i8"),  # first unit produced
        ("finish_ns", "i8"),  # response delivered
        ("due_ns", "i8"),  # of the message it is in
        ("down_ns", "i8"),  # time of the response on the network
        ("work_s", "f8"),  # nominal work, bias excluded
        ("share_s", "f8"),  # time in service weighted by the share of the node's speed it had
        ("expected_s", "f8"),  # router's book: prior work by the length forecast
        ("expected_total_s", "f8"),  # router's book: network, wait, load and service
        ("node", "i4"),
        ("model", "i4"),
        ("site", "i4"),
        ("prompt", "i4"),
        ("units", "i4"),
        ("forecast", "i4"),
        ("retries", "i4"),
        ("state", "i4"),
        ("stutter", "i4"),
        ("next", "i4"),  # in queue, air, pending, report or free list
        ("older", "i4"),  # in the router's list of outstanding requests
        ("newer", "i4"),
        ("probe", "i4"),  # a calibration request, or the re-prefill of an agent: nobody waits for it
        ("agent", "i4"),  # row of the agent it is for, and one; 0: none
        ("serial", "i8"),  # of that agent
        ("up_ns", "i8"),  # time on the network to the node, for agents
    ]
)

SLOT = np.dtype(  # (B, N, L): the running jobs of a node are the first `running` rows
    [
        ("job", "i4"),
        ("stutter", "i4"),
        ("left_s", "f8"),  # work left, bias included
        ("after_first_s", "f8"),  # of it, what comes after the first unit
        ("share", "f8"),  # of the node's speed, now
        ("share_s", "f8"),  # time in service weighted by share
        ("crowding", "f8"),
        ("unit_ratio", "f8"),  # of its model here: gap between units over the prior one; 0: it has no units
        ("unit_s", "f8"),  # that gap, alone and at nominal speed
        ("stutter_below", "f8"),  # rate under which the gap between units breaks the bound
    ]
)

LOG = np.dtype(  # (B, K): requests that ended, written when the router learns of it
    [
        ("id", "i8"),
        ("arrive_ns", "i8"),
        ("dispatch_ns", "i8"),
        ("start_ns", "i8"),
        ("first_ns", "i8"),
        ("finish_ns", "i8"),
        ("latency_ns", "i8"),  # in system, drop charge included
        ("slowdown", "f8"),  # measured service over prior; 0 if not served
        ("node", "i4"),
        ("model", "i4"),
        ("site", "i4"),
        ("prompt", "i4"),
        ("units", "i4"),
        ("retries", "i4"),
        ("outcome", "i4"),
        ("late", "i4"),
        ("stutter", "i4"),
        ("pad", "i4"),
    ]
)

NEWS = np.dtype(  # (B, E): messages since the last decision
    [
        ("time_ns", "i8"),
        ("onset_s", "f8"),  # until what it announces begins
        ("duration_s", "f8"),  # how long it will last from then on
        ("speed", "f8"),  # while it lasts
        ("node", "i4"),
        ("phrase", "i4"),
    ]
)

ORDER = np.dtype(  # (B,): what to do with each world
    [
        ("action", "i8"),  # STEP: a node number, or N to decline; must be legal
        ("root_seed", "u8"),  # BEGIN: the seed given to `reset`
        ("episode", "i8"),  # BEGIN: number of the episode since that seed, from 0
        ("todo", "i8"),  # SKIP, LOOK, BEGIN or STEP
        ("wait_ns", "i8"),  # control, with `finish`: think so long, deaf to events; agents: start a new one so late
        ("asks", "i8"),  # BEGIN, worlds with agents: bits, what is asked
        ("wake_ns", "i8"),  # control, with `finish`: be asked again after this time at the latest; 0: at the next tick
    ]
)

OUTCOME = np.dtype(  # (B,): what came of it
    [
        ("reward", "f8"),
        ("dt_s", "f8"),  # simulated time since the last decision
        *((term, "f8") for term in TERMS),  # unweighted
        ("time_s", "f8"),  # since the episode began
        ("seed", "u8"),  # of the episode
        ("done", "i8"),
    ]
)


class Params(NamedTuple):
    """What a scenario fixes: read only, shared by every row."""

    rules: np.ndarray  # (1,) RULES
    node: np.ndarray  # (N,) NODE_TYPE
    model: np.ndarray  # (M,) MODEL
    service: np.ndarray  # (N, M) SERVICE
    link: np.ndarray  # (S, N) LINK
    site: np.ndarray  # (S,) f8, cumulative share of the users
    trace: np.ndarray  # (T,) TRACE_ROW
    quantile: np.ndarray  # (Q,) f8, values of the empirical laws
    change: np.ndarray  # (C,) CHANGE, the timeline of the scenario; the last row is at NEVER
    phrase: np.ndarray  # (K,) PHRASE
    run: np.ndarray  # (3, 5, A) RUN
    agency: np.ndarray  # (1,) AGENCY_RULES, no row in a scenario without agents; so are all that follow
    blank: np.ndarray  # (1,) AGENCY, when an episode begins
    size: np.ndarray  # (1,) LAW, agents of an application
    role: np.ndarray  # (R,) ROLE
    need: np.ndarray  # (R, N) NEED
    host: np.ndarray  # (N,) HOST
    cable: np.ndarray  # (N, N) CABLE
    near: np.ndarray  # (S, K) i8, neighbours of each site, -1 ends the list
    hop: np.ndarray  # (S, S) i8, next site on the way to another
    track: np.ndarray  # (U + 1,) i8, where the stops of each user of the mobility trace begin
    stop: np.ndarray  # (T,) STOP
    pod: np.ndarray  # (T,) POD


class Row(NamedTuple):
    """One world of a `State`: views, so writing here writes there."""

    world: np.ndarray  # (1,) WORLD
    due: np.ndarray  # (N,) i8
    node: np.ndarray  # (N,) NODE
    regime: np.ndarray  # (N,) REGIME
    pair: np.ndarray  # (N, M) PAIR
    job: np.ndarray  # (J,) JOB
    slot: np.ndarray  # (N, L) SLOT
    change: np.ndarray  # (C,) CHANGE
    log: np.ndarray  # (K,) LOG
    news: np.ndarray  # (E,) NEWS
    agency: np.ndarray  # (1,) AGENCY; no row without agents, as all that follow
    app: np.ndarray  # (P,) APP
    app_due: np.ndarray  # (P + 1,) i8
    agent: np.ndarray  # (P * A,) AGENT
    lodging: np.ndarray  # (N,) LODGING
    desk: np.ndarray  # (S,) DESK; no row unless the sites decide
    panel: np.ndarray  # (1,) PANEL; no row unless each site has books of its own, as all that follow
    known: np.ndarray  # (S, N) NODE, the books of each site
    known_pair: np.ndarray  # (S, N, M) PAIR
    sheet: np.ndarray  # (J + 1,) JOB, as booked by the site of each; the last row is nobody; no row with agents
    known_lodging: np.ndarray  # (S, N) LODGING; no row without agents


class State(NamedTuple):
    """What moves: one row a world, no hidden memory anywhere else."""

    world: np.ndarray  # (B,) WORLD
    due: np.ndarray  # (B, N) i8, next event of each node
    node: np.ndarray  # (B, N) NODE
    regime: np.ndarray  # (B, N) REGIME
    pair: np.ndarray  # (B, N, M) PAIR
    job: np.ndarray  # (B, J) JOB
    slot: np.ndarray  # (B, N, L) SLOT
    change: np.ndarray  # (B, C) CHANGE, the timeline of this episode
    log: np.ndarray  # (B, K) LOG
    news: np.ndarray  # (B, E) NEWS
    agency: np.ndarray  # (B, 1) AGENCY; (B, 0) without agents, as all that follow
    app: np.ndarray  # (B, P) APP
    app_due: np.ndarray  # (B, P + 1) i8, next event of each application; the last is the arrival of the next one
    agent: np.ndarray  # (B, P * A) AGENT
    lodging: np.ndarray  # (B, N) LODGING
    desk: np.ndarray  # (B, S) DESK; (B, 0) unless the sites decide
    panel: np.ndarray  # (B, 1) PANEL; (B, 0) unless each site has books of its own, as all that follow
    known: np.ndarray  # (B, S, N) NODE
    known_pair: np.ndarray  # (B, S, N, M) PAIR
    sheet: np.ndarray  # (B, J + 1) JOB
    known_lodging: np.ndarray  # (B, S, N) LODGING


def allocate(
    n_worlds: int,
    n_nodes: int,
    n_models: int,
    n_jobs: int,
    n_slots: int,
    n_changes: int,
    n_logs: int,
    n_apps: int = 0,
    n_agents: int = 0,
    n_sites: int = 0,
    n_books: int = 0,
) -> State:
    """Zeroed state tables for `n_worlds` worlds; sizes are >= 1 up to `n_logs`, then >= 0."""
    b, n, m, j = n_worlds, n_nodes, n_models, n_jobs
    sheet = np.zeros((b, j + 1 if n_books and not n_apps else 0), JOB)
    sheet["dispatch_ns"][:, -1:] = NEVER  # nobody's request is overdue
    return State(
        world=np.zeros(b, WORLD),
        due=np.full((b, n), NEVER, np.int64),
        node=np.zeros((b, n), NODE),
        regime=np.zeros((b, n), REGIME),
        pair=np.zeros((b, n, m), PAIR),
        job=np.zeros((b, j), JOB),
        slot=np.zeros((b, n, n_slots), SLOT),
        change=np.zeros((b, n_changes), CHANGE),
        log=np.zeros((b, n_logs), LOG),
        news=np.zeros((b, max(MIN_NEWS, n)), NEWS),
        agency=np.zeros((b, 1 if n_apps else 0), at.AGENCY),
        app=np.zeros((b, n_apps), at.APP),
        app_due=np.full((b, n_apps + 1 if n_apps else 0), NEVER, np.int64),
        agent=np.zeros((b, n_agents), at.AGENT),
        lodging=np.zeros((b, n if n_apps else 0), at.LODGING),
        desk=np.zeros((b, n_sites), st.DESK),
        panel=np.zeros((b, 1 if n_books else 0), st.PANEL),
        known=np.zeros((b, n_books, n), NODE),
        known_pair=np.zeros((b, n_books, n, m), PAIR),
        sheet=sheet,
        known_lodging=np.zeros((b, n_books if n_apps else 0, n), at.LODGING),
    )
