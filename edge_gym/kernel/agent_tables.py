"""The tables of AI agents, their applications and users. In a scenario without agents they have no rows.

An application is its user too: agents that arrive together for somebody at a site, who moves. Agents of application
row `p` are the rows `p * A ... p * A + A - 1`, A being the most an application can have.
"""

import numpy as np

# What the controller is asked, bits; the world's default rules take the rest.
ASK_REQUESTS, ASK_PLACEMENTS, ASK_MIGRATIONS = 1, 2, 4
# What an agent is doing. ASKED: somebody is to say where it goes. PARKED: it lives nowhere.
EMPTY, ASKED, STARTING, LIVING, MOVING, PARKED = 0, 1, 2, 3, 4, 5
# Steps of a start or a move; see `migration.py`.
STILL, EXPORT, TRANSFER, LOAD, PREFILL = 0, 1, 2, 3, 4
# Who talks to whom; how users move; order as in the scenario's choices.
CHAIN, STAR, TREE = 0, 1, 2
STAY, MARKOV, WAYPOINT, COMMUTE, TRACK = 0, 1, 2, 3, 4
# Terms of an agent's own cost rate, as in `agent_cost.own_cost`: the first three are request-seconds a second, the
# others US dollars a second.
COST_TERMS = ("transfer", "start", "processing", "compute", "storage", "communication")

AGENCY_RULES = np.dtype(  # one row, or none
    [
        ("at_start", "i8"),
        ("n_applications", "i8"),  # no more than so many arrive
        ("arrival_per_s", "f8"),  # of applications; 0: none come
        ("lifetime_s", "f8"),
        ("most_agents", "i8"),
        ("most_waiting", "i8"),
        ("need_sigma", "f8"),
        ("shape", "i4"),
        ("mobility", "i4"),
        ("full", "i4"),  # migration moves the image too
        ("pad", "i4"),
        ("n_pods", "i8"),  # rows of the trace of arrivals; 0: none
        ("dwell_s", "f8"),
        ("hop_s", "f8"),
        ("review_ns", "i8"),
        ("pause_ns", "i8"),
        ("overload", "f8"),
        ("startup_s", "f8"),
        ("state_bytes", "f8"),
        ("bytes_per_message", "f8"),
        ("bytes_per_token", "f8"),
        ("context_tokens", "i8"),
        ("export_s", "f8"),
        ("export_s_per_byte", "f8"),
        ("import_s", "f8"),
        ("import_s_per_byte", "f8"),
        ("ping_pong_ns", "i8"),
        ("after_move_ns", "i8"),
        ("load_limit", "f8"),
        ("usd_per_byte_s", "f8"),  # of storage
        ("usd_per_byte", "f8"),  # of traffic
        ("stay_s", "f8"),  # how long an agent is expected to stay where it is put
    ]
)

ROLE = np.dtype(  # (R,)
    [
        ("cumulative_share", "f8"),
        ("rate_per_s", "f8"),
        ("memory_bytes", "f8"),
        ("image_bytes", "f8"),
        ("peer_bytes", "f8"),
        ("peer_rounds", "f8"),
        ("request_bytes", "f8"),  # of a mean request and its response
        ("model", "i4"),
        ("prompt", "i4"),  # of a typical request
        ("units", "i4"),
        ("pad", "i4"),
    ]
)

NEED = np.dtype([("load", "f8"), ("work_s", "f8"), ("usd_per_s", "f8")])  # (R, N): throughput share, work, compute

CABLE = np.dtype([("rtt_s", "f8"), ("s_per_byte", "f8"), ("usd_per_byte", "f8")])  # (N, N), between nodes

HOST = np.dtype(  # (N,): what agents may take of a node
    [("storage_bytes", "f8"), ("nic_bytes_per_s", "f8"), ("storage_s_per_byte", "f8")]
)

STOP = np.dtype([("time_ns", "i8"), ("site", "i8")])  # (T,): where a user of the trace is from when on
POD = np.dtype([("time_ns", "i8"), ("lifetime_ns", "i8"), ("need", "f8")])  # (T,): an arrival of the trace

AGENCY = np.dtype(  # (B,)
    [
        ("asks", "i8"),  # bits: what the controller is asked
        ("arrived", "i8"),  # requests for agents; `WORLD` counts the others
        ("applications", "i8"),  # arrived so far
        ("present", "i8"),  # applications there now
        ("turned_away", "i8"),  # applications that found no row free
        ("ask_head", "i4"),  # agents about which a decision is due, first in, first out
        ("ask_tail", "i4"),
        ("shaken", "i4"),  # a node has left: some agent may have lost its home
        ("pad", "i4"),
        ("placed", "i8"),
        ("refused", "i8"),
        ("lost", "i8"),  # agents whose node left
        ("handovers", "i8"),
        ("moves", "i8"),  # migrations begun
        ("ping_pongs", "i8"),
        ("aborted", "i8"),  # migrations and starts whose source or target left
        ("resumed", "i8"),  # agents that answered again after a migration or a loss
        ("cold_starts", "i8"),  # models loaded for an agent that starts or moves
        ("moved_bytes", "f8"),
        ("prefill_tokens", "i8"),
        ("downtime_ns", "i8"),  # of those that answered again
        ("late_after_move", "i8"),  # requests
        ("down_s", "f8"),  # agent-seconds of downtime since the last decision
        ("served", "i8"),  # agent requests delivered
        ("wait_ns", "i8"),  # of those: for an agent that starts or moves,
        ("transfer_ns", "i8"),  # on the network, peers included,
        ("process_ns", "i8"),  # in the queue and in service
        ("booked_ns", "i8"),  # the integrals are right up to here
        ("load_sum", "f8"),  # reserved throughput shares, now
        ("load_square", "f8"),
        ("hosts", "f8"),  # nodes with at least one agent
        ("usd_per_s", "f8", (2,)),  # compute and storage, now
        ("load_s", "f8"),  # their integrals since the episode began
        ("square_s", "f8"),
        ("hosts_s", "f8"),
        ("usd", "f8", (3,)),  # compute, storage, communication since the episode began
    ]
)

APP = np.dtype(  # (B, P)
    [
        ("id", "i8"),  # number in the episode; -1: no application in this row
        ("request_ns", "i8"),  # next request
        ("move_ns", "i8"),  # next handover
        ("end_ns", "i8"),
        ("review_ns", "i8"),
        ("phase_ns", "i8"),  # next step of an agent that starts or moves
        ("requests", "i8"),  # so far
        ("moves", "i8"),  # draws of the user's way so far
        ("track", "i8"),  # row of the trace the user is at
        ("request_key", "u8"),  # of its random streams
        ("move_key", "u8"),
        ("rate_per_s", "f8"),  # of all its agents
        ("site", "i4"),
        ("goal", "i4"),  # where the user is going
        ("home", "i4"),  # the two ends of a commute
        ("work", "i4"),
        ("n_agents", "i4"),
        ("pad", "i4"),
    ]
)

AGENT = np.dtype(  # (B, P * A)
    [
        ("serial", "i8"),  # unique in the episode; what is under way for another that had this row is not for this one
        ("state", "i4"),
        ("phase", "i4"),
        ("app", "i4"),
        ("role", "i4"),
        ("model", "i4"),
        ("node", "i4"),  # where it lives; NONE: nowhere
        ("target", "i4"),  # where it is starting or moving to
        ("before", "i4"),  # where it lived before; NONE: nowhere else yet
        ("parent", "i4"),  # row of the agent it talks to; NONE: none
        ("next", "i4"),  # in the list of those to be asked about
        ("wait_head", "i4"),  # requests that wait for it
        ("wait_tail", "i4"),
        ("waiting", "i4"),
        ("listed", "i4"),  # 1: it is in that list
        ("need", "f8"),  # its needs over its role's
        ("messages", "i8"),
        ("context", "i8"),  # tokens
        ("due_ns", "i8"),  # end of the phase
        ("down_ns", "i8"),  # since when it has been moving
        ("settled_ns", "i8"),  # since when it has lived where it does
        ("asked_ns", "i8"),  # when it was last asked about
    ]
)

LODGING = np.dtype(  # (B, N): what agents have reserved of a node
    [("load", "f8"), ("storage_bytes", "f8"), ("traffic", "f8"), ("agents", "i8")]
)
