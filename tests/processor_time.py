"""How long something may take where it only computes: other work on the machine does not count."""

import contextlib
import time
from collections.abc import Iterator


@contextlib.contextmanager
def takes_at_most(seconds: float) -> Iterator[None]:
    """What is inside takes at most so many seconds of this process' processor time."""
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took <= seconds, f"took {took:.2f} s of processor time: must be <= {seconds:g} s"
