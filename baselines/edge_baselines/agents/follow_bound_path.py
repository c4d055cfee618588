"""The cheapest way of one agent through its future, compiled; `follow_bound.py` says what it is and why."""

from typing import NamedTuple

import numpy as np

from edge_gym.kernel._jit import jit, jit_row


class Course(NamedTuple):
    """The nodes: rows of time with constant speed."""

    first: np.ndarray  # (N + 1,) first row of each node
    time_s: np.ndarray  # (K,) where the row begins
    speed: np.ndarray  # (K,)
    stay: np.ndarray  # (K,) number of the stay of the node, -1 while it is away
    bias: np.ndarray  # (K, M)


class Points(NamedTuple):
    """An agent's life: P points in order of time. The first is its birth, the last its end, the others its requests.

    Costs are weighted. Column n is as if the agent lived on node n.
    """

    time_s: np.ndarray  # (P,)
    work_s: np.ndarray  # (P, N) nominal; inf where it cannot live
    up_s: np.ndarray  # (P, N)
    down_s: np.ndarray  # (P, N)
    best_s: np.ndarray  # (P,) latency at the least, wherever it is served
    charge_s: np.ndarray  # (P,) latency that counts at the most
    traffic: np.ndarray  # (P, N) price of its bytes
    reserved: np.ndarray  # (P, N) price of the node from this point to the next
    reserved_least: np.ndarray  # (P,) the same, wherever
    moved_s: np.ndarray  # (P, N) a move that begins after this point: what it takes at the target,
    state_bytes: np.ndarray  # (P,) what travels at least,
    moved_cost: np.ndarray  # (P,) and the price of a byte's way, times this
    started_s: np.ndarray  # (P, N) when an agent lost after this point and before the next can answer again; or inf


class Between(NamedTuple):
    """From node to node."""

    half_s: np.ndarray  # (N, N) half a round trip
    s_per_byte: np.ndarray  # (N, N)
    usd_per_byte: np.ndarray  # (N, N)


@jit
def completion(course, n, m, work_s, sent_s, up_s, best_s):
    """When a request that is sent to node `n` at `sent_s` or later is served there at the earliest, seconds.

    A node that is away is waited for. If the node leaves first, the request may be served wherever that is best.

    Args:
        course: The nodes.
        n: Node.
        m: Model.
        work_s: Nominal work.
        sent_s: Time.
        up_s: Its way.
        best_s: From leaving the node to the end of the service elsewhere, at the least.
    """
    low, high = course.first[n], course.first[n + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if course.time_s[middle] <= sent_s:
            low = middle
        else:
            high = middle
    last, stay, left_s, latest = course.first[n + 1], -1, 0.0, np.inf
    for k in range(low, last):
        if course.time_s[k] >= latest:
            break
        if course.stay[k] != stay:
            if stay >= 0 and latest == np.inf:
                latest = course.time_s[k] + best_s
            stay, left_s = course.stay[k], work_s * course.bias[k, m]
        if stay < 0:
            continue
        begin = max(course.time_s[k], sent_s + up_s)
        end = course.time_s[k + 1] if k + 1 < last else np.inf
        room = max(end - begin, 0.0) * course.speed[k]
        if left_s <= room:
            return min(begin + left_s / course.speed[k], latest)
        left_s -= room
    return latest


@jit_row
def answer(course, points, weight_s, m, k, n, sent_s):
    """Least weighted cost of point `k` if it is sent to node `n` at `sent_s`, or later."""
    if points.charge_s[k] == 0.0:
        return 0.0  # no request
    down_s = points.down_s[k, n]
    done = completion(course, n, m, points.work_s[k, n], sent_s, points.up_s[k, n], points.best_s[k] - down_s)
    latency = min(done + down_s - points.time_s[k], points.charge_s[k])
    return weight_s * latency + points.traffic[k, n]


@jit
def cheapest_way(course, points, between, weight_s, weight_usd, m, home, value):
    """The least weighted cost of an agent's life: dynamic programming over its points and the nodes.

    Args:
        course: The nodes.
        points: The agent's life.
        between: From node to node.
        weight_s: Of a request-second.
        weight_usd: Of a dollar.
        m: Its model.
        home: Where it lives at its first point; -1: anywhere.
        value: Scratch (P, N).
    """
    n_points, n_nodes = value.shape
    value[:] = np.inf
    for n in range(n_nodes):
        if home == n or home < 0:
            value[0, n] = 0.0
    for i in range(n_points - 1):
        for n in range(n_nodes):
            if value[i, n] == np.inf:
                continue
            if points.work_s[i + 1, n] < np.inf:
                cost = value[i, n] + points.reserved[i, n]
                cost += answer(course, points, weight_s, m, i + 1, n, points.time_s[i + 1])
                value[i + 1, n] = min(value[i + 1, n], cost)
            for to in range(n_nodes):
                if points.work_s[i + 1, to] < np.inf:
                    go(course, points, between, weight_s, weight_usd, m, i, n, to, value)
    least = np.inf
    for n in range(n_nodes):
        least = min(least, value[n_points - 1, n])
    return least


@jit_row
def go(course, points, between, weight_s, weight_usd, m, i, n, to, value):
    """The agent leaves node `n` after point `i` for node `to`; requests that arrive before it is there wait."""
    ready_s = points.started_s[i, to]
    cost = value[i, n] + points.reserved_least[i]
    if n != to:
        way_s = between.half_s[n, to] + points.state_bytes[i] * between.s_per_byte[n, to]
        ready_s = min(ready_s, points.time_s[i] + points.moved_s[i, to] + way_s)
        cost += weight_usd * points.moved_cost[i] * between.usd_per_byte[n, to]
    if ready_s == np.inf:
        return
    k = i + 1
    cost += answer(course, points, weight_s, m, k, to, max(points.time_s[k], ready_s))
    while k + 1 < value.shape[0] and points.time_s[k + 1] < ready_s:
        k += 1
        cost += answer(course, points, weight_s, m, k, to, ready_s)
    value[k, to] = min(value[k, to], cost)
