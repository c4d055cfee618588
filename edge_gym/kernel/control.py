"""The control surface: the world routes by itself, and whoever controls its router calls one tool a step.

Actions are numbered (row, column), row-major, with `columns_of` columns. Node rows: the gate levels, then `calibrate`
for each model. The last row, the router's: finish, then the values of exploration, then those of forgetting.
"""

from ._jit import jit, jit_row
from .accounts import forget_accounts, score
from .episode import begin
from .guards import count_alive, count_servers, keep_masked, may_close, set_gate
from .observe import ROUTER, is_legal, observe
from .observe_control import observe_control
from .requests import apply_choice, send_probe
from .step import BEGIN, LOOK, NOTHING, OVER, SKIP, STEP, SUBJECT, next_event, row_of
from .tables import CLOSED, NEVER, NONE, OPEN, SECOND

EXPLORATIONS = (0.0, 0.5, 1.0, 2.0)
FORGETTINGS = (1.0, 0.99, 0.95, 0.9)
LEVELS = 3  # OPEN, CAUTION, CLOSED
FINISH = 0  # column of the router's row


@jit
def columns_of(n_models):
    """Columns of the action table."""
    return max(LEVELS + n_models, 1 + len(EXPLORATIONS) + len(FORGETTINGS))


@jit
def run_control(params, state, order, first, last, obs, mask, out, look, legal, times, servers):
    """One tool call, one new episode or one look in each of the worlds first..last-1.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        order: (B,) ORDER, as for `run_rows`.
        first: First row.
        last: Row after the last.
        obs: Output (B, N + 1, F) float32, the control columns.
        mask: Output (B, A) bool.
        out: Output (B,) OUTCOME; a LOOK leaves it alone.
        look: Scratch, a routing observation (N + 1, N_FEATURES) float32.
        legal: Scratch (N + 1,) bool.
        times: Scratch ((N + 1) * N_TIMES,) float32.
        servers: Scratch (M,) int64.
    """
    for b in range(first, last):
        todo = order[b]["todo"]
        if todo == SKIP:
            continue
        row, world = row_of(state, b), state.world[b]
        if todo == BEGIN:
            begin(params, row, order[b]["root_seed"], order[b]["episode"])
            forget_accounts(world)
        elif todo == STEP:
            world["log_count"] = 0
            world["news_count"] = 0
            call(params, row, order[b], look, legal, times, servers)
        if todo != LOOK:
            score(params, row, out[b])
            out[b]["time_s"] = world["now_ns"] / SECOND
            out[b]["seed"] = world["seed"]
            out[b]["done"] = world["done"]
        observe_control(params, row, obs[b])
        show_legal(params, row, mask[b], servers)


@jit_row
def call(params, row, order, look, legal, times, servers):
    """Carry out one tool call. Only `finish` lets time pass; what the guards refuse is counted and changes nothing."""
    world, n_nodes = row.world[0], row.node.shape[0]
    n_columns = columns_of(params.model.shape[0])
    n, column = order["action"] // n_columns, order["action"] % n_columns
    if n == n_nodes and column == FINISH:
        run_on(params, row, order["wait_ns"], order["wake_ns"], look, legal, times)
        return
    refill(params, row)
    count_all_servers(params, row, servers)
    if not is_allowed(params, row, n, column, servers, count_alive(row)):
        world["interventions"] += 1
        return
    world["calls"] += 1
    world["turn_calls"] += 1
    world["tokens"] = max(world["tokens"] - 1.0, 0.0)  # opening a gate is free when nothing is left
    if n == n_nodes:
        configure(world, column)
    elif column < LEVELS:
        world["turn_closed"] += 1 if column == CLOSED else 0
        set_gate(row, n, column)
        keep_masked(params, row)
    else:
        send_probe(params, row, n, column - LEVELS)


@jit_row
def configure(world, column):
    """Set the exploration or the forgetting of the router."""
    k = column - 1
    if k < len(EXPLORATIONS):
        world["exploration"] = EXPLORATIONS[k]
    else:
        world["forgetting"] = FORGETTINGS[k - len(EXPLORATIONS)]


@jit_row
def run_on(params, row, wait_ns, wake_ns, look, legal, times):
    """The turn ends: the world routes by itself until the next event or tick, or for exactly `wait_ns`.

    Args:
        params: The scenario's tables.
        row: The world.
        wait_ns: If positive, the controller thinks for this long and is deaf meanwhile; its turn goes on.
        wake_ns: If positive, it is asked again after this time at the latest, but not before its cool-down is over.
        look: Scratch, a routing observation.
        legal: Scratch.
        times: Scratch.
    """
    world, rules = row.world[0], params.rules[0]
    now, deaf = world["now_ns"], wait_ns > 0
    if deaf:
        world["wake_ns"] = now + wait_ns
    else:
        asked_ns = min(wake_ns, rules["tick_ns"]) if wake_ns > 0 else rules["tick_ns"]
        world["wake_ns"] = max(now + asked_ns, world["turn_ns"] + rules["cooldown_ns"])
        world["stir"] = 0
    most = row.log.shape[0] - row.job.shape[0] - 1  # rows that may be full before the episode ends
    while True:
        what = next_event(params, row)
        if what == OVER:
            return
        if what == SUBJECT:
            observe(params, row, look, legal, times)
            apply_choice(params, row, find_pick(look))
        elif what != NOTHING:
            break
        if not deaf and world["stir"] == 1:
            world["wake_ns"] = min(world["wake_ns"], max(world["turn_ns"] + rules["cooldown_ns"], world["now_ns"]))
        if world["log_count"] >= most:
            break
    world["wake_ns"] = NEVER
    if not deaf:
        world["turn_ns"] = world["now_ns"]
        world["turn_calls"] = 0
        world["turn_closed"] = 0
    refill(params, row)


@jit_row
def find_pick(look):
    """The choice of the world's own router."""
    n = 0
    while look[n, ROUTER] == 0.0:
        n += 1
    return n


@jit_row
def refill(params, row):
    """Calls that may be made at once: a token bucket as deep as one turn."""
    world, rules = row.world[0], params.rules[0]
    earned = (world["now_ns"] - world["tokens_ns"]) / SECOND * rules["calls_per_s"]
    world["tokens"] = min(world["tokens"] + earned, float(rules["max_calls"]))
    world["tokens_ns"] = world["now_ns"]


@jit_row
def count_all_servers(params, row, servers):
    """Live nodes that serve each model and are not closed, into `servers` (M,)."""
    for m in range(servers.shape[0]):
        servers[m] = count_servers(params, row, m)


@jit_row
def is_allowed(params, row, n, column, servers, alive):
    """Whether the guards let a tool call pass now."""
    world, rules, n_models = row.world[0], params.rules[0], params.model.shape[0]
    if world["done"] == 1:
        return n == row.node.shape[0] and column == FINISH
    spent = world["turn_calls"] >= rules["max_calls"] or world["tokens"] < 1.0
    if n == row.node.shape[0]:
        return column == FINISH or (not spent and changes(world, column))
    node = row.node[n]
    if column == OPEN:
        return node["gate"] != OPEN  # taking caution back is never refused
    if spent or node["alive"] == 0:
        return False
    if column < LEVELS:
        return node["gate"] != column and (column != CLOSED or may_close(params, row, n, alive, servers))
    m = column - LEVELS
    if m >= n_models or node["probes"] >= rules["max_probes"]:
        return False
    room = world["free"] != NONE or world["fresh"] < row.job.shape[0] - 1
    return room and is_legal(params, row, n, m, params.node[n]["home"])


@jit_row
def changes(world, column):
    """Whether a column of the router's row exists and sets something new."""
    k = column - 1
    if k < len(EXPLORATIONS):
        return world["exploration"] != EXPLORATIONS[k]
    k -= len(EXPLORATIONS)
    return k < len(FORGETTINGS) and world["forgetting"] != FORGETTINGS[k]


@jit_row
def show_legal(params, row, mask, servers):
    """Which tool calls are legal now."""
    n_columns, alive = columns_of(params.model.shape[0]), count_alive(row)
    count_all_servers(params, row, servers)
    for n in range(row.node.shape[0] + 1):
        for column in range(n_columns):
            mask[n * n_columns + column] = is_allowed(params, row, n, column, servers, alive)
