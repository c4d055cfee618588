"""Steps of an optimiser whose gradients are taken in chunks: each fits in a core's cache, and threads share them.

The gradients are added in the order of the chunks, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from edge_agents.torch_state import optimiser_state, set_optimiser_state

CHUNK_ROWS = 4096  # rows of observations taken at once: what a network keeps of more would not fit in the cache

LossOf = Callable[[Tensor], tuple[Tensor, Tensor]]  # from places to the mean loss over them, and figures for the log


class Descent:
    """Adam with cut gradients and a learning rate that falls linearly.

    Args:
        parameters: What is moved.
        rate: The learning rate at the start.
        final_rate: Share of it that is left at the end.
        max_norm: Longer gradients are cut to this.
        threads: Chunks at the same time.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], rate: float, final_rate: float, max_norm: float, threads: int
    ) -> None:
        self._parameters = list(parameters)
        self._optimiser = torch.optim.Adam(self._parameters, rate, eps=1e-5)
        self._first_rate, self._final_rate, self._max_norm = rate, final_rate, max_norm
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def set_rate(self, done: float) -> float:
        """Set the learning rate, and return it; `done` is the share of the training that is behind."""
        rate = self._first_rate * (1.0 - (1.0 - self._final_rate) * min(1.0, done))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        return rate

    def step(self, places: Tensor, n_rows: int, loss_of: LossOf, moved: Sequence[nn.Parameter] | None = None) -> Tensor:
        """One step down the mean loss.

        Args:
            places: (L, M) what the loss is taken over; split along M.
            n_rows: Rows of observations that each place stands for.
            loss_of: Gives the mean loss over some of the places.
            moved: Those parameters alone; all by default.

        Returns:
            The mean figures for the log.
        """
        moved = self._parameters if moved is None else moved
        chunks = places.split(max(1, CHUNK_ROWS // (n_rows * len(places))), dim=1)

        def one(chunk: Tensor) -> tuple[Any, Tensor]:
            loss, log = loss_of(chunk)
            share = chunk.numel() / places.numel()
            return torch.autograd.grad(loss * share, moved, allow_unused=True), log * share

        found = list(self._pool.map(one, chunks) if self._pool else map(one, chunks))
        self._optimiser.zero_grad(set_to_none=True)
        for gradients, _ in found:
            for parameter, gradient in zip(moved, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        nn.utils.clip_grad_norm_(moved, self._max_norm)
        self._optimiser.step()
        return torch.stack([log for _, log in found]).sum(0)

    def get_state(self) -> list[dict[str, Tensor]]:
        """What the optimiser remembers."""
        return optimiser_state(self._optimiser)

    def set_state(self, state: Sequence[dict[str, Tensor]]) -> None:
        """Go back to what `get_state` returned."""
        set_optimiser_state(self._optimiser, state)
