"""The fast path: the world's own router, `d* = argmin (Q_d + T_d(k) - c u_d(k) + w I_d) h_d + M_d`. The only copy.

Q is the backlog ahead of the request, T the service time by an online performance model of each (node, model), u its
uncertainty, c the exploration, I the delay inflicted on others and w its weight, h how much the node strays at present,
M the risk gate; network and load times are added. The performance model corrects the prior of the work up to the first
unit and of the units by one ratio each, fitted to the measured slowdowns by recursive least squares with forgetting
(Ljung and Soderstrom, Theory and Practice of Recursive Identification, 1983, algorithm 2.4); the eigenvalues of its
covariance are bounded by the prior's, so that it cannot wind up. What was learnt grows uncertain again as it grows old.

An overdue request counts as evidence (a node that has slowed is silent until it answers), as in `sect_watchdog`.
"""

import math

from ._jit import jit_row
from .tables import CAUTION, CLOSED, SECOND

PRIOR_SIGMA = 0.5  # standard deviation of a ratio nothing is known of
PRIOR_P = 4.0  # its variance in units of the measurement noise: the first report corrects most of the error
RATIO_LOW, RATIO_HIGH = 0.05, 100.0
STALE_PER_S = 1.0  # reports' worth of forgetting in a second without any
SLOW = 0.7  # logarithm of a slowdown that is not the model's
LONGEST = 32.0  # times the usual time is a node believed slow
CLOSED_S = 1e6  # a closed node is taken only if nothing else is legal


@jit_row
def forget_model(pair):
    """Nothing is known of this (node, model) but its prior."""
    pair["first_ratio"] = 1.0
    pair["unit_ratio"] = 1.0
    pair["p_first"] = PRIOR_P
    pair["p_cross"] = 0.0
    pair["p_unit"] = PRIOR_P


@jit_row
def fit(pair, share, measured, forgetting):
    """One step of recursive least squares.

    Args:
        pair: PAIR row, changed.
        share: Share of the prior work that lies before the first unit, 0 to 1.
        measured: Measured service over prior.
        forgetting: 0 < forgetting <= 1; 1 forgets nothing.
    """
    a, b = share, 1.0 - share
    pa = pair["p_first"] * a + pair["p_cross"] * b
    pb = pair["p_cross"] * a + pair["p_unit"] * b
    scale = forgetting + a * pa + b * pb
    error = measured - (pair["first_ratio"] * a + pair["unit_ratio"] * b)
    pair["first_ratio"] = min(max(pair["first_ratio"] + pa / scale * error, RATIO_LOW), RATIO_HIGH)
    pair["unit_ratio"] = min(max(pair["unit_ratio"] + pb / scale * error, RATIO_LOW), RATIO_HIGH)
    first = (pair["p_first"] - pa * pa / scale) / forgetting
    cross = (pair["p_cross"] - pa * pb / scale) / forgetting
    unit = (pair["p_unit"] - pb * pb / scale) / forgetting
    # Bound the eigenvalues. Bounding the entries would end in a correlation of one: nothing could be learnt any more.
    spread = math.sqrt((first - unit) * (first - unit) + 4.0 * cross * cross)
    top, low = 0.5 * (first + unit + spread), 0.5 * (first + unit - spread)
    excess = min((top - PRIOR_P) / max(spread, 1e-12), 1.0) if top > PRIOR_P else 0.0
    low = max(min(low, PRIOR_P), 0.0)
    pair["p_first"] = (1.0 - excess) * first + excess * low
    pair["p_cross"] = (1.0 - excess) * cross
    pair["p_unit"] = (1.0 - excess) * unit + excess * low


@jit_row
def variance(pair, share):
    """Variance of the estimated ratio over that of the prior; `share` of the work lies before the first unit."""
    rest = 1.0 - share
    p = share * share * pair["p_first"] + 2.0 * share * rest * pair["p_cross"] + rest * rest * pair["p_unit"]
    return max(p, 0.0) / PRIOR_P


@jit_row
def trend_now(node, now):
    """By how much a node is believed to be slower now than its models say; what was seen fades with time."""
    fade = 1.0 + (now - node["trend_ns"]) / SECOND / node["trend_s"]
    return 1.0 + (node["trend"] - 1.0) / (fade * fade)


@jit_row
def follow(params, row, node, pair, share, measured, now):
    """Take a measured slowdown into account: part of what surprises is the node straying, part the model being wrong.

    The parts are as the variances: that of the model's ratio, which shrinks with evidence, and `trend_sigma` squared;
    but no model is so wrong that a large surprise could be its doing. Each time a node is found slow again, it is
    believed for longer, as one backs off from what keeps failing.
    """
    rules = params.rules[0]
    expected = pair["first_ratio"] * share + pair["unit_ratio"] * (1.0 - share)
    trend = trend_now(node, now)
    wrong, stray = PRIOR_SIGMA * PRIOR_SIGMA * variance(pair, share), rules["trend_sigma"] * rules["trend_sigma"]
    plain = math.log(max(measured, 1e-6) / expected)
    surprise = plain - math.log(trend)
    model = wrong / (wrong + stray + 1e-3) * surprise if pair["evidence"] > 0 else surprise
    most = 2.0 * math.sqrt(wrong)
    model = min(max(model, -most), most)
    node["trend"] = min(max(trend * math.exp(surprise - model), RATIO_LOW), RATIO_HIGH)
    node["trend_ns"] = now
    again = plain > SLOW and rules["trend_sigma"] > 0.0
    node["trend_s"] = min(2.0 * node["trend_s"], LONGEST * rules["trend_s"]) if again else rules["trend_s"]
    fit(pair, share, measured / node["trend"], row.world[0]["forgetting"])


@jit_row
def estimate(world, node, pair, first_s, units_s):
    """Service over prior of a request alone on the node, and the standard deviation of that ratio.

    Args:
        world: WORLD row.
        node: NODE row.
        pair: PAIR row.
        first_s: Prior work up to the first unit, seconds.
        units_s: Prior work of the units, seconds.
    """
    share = first_s / (first_s + units_s + 1e-12)
    ratio = pair["first_ratio"] * share + pair["unit_ratio"] * (1.0 - share)
    p = variance(pair, share)
    if node["evidence_ns"] >= 0:
        idle_s = (world["now_ns"] - node["evidence_ns"]) / SECOND
        p += (1.0 - world["forgetting"]) * STALE_PER_S * idle_s / PRIOR_P
    return ratio, PRIOR_SIGMA * math.sqrt(min(p, 1.0))


@jit_row
def transient(pairs, node, m, stream, now):
    """By how much a node is slower now than its estimates say: as its running responses show, else as last heard of.

    If another model is streaming of which nothing else is known, what it shows may be its own software factor.

    Args:
        pairs: (M,) PAIR rows of the node.
        node: NODE row.
        m: Model in question.
        stream: What they show: see `nodes.streamed`.
        now: Nanoseconds.
    """
    if stream > 0.0:
        pair = pairs[node["stream_model"]]
        if pair["evidence"] > 0 or m == node["stream_model"]:
            return stream / pair["unit_ratio"]
    return trend_now(node, now)


@jit_row
def strain(overdue, slower):
    """By how much to stretch what is expected of a node. Known slowness may be what makes its oldest request overdue.

    Args:
        overdue: Age of its oldest outstanding request over its expected time.
        slower: See `transient`.
    """
    late = max(overdue, 1.0)
    return max(late, slower) if slower > 1.0 else late * slower


@jit_row
def router_cost(params, world, node, ratio, sigma, stretch, wait_s, served_s, inflicted_s, other_s):
    """What the fast path expects of a node, seconds.

    Args:
        params: The scenario's tables.
        world: WORLD row.
        node: NODE row.
        ratio: Service over prior.
        sigma: Standard deviation of that ratio, relative.
        stretch: See `strain`.
        wait_s: Prior wait for a slot.
        served_s: Prior service beside the present neighbours.
        inflicted_s: By how much it would delay those neighbours, prior.
        other_s: Network and model load.
    """
    service = served_s * ratio
    optimistic = max(1.0 - world["exploration"] * sigma, 0.1)
    inflicted = params.rules[0]["congestion"] * inflicted_s * ratio
    cost = (wait_s * ratio + service * optimistic + inflicted) * stretch + other_s
    if node["gate"] == CAUTION:
        cost += params.rules[0]["caution_s"]
    elif node["gate"] == CLOSED:
        cost += CLOSED_S
    return cost
