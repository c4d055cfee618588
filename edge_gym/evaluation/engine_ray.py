"""Shards as tasks of Ray, on this machine or on a cluster that runs already; needs the extra 'ray'."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from edge_gym.errors import Unavailable
from edge_gym.evaluation.execution import Answer, Lost, answer
from edge_gym.evaluation.shards import Shard

# Ray knows this only as what keeps firewalls quiet on two systems; on every system it keeps a Ray that is started here
# on the loopback interface. It is read when Ray is first imported.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class Ray:
    """Tasks of Ray, one core each; see `edge_gym.evaluation.execution.Engine`.

    The machines of a cluster need the same version of this package; shards and results are all that is sent.

    Args:
        n_workers: Cores of a Ray that is started here.
        address: Of the cluster; None: one is started here, on the loopback interface, without dashboard and without
            reports of its use to anybody, and ends with the run.

    Raises:
        Unavailable: No cluster answers at the address.
    """

    def __init__(self, n_workers: int, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.update({} if address else LOOPBACK)
        import ray  # it is there: the execution has looked

        self._ray = ray
        here: dict[str, Any] = {"num_cpus": n_workers, "include_dashboard": False}
        try:
            ray.init(address or "local", log_to_driver=False, **({} if address else here))
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise Unavailable(f"Ray cannot be used at {address or 'this machine'}: {error}") from error
        # Ray would try again by itself; here it is counted and ends.
        self._run = ray.remote(num_cpus=1, max_retries=0)(answer)

    def start(self, shard: Shard) -> Any:
        """See `Engine`."""
        return self._run.remote(shard)

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[tuple[Any, Answer | Lost]]:
        """See `Engine`."""
        ready, _ = self._ray.wait(list(tickets), num_returns=1, timeout=timeout_s)
        return [(ticket, self._receive(ticket)) for ticket in ready]

    def stop(self, ticket: Any) -> None:
        """See `Engine`."""
        self._ray.cancel(ticket, force=True)

    def close(self) -> None:
        """See `Engine`."""
        self._ray.shutdown()

    def _receive(self, ticket: Any) -> Answer | Lost:
        try:
            return self._ray.get(ticket)
        except self._ray.exceptions.RayError as error:
            return Lost(f"its task was lost: {type(error).__name__}")
