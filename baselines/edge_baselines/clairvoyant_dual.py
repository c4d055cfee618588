"""The dual function of `clairvoyant`, compiled; the module docstring of `clairvoyant.py` says what it is and why."""

import numpy as np

from edge_gym.kernel._jit import jit, jit_row

NOTHING = -1  # where a piece comes from that has not been bought yet


@jit_row
def push(heap, size, price, amount, where):
    """Put a piece of work on the heap, the dearest on top.

    Returns:
        The new size.
    """
    at = size
    while at > 0 and heap.price[(at - 1) // 2] < price:
        move(heap, (at - 1) // 2, at)
        at = (at - 1) // 2
    heap.price[at] = price
    heap.amount[at] = amount
    heap.where[at] = where
    return size + 1


@jit_row
def pop(heap, size):
    """Take the dearest piece off the heap.

    Returns:
        The new size.
    """
    size -= 1
    price, amount, where = heap.price[size], heap.amount[size], heap.where[size]
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and heap.price[below + 1] > heap.price[below]:
            below += 1
        if heap.price[below] <= price:
            break
        move(heap, below, at)
        at = below
    heap.price[at] = price
    heap.amount[at] = amount
    heap.where[at] = where
    return size


@jit_row
def move(heap, here, there):
    """Move a piece."""
    heap.price[there] = heap.price[here]
    heap.amount[there] = heap.amount[here]
    heap.where[there] = heap.where[here]


@jit_row
def row_at(course, n, time_s):
    """Row of the course of node `n` in which a time lies."""
    low, high = course.first[n], course.first[n + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if course.time_s[middle] <= time_s:
            low = middle
        else:
            high = middle
    return low


@jit_row
def reach(course, jobs, j, n, w):
    """When request `j` can be at node `n` in its stay `w`: sent there when it arrives, or when it comes back later."""
    sent_s = jobs.arrive_s[j]
    if sent_s < course.from_s[w]:
        sent_s = course.again_s[w]
    return sent_s + jobs.up_s[j, n]


@jit_row
def serve(course, jobs, prices, heap, j, n, w, most, stop):
    """The cheapest way to serve request `j` on node `n` during its stay `w`.

    As time goes on, cheaper pieces of time replace the dearest on the heap; at first there is one piece that stands
    for all that is missing. Candidates for the end of service are the times at which a piece is used up.

    Args:
        course: The nodes.
        jobs: The requests.
        prices: The prices.
        heap: Scratch.
        j: The request.
        n: The node.
        w: Its stay.
        most: What the request costs elsewhere: dearer ways are not of interest.
        stop: Number of the candidate to stop at, for its pieces; -1 to go on.

    Returns:
        The least cost, `most` if all are dearer; number of its candidate, else -1; pieces on the heap; time.
    """
    m, column, last = jobs.model[j], jobs.priced[j], course.first[n + 1]
    begin_s = reach(course, jobs, j, n, w)
    cost = begin_s - jobs.arrive_s[j] + jobs.down_s[j, n]
    best, best_k, candidate, paid, now = most, -1, 0, 0.0, begin_s
    work = max(jobs.work_s[j, n] * course.bias[w, m], 1e-12)
    size = push(heap, 0, np.inf, work, NOTHING)
    k = row_at(course, n, begin_s)
    while cost < best and now < course.until_s[w]:
        row_until = course.time_s[k + 1] if k + 1 < last else np.inf
        until = min(row_until, course.until_s[w])
        if now < course.ready_s[w, m]:
            until = min(until, course.ready_s[w, m])
        elif course.speed[k] > 0.0:
            speed, stay = course.speed[k], 1.0 - prices.presence[n, course.bin[k], column]
            price, taken = prices.rate[n, course.bin[k], column] / speed, 0.0
            while now < until and size > 0 and heap.price[0] > price:
                part = min(heap.amount[0], speed * (until - now))
                paid += part * price
                if heap.where[0] != NOTHING:
                    paid -= part * heap.price[0]
                taken += part
                cost += stay * part / speed
                if part >= heap.amount[0]:
                    now += part / speed
                    size = pop(heap, size)
                else:
                    now = until
                    heap.amount[0] -= part
                if size == 0 or heap.where[0] != NOTHING:
                    if cost + paid < best:
                        best, best_k = cost + paid, candidate
                    if candidate == stop:
                        return best, best_k, push(heap, size, price, taken, k), now
                    candidate += 1
            if taken > 0.0:
                size = push(heap, size, price, taken, k)
        cost += (1.0 - prices.presence[n, course.bin[k], column]) * (until - now)
        now = until
        if now >= row_until:
            k += 1
    return best, best_k, size, now


@jit_row
def buy(course, jobs, prices, heap, j):
    """Where request `j` is served most cheaply.

    Returns:
        Its cost, node, stay and candidate; node -1 if it is cheapest never to answer.
    """
    best, best_n, best_w, best_k = jobs.charge_s[j], -1, -1, -1
    for i in range(jobs.order.shape[1]):
        n = jobs.order[j, i]
        if jobs.work_s[j, n] == np.inf:
            break
        for w in range(course.first_stay[n], course.first_stay[n + 1]):
            cost, k, _, _ = serve(course, jobs, prices, heap, j, n, w, best, -1)
            if k >= 0:
                best, best_n, best_w, best_k = cost, n, w, k
    return best, best_n, best_w, best_k


@jit
def serve_all(course, jobs, prices, heap, used, present):
    """Every request buys its service for itself.

    Returns:
        Sum of the costs; `used` and `present` (N, bins + 1, priced + 1) become the seconds of rate and of presence
        that were bought.
    """
    total = 0.0
    used[:] = 0.0
    present[:] = 0.0
    for j in range(jobs.arrive_s.shape[0]):
        cost, n, w, candidate = buy(course, jobs, prices, heap, j)
        total += cost
        if n < 0:
            continue
        column = jobs.priced[j]
        _, _, size, end = serve(course, jobs, prices, heap, j, n, w, np.inf, candidate)
        for i in range(size):
            k = heap.where[i]
            used[n, course.bin[k], column] += heap.amount[i] / course.speed[k]
        now = reach(course, jobs, j, n, w)
        k = row_at(course, n, now)
        while now < end:
            until = min(course.time_s[k + 1], end) if k + 1 < course.first[n + 1] else end
            present[n, course.bin[k], column] += until - now
            now = until
            k += 1
    return total


@jit
def supply_all(mixes, prices, length_s, used, present):
    """What every node and bin would earn by the mix of requests that the prices pay best.

    Returns:
        Sum over nodes and bins of length times worth; the rates and presences of those mixes are taken off `used` and
        `present`, which leaves the gradient of the dual.
    """
    total = 0.0
    n_priced = mixes.count.shape[1]
    for n in range(used.shape[0]):
        for b in range(length_s.shape[0]):
            rate, presence = prices.rate[n, b], prices.presence[n, b]
            best, best_r = 0.0, -1
            for r in range(mixes.first[n], mixes.last[n]):
                value = 0.0
                for m in range(n_priced):
                    value += mixes.rate[r, m] * rate[m] - mixes.count[r, m] * presence[m]
                if value > best:
                    best, best_r = value, r
            if best_r >= 0:
                total += length_s[b] * best
                for m in range(n_priced):
                    used[n, b, m] -= length_s[b] * mixes.rate[best_r, m]
                    present[n, b, m] -= length_s[b] * mixes.count[best_r, m]
    return total
