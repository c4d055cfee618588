"""Counter-based random numbers: draw `i` of entity `e` in stream `s` of a world is a pure function of (seed, s, e, i).

The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) read at any position. Nothing is consumed, so the order in
which a controller makes things happen cannot shift anybody's numbers: common random numbers hold across policies.
"""

import math

import numpy as np

from ._jit import jit

# Streams. Numbers are part of the worlds' identity: append, never renumber.
ARRIVAL = 1  # inter-arrival times
PHASE = 2  # switches of the arrival rate (bursts)
SITE = 3  # where a request enters
MODEL = 4  # which model it asks for
PROMPT = 5
UNITS = 6
FORECAST = 7  # noise of the length forecast
BIAS = 8  # unknown software factor per (node, model)
TRACE = 9  # where in a trace an episode begins
EPISODE = 10  # seeds of the episodes that follow the first
DRIFT = 12  # unannounced slow-downs of a node
CHURN = 13  # nodes leave and join
EVENT = 14  # what the users of nodes do, and what is said about it
CHATTER = 15  # what is said about nothing
WORDS = 16  # how drift and churn are put into words
APPLICATION = 17  # arrivals of applications
CREW = 18  # of an application: its size, lifetime, user, agents
WAY = 19  # where its user goes and how long it stays
ASKING = 20  # the requests for its agents

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S12, _S27, _S30, _S31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)


@jit
def mix(z):
    """Finaliser of SplitMix64: a bijection of uint64 that scatters neighbouring inputs."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@jit
def stream_key(seed, stream, entity):
    """Key of one stream of one entity (uint64)."""
    return mix(mix(seed + np.uint64(stream) * _GOLDEN) ^ mix(np.uint64(entity) * _GOLDEN + _MIX_1))


@jit
def uniform(key, index):
    """Draw `index` of a stream, in the open interval (0, 1), 52 bits."""
    z = mix(key + (np.uint64(index) + np.uint64(1)) * _GOLDEN)
    return (float(z >> _S12) + 0.5) * 2.220446049250313e-16


@jit
def exponential(key, index):
    """Draw `index`, exponential with mean 1."""
    return -math.log(uniform(key, index))


@jit
def inverse_normal(u):
    """Quantile of the standard normal distribution (P. Acklam's rational approximation, relative error 1.2e-9)."""
    if u < 0.02425:
        return _tail(math.sqrt(-2.0 * math.log(u)))
    if u > 0.97575:
        return -_tail(math.sqrt(-2.0 * math.log(1.0 - u)))
    q = u - 0.5
    r = q * q
    top = -3.969683028665376e01 * r + 2.209460984245205e02
    top = ((top * r - 2.759285104469687e02) * r + 1.383577518672690e02) * r - 3.066479806614716e01
    top = top * r + 2.506628277459239e00
    low = -5.447609879822406e01 * r + 1.615858368580409e02
    low = ((low * r - 1.556989798598866e02) * r + 6.680131188771972e01) * r - 1.328068155288572e01
    return top * q / (low * r + 1.0)


@jit
def _tail(q):
    top = -7.784894002430293e-03 * q - 3.223964580411365e-01
    top = ((top * q - 2.400758277161838e00) * q - 2.549732539343734e00) * q + 4.374664141464968e00
    top = top * q + 2.938163982698783e00
    low = 7.784695709041462e-03 * q + 3.224671290700398e-01
    low = (low * q + 2.445134137142996e00) * q + 3.754408661907416e00
    return top / (low * q + 1.0)


@jit
def normal(key, index):
    """Draw `index`, standard normal, one uniform each (so it is monotone in the uniform)."""
    return inverse_normal(uniform(key, index))


@jit
def episode_seed(root, episode):
    """Seed of episode `episode` (0, 1, ...) after `reset(seed=root)`; the first is `root` itself. Fits in int64."""
    if episode == 0:
        return root
    return mix(stream_key(root, EPISODE, 0) + np.uint64(episode) * _GOLDEN) >> np.uint64(1)
