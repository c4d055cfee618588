"""Torch's moving parts as nested dicts and lists of CPU tensors, which any format can hold; and how learners draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def network_state(network: nn.Module) -> dict[str, Tensor]:
    """A copy of weights and buffers; `network.load_state_dict` puts it back."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def optimiser_state(optimiser: Optimizer) -> list[dict[str, Tensor]]:
    """A copy of what the optimiser remembers of each parameter, in order; empty where it was never moved."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return [
        {name: tensor.detach().cpu().clone() for name, tensor in optimiser.state.get(parameter, {}).items()}
        for parameter in parameters
    ]


def set_optimiser_state(optimiser: Optimizer, state: Sequence[dict[str, Tensor]]) -> None:
    """Put back what `optimiser_state` returned."""
    saved: dict[str, Any] = optimiser.state_dict()
    saved["state"] = {k: {name: t.clone() for name, t in entry.items()} for k, entry in enumerate(state) if entry}
    optimiser.load_state_dict(saved)


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One choice for each row, with the probabilities that the logits (B, K) mean; (B,) int64.

    The first of exponential clocks to ring: their logarithms stay far below the score of what is illegal.
    """
    clocks = torch.empty_like(logits).exponential_(generator=generator).clamp_(min=1e-30)
    return (logits - clocks.log_()).argmax(1)
