"""The tables of worlds in which every site decides for its own requests (docs/multiagent.md); no rows in others.

What a site has in its books are tables of the same types as the world's: NODE and PAIR, and JOB for its own dispatches.
"""

import numpy as np

SITE_RULES = np.dtype(  # (1,): how the sites decide
    [
        ("slot_ns", "i8"),  # all decide together at multiples of this; 0: each at once
        ("beat_ns", "i8"),  # how often nodes tell of their load
        ("central", "i4"),  # 1: one after the other, on the central books
        ("shared", "i4"),  # 1: everybody is paid for all requests
    ]
)

DESK = np.dtype(  # (B, S)
    [
        ("subject", "i4"),  # job row, or with agents agent row, it is asked about now; NONE: it has no say
        ("head", "i4"),  # what waits for its decision; of requests the subject is the first, of agents it is not there
        ("tail", "i4"),
        ("waiting", "i4"),  # number of those, the subject included
        ("in_system", "i8"),  # its requests that have not ended
        ("mark_ns", "i8"),  # `latency_ns` is booked up to here
        ("latency_ns", "i8"),  # request-nanoseconds since the last step, drop charges included
        ("slo_misses", "i8"),  # since the last step, as the other two
        ("drops", "i8"),
        ("stutters", "i8"),
    ]
)

PANEL = np.dtype(  # (B, 1)
    [
        ("open", "i4"),  # the sites decide at this instant
        ("turn", "i4"),  # whose choice is carried out first
        ("slot_at_ns", "i8"),  # when they decide next; NEVER: nobody has a request
        ("beat_at_ns", "i8"),  # when nodes tell of their load next
        ("refused", "i8"),  # requests or agents that a node refused, since the episode began
        ("back_head", "i4"),  # requests on their way back, by due time; agents to be asked about at the next slot
        ("back_tail", "i4"),
    ]
)
