"""Networks that score the rows of an observation with shared weights, so that they run on any number of nodes.

Each gives a score for every choice and a value of the state. `forward_numpy.py` computes the same without torch.

What is pooled is pooled over the legal rows: so a dead node, or a row added to fill up a batch, changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from edge_agents.spec import NEVER_CHOSEN, NetworkSpec
from edge_gym.errors import EdgeGymInputError


class Scores(NamedTuple):
    """What a network says."""

    logits: Tensor  # (B, A * C)
    value: Tensor  # (B,)
    memory: Tensor | None = None  # (B, A, H) of a recurrent network


class RowNetwork(nn.Module):
    """What all networks share: standardised features, the anchor, the heads.

    Attributes:
        spec: What it is made of.
        mean: (F,) subtracted from the features.
        scale: (F,) by which they are then multiplied.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("mean", torch.zeros(spec.n_features))
        self.register_buffer("scale", torch.ones(spec.n_features))
        self.embed = nn.Linear(spec.n_features, spec.hidden)
        self.score = nn.Linear(spec.hidden, spec.columns)
        self.value = nn.Linear(2 * spec.hidden, 1)
        self.anchor_scale = nn.Parameter(torch.tensor(float(spec.anchor_scale)))
        for head in (self.score, self.value):
            nn.init.zeros_(head.bias)
            nn.init.normal_(head.weight, std=0.01 / spec.hidden**0.5)

    def forward(self, obs: Tensor, legal: Tensor, links: Tensor | None = None, memory: Tensor | None = None) -> Scores:
        """Score every choice.

        Args:
            obs: (B, A, F) float32.
            legal: (B, A * C) bool.
            links: (B, A, A) float32, log-scaled delays between the rows; for kind "graph".
            memory: (B, A, H) of the last decision; for kind "recurrent".

        Returns:
            Scores, `NEVER_CHOSEN` where a choice is illegal.
        """
        open_rows = legal.view(*obs.shape[:2], -1).any(2)
        rows, memory = self.rows(self.embed((obs - self.mean) * self.scale), open_rows, links, memory)
        scores = self.score(rows)
        if self.spec.anchor:
            scores = scores - self.anchor_scale * obs[..., list(self.spec.anchor)].sum(2, keepdim=True)
        logits = scores.flatten(1).masked_fill(~legal, NEVER_CHOSEN)
        return Scores(logits, self.value(pool(rows, open_rows)).squeeze(1), memory)

    def rows(
        self, embedded: Tensor, open_rows: Tensor, links: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """From embedded rows (B, A, H) to what the heads see (B, A, H), and the memory."""
        raise NotImplementedError  # abstract: every kind but the mlp, which has no rows, overrides it

    def standardise(self, obs: Tensor) -> None:
        """Set mean and scale from observations (K, F); features that hardly vary are left alone."""
        self.mean.copy_(obs.mean(0))
        std = obs.std(0)
        self.scale.copy_(torch.where(std > 1e-3, 1.0 / std.clamp(min=1e-3), torch.ones_like(std)))


def pool(rows: Tensor, open_rows: Tensor) -> Tensor:
    """(B, 2 H): mean and maximum over the open rows."""
    weight = open_rows.unsqueeze(2).to(rows.dtype)
    mean = (rows * weight).sum(1) / weight.sum(1).clamp(min=1.0)
    return torch.cat([mean, rows.masked_fill(~open_rows.unsqueeze(2), NEVER_CHOSEN).amax(1)], 1)


class DeepSets(RowNetwork):
    """Each row is seen beside the mean and the maximum of all (Zaheer et al. 2017)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.mix = nn.Linear(spec.hidden, spec.hidden)
        self.context = nn.Linear(2 * spec.hidden, spec.hidden, bias=False)

    def rows(
        self, embedded: Tensor, open_rows: Tensor, links: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Two layers with the pooled context between them."""
        first = torch.relu(embedded)
        together = self.context(pool(first, open_rows)).unsqueeze(1)
        return torch.relu(self.mix(first) + together), None


class Attention(RowNetwork):
    """Each row attends to the legal ones (Vaswani et al. 2017), one block, no positions."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.query, self.key, self.worth = (nn.Linear(spec.hidden, spec.hidden, bias=False) for _ in range(3))
        self.join, self.mix = nn.Linear(spec.hidden, spec.hidden), nn.Linear(spec.hidden, spec.hidden)

    def rows(
        self, embedded: Tensor, open_rows: Tensor, links: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """One block with residual connections."""
        first = torch.relu(embedded)
        batch, n_rows, hidden = first.shape
        shape = (batch, n_rows, self.spec.heads, hidden // self.spec.heads)
        query, key, worth = (part(first).view(shape).transpose(1, 2) for part in (self.query, self.key, self.worth))
        unseen = torch.where(open_rows, 0.0, NEVER_CHOSEN)[:, None, None, :]
        strength = (query / shape[3] ** 0.5) @ key.transpose(2, 3) + (unseen + self.bias(links))
        seen = (strength.softmax(3) @ worth).transpose(1, 2).reshape(first.shape)
        first = first + self.join(seen)
        return first + torch.relu(self.mix(first)), None

    def bias(self, links: Tensor | None) -> Tensor | float:
        """What is added to the strengths (B, heads, A, A)."""
        return 0.0


class Graph(Attention):
    """Attention that sees the links: each head has its own taste for near or far rows."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.taste = nn.Parameter(torch.zeros(spec.heads))

    def bias(self, links: Tensor | None) -> Tensor | float:
        """Each head's taste times the log-scaled delay."""
        if links is None:
            raise EdgeGymInputError("links", None, "an array (B, A, A) for a network of kind 'graph'")
        return self.taste.view(1, -1, 1, 1) * links.unsqueeze(1)


class Recurrent(DeepSets):
    """DeepSets whose rows remember: one gated recurrent unit (Cho et al. 2014) for each, with shared weights."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.unit = nn.GRUCell(spec.hidden, spec.hidden)

    def rows(
        self, embedded: Tensor, open_rows: Tensor, links: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """As DeepSets, on what is remembered and what is seen."""
        if memory is None:
            memory = torch.zeros_like(embedded)
        kept = self.unit(torch.relu(embedded).flatten(0, 1), memory.flatten(0, 1)).view(embedded.shape)
        rows, _ = super().rows(kept, open_rows, links, None)
        return rows, kept


class Mlp(RowNetwork):
    """The control: all rows in one vector; it knows one number of nodes, and has to learn every row by itself."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.flat = nn.Linear(spec.rows * spec.n_features, spec.hidden)
        self.hidden = nn.Linear(spec.hidden, spec.hidden)
        self.all_scores = nn.Linear(spec.hidden, spec.rows * spec.columns)
        self.value = nn.Linear(spec.hidden, 1)
        for head in (self.all_scores, self.value):
            nn.init.zeros_(head.bias)
            nn.init.normal_(head.weight, std=0.01 / spec.hidden**0.5)
        del self.embed, self.score

    def forward(self, obs: Tensor, legal: Tensor, links: Tensor | None = None, memory: Tensor | None = None) -> Scores:
        """As `RowNetwork.forward`, for (B, rows, F) only."""
        flat = ((obs - self.mean) * self.scale).flatten(1)
        seen = torch.tanh(self.hidden(torch.tanh(self.flat(flat))))
        scores = self.all_scores(seen)
        if self.spec.anchor:
            anchor = obs[..., list(self.spec.anchor)].sum(2).repeat_interleave(self.spec.columns, 1)
            scores = scores - self.anchor_scale * anchor
        return Scores(scores.masked_fill(~legal, NEVER_CHOSEN), self.value(seen).squeeze(1))


KINDS: dict[str, type[RowNetwork]] = {
    "deepsets": DeepSets,
    "attention": Attention,
    "graph": Graph,
    "recurrent": Recurrent,
    "mlp": Mlp,
}


def build(spec: NetworkSpec) -> RowNetwork:
    """A network with fresh weights, drawn from torch's generator."""
    return KINDS[spec.kind](spec)


def restore(spec: NetworkSpec, tensors: dict[str, np.ndarray]) -> RowNetwork:
    """A network with given weights, as a checkpoint holds them; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        network = build(spec)
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    return network
