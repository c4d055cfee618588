"""The networks by numpy alone: the same scores as `networks.py` gives, without torch, and fast for one world.

Standardising the features and choosing among the columns of an observation are folded into the first layer. Work is
done on parts of a batch that stay in the processor's cache, in buffers that are used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edge_agents.spec import NEVER_CHOSEN, NetworkSpec
from edge_gym.errors import EdgeGymInputError

PART_ROWS = 4096  # rows of observations that are worked on at the same time
BLOCK = 2**18  # multiplications up to which OpenBLAS stays on one thread (its interface/gemm.c)
MANY = 32  # worlds from which on it pays
MOST_ROOMS = 64
Tensors = dict[str, np.ndarray]


class Layer(NamedTuple):
    """A linear layer as it is applied: inputs (..., I) @ weight (I, O) + bias (O,)."""

    weight: np.ndarray
    bias: np.ndarray


class Forward:
    """Scores of every choice. One object serves one thread: the buffers are shared by its calls.

    Args:
        spec: What the network is made of.
        tensors: Its weights by name (`edge_agents.spec.shapes`), float32.
        columns: (F,) which column of an observation each feature of the network is; by default they are the same.
        n_given: How many columns an observation has; F by default.
    """

    def __init__(
        self, spec: NetworkSpec, tensors: Tensors, columns: Sequence[int] | None = None, n_given: int | None = None
    ) -> None:
        self.spec, self.tensors = spec, tensors
        self.columns = list(range(spec.n_features) if columns is None else columns)
        self.n_given = spec.n_features if n_given is None else n_given
        self.anchor = [self.columns[k] for k in spec.anchor]
        self.anchor_scale = np.float32(tensors["anchor_scale"])
        self._rooms: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}
        self.prepare()

    def prepare(self) -> None:
        """Bring the weights into the form in which they are applied."""
        self.embed = self.first_layer("embed", 1)
        self.score = self.layer("score")

    def logits(
        self, obs: np.ndarray, legal: np.ndarray, links: np.ndarray | None = None, memory: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Score every choice.

        Args:
            obs: (B, A, n_given) float32.
            legal: (B, A * C) bool, at least one choice of each world.
            links: (A, A) or (B, A, A) float32, log-scaled delays between the rows; for kind "graph".
            memory: (B, A, H) float32 of the last decision, overwritten by that of this one; for kind "recurrent".

        Returns:
            (B, A * C) float32, `NEVER_CHOSEN` where a choice is illegal; and the memory.
        """
        n_worlds, n_rows, _ = obs.shape
        self._check(obs, legal)
        if self.spec.kind == "recurrent" and memory is None:
            memory = np.zeros((n_worlds, n_rows, self.spec.hidden), np.float32)
        out = np.empty(legal.shape, np.float32)
        most = max(1, PART_ROWS // n_rows)
        if n_worlds <= most:
            self._part(obs, legal, links, memory, out)
            return out, memory
        for first in range(0, n_worlds, most):
            part = slice(first, first + most)
            near = links[part] if links is not None and links.ndim == 3 else links
            self._part(obs[part], legal[part], near, None if memory is None else memory[part], out[part])
        return out, memory

    def _check(self, obs: np.ndarray, legal: np.ndarray) -> None:
        n_worlds, n_rows, n_columns = obs.shape
        if n_columns != self.n_given:
            raise EdgeGymInputError("obs", obs.shape, f"an array (B, A, {self.n_given})")
        if legal.shape != (n_worlds, n_rows * self.spec.columns):
            allowed = f"an array (B, {self.spec.columns} x {n_rows}): the network has {self.spec.columns} choices a row"
            raise EdgeGymInputError("legal", legal.shape, allowed)

    def _part(
        self,
        obs: np.ndarray,
        legal: np.ndarray,
        links: np.ndarray | None,
        memory: np.ndarray | None,
        out: np.ndarray,
    ) -> None:
        scores = self.scores(obs, legal, links, memory)
        for column in self.anchor:
            scores -= obs[:, :, column : column + 1] * self.anchor_scale
        out.fill(NEVER_CHOSEN)
        np.copyto(out, scores.reshape(out.shape), where=legal)

    def scores(
        self, obs: np.ndarray, legal: np.ndarray, links: np.ndarray | None, memory: np.ndarray | None
    ) -> np.ndarray:
        """(B, A, C) without the anchor, whatever of it is legal; the memory is overwritten."""
        shape = *obs.shape[:2], self.spec.columns
        open_rows: np.ndarray = legal if self.spec.columns == 1 else np.any(legal.reshape(shape), axis=2)
        embedded = self.apply("first", self.embed, obs)
        return self.apply("scores", self.score, self.rows(embedded, open_rows, links, memory))

    def rows(
        self, embedded: np.ndarray, open_rows: np.ndarray, links: np.ndarray | None, memory: np.ndarray | None
    ) -> np.ndarray:
        """From embedded rows (B, A, H), which may be overwritten, to what the head sees (B, A, H)."""
        raise NotImplementedError  # abstract: every kind but the mlp, which has no rows, overrides it

    def room(self, name: str, *shape: int) -> np.ndarray:
        """The buffer `name` with this shape; what it holds is left from before."""
        found = self._rooms.get((name, shape))
        if found is None:
            if len(self._rooms) >= MOST_ROOMS:
                self._rooms.clear()
            found = self._rooms[name, shape] = np.empty(shape, np.float32)
        return found

    def apply(self, name: str, layer: Layer, inputs: np.ndarray) -> np.ndarray:
        """A layer of inputs (B, A, I), in the buffer `name`."""
        out = product(inputs, layer.weight, self.room(name, *inputs.shape[:2], layer.weight.shape[1]))
        out += layer.bias
        return out

    def layer(self, name: str) -> Layer:
        """A layer of the network."""
        weight = self.tensors[f"{name}.weight"]
        bias = self.tensors.get(f"{name}.bias", np.zeros(len(weight), np.float32))
        return Layer(np.ascontiguousarray(weight.T), bias)

    def first_layer(self, name: str, n_rows: int) -> Layer:
        """A layer that takes `n_rows` rows of an observation as they are, standardising included."""
        weight = self.tensors[f"{name}.weight"].astype(np.float64).reshape(-1, n_rows, self.spec.n_features)
        mean, scale = (self.tensors[part].astype(np.float64) for part in ("mean", "scale"))
        folded = weight * scale
        bias = self.tensors[f"{name}.bias"] - (folded * mean).sum((1, 2))
        spread = np.zeros((len(weight), n_rows, self.n_given))
        spread[:, :, self.columns] = folded
        flat = spread.reshape(len(weight), -1).T
        return Layer(np.ascontiguousarray(flat, np.float32), bias.astype(np.float32))


def product(inputs: np.ndarray, weight: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`inputs` (B, A, I) @ `weight` (I, O), to `out` (B, A, O).

    World by world, so that no bit depends on which others are in the batch; and in products so small that OpenBLAS does
    not call its other threads for them: beside other busy processes it would wait for these many times longer than the
    work takes.
    """
    rows = max(1, BLOCK // weight.size)
    for first in range(0, inputs.shape[1], rows):
        np.matmul(inputs[:, first : first + rows], weight, out=out[:, first : first + rows])
    return out


def relu(array: np.ndarray) -> np.ndarray:
    """The larger of a number and 0, in place."""
    return np.maximum(array, 0.0, out=array)


def highest(rows: np.ndarray, out: np.ndarray) -> None:
    """Maximum over the rows (B, A, H), which are overwritten, to (B, H)."""
    n_worlds, left, _ = rows.shape
    while left > 1 and n_worlds >= MANY:  # halves on halves are long runs of memory, which numpy likes
        half = left // 2
        np.maximum(rows[:, :half], rows[:, left - half : left], out=rows[:, :half])
        left -= half
    np.maximum.reduce(rows[:, :left], axis=1, out=out)


def sigmoid(array: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) in place, written so that nothing overflows."""
    array *= np.float32(0.5)
    np.tanh(array, out=array)
    array += np.float32(1.0)
    array *= np.float32(0.5)
    return array


class DeepSets(Forward):
    """Each row is seen beside the mean and the maximum of all."""

    def prepare(self) -> None:
        """As `Forward.prepare`."""
        super().prepare()
        mix = self.layer("mix")
        self.mix = mix.weight
        self.context = Layer(np.ascontiguousarray(self.tensors["context.weight"].T), mix.bias)

    def rows(
        self, embedded: np.ndarray, open_rows: np.ndarray, links: np.ndarray | None, memory: np.ndarray | None
    ) -> np.ndarray:
        """Two layers with the pooled context between them."""
        return self.together(relu(embedded), open_rows)

    def together(self, first: np.ndarray, open_rows: np.ndarray) -> np.ndarray:
        """The second layer, on rows (B, A, H) of which none is below 0; they are overwritten."""
        n_worlds, n_rows, hidden = first.shape
        first[~open_rows] = 0.0  # no maximum, as nothing is below
        share = open_rows.astype(np.float32)
        share /= np.add.reduce(share, axis=1, keepdims=True)
        pooled = self.room("pooled", n_worlds, 1, 2 * hidden)
        np.matmul(share[:, None, :], first, out=pooled[:, :, :hidden])
        seen = product(first, self.mix, self.room("seen", n_worlds, n_rows, hidden))
        highest(first, pooled[:, 0, hidden:])
        seen += self.apply("context", self.context, pooled)
        return relu(seen)


class Recurrent(DeepSets):
    """DeepSets whose rows remember."""

    def prepare(self) -> None:
        """As `Forward.prepare`."""
        super().prepare()
        self.see, self.recall = (
            Layer(np.ascontiguousarray(self.tensors[f"unit.weight_{end}"].T), self.tensors[f"unit.bias_{end}"])
            for end in ("ih", "hh")
        )

    def rows(
        self, embedded: np.ndarray, open_rows: np.ndarray, links: np.ndarray | None, memory: np.ndarray | None
    ) -> np.ndarray:
        """As DeepSets, on what is remembered and what is seen."""
        assert memory is not None
        hidden = self.spec.hidden
        see, recall = self.apply("see", self.see, relu(embedded)), self.apply("recall", self.recall, memory)
        gates = see[:, :, : 2 * hidden]
        gates += recall[:, :, : 2 * hidden]
        sigmoid(gates)
        fresh, old = see[:, :, 2 * hidden :], recall[:, :, 2 * hidden :]
        old *= gates[:, :, :hidden]
        fresh += old
        np.tanh(fresh, out=fresh)
        memory -= fresh
        memory *= gates[:, :, hidden:]
        memory += fresh
        kept = self.room("remembered", *memory.shape)
        return self.together(np.maximum(memory, np.float32(0.0), out=kept), open_rows)


class Attention(Forward):
    """Each row attends to the legal ones."""

    def prepare(self) -> None:
        """As `Forward.prepare`: query, key and worth are one layer, the scale of the strengths is in the query."""
        super().prepare()
        parts = [self.layer(name) for name in ("query", "key", "worth")]
        root = np.float32((self.spec.hidden // self.spec.heads) ** -0.5)
        weight = np.concatenate([parts[0].weight * root, parts[1].weight, parts[2].weight], axis=1)
        self.parts = Layer(weight, np.concatenate([part.bias for part in parts]))
        self.join, self.mix = self.layer("join"), self.layer("mix")

    def rows(
        self, embedded: np.ndarray, open_rows: np.ndarray, links: np.ndarray | None, memory: np.ndarray | None
    ) -> np.ndarray:
        """One block with residual connections."""
        first = relu(embedded)
        n_worlds, n_rows, hidden = first.shape
        heads = self.spec.heads
        parts = self.apply("parts", self.parts, first).reshape(n_worlds, n_rows, 3, heads, hidden // heads)
        query, key, worth = (parts[:, :, k].transpose(0, 2, 1, 3) for k in range(3))
        strength = self.room("strength", n_worlds, heads, n_rows, n_rows)
        np.matmul(query, key.swapaxes(2, 3), out=strength)
        self.add_bias(strength, links)
        strength += np.where(open_rows, np.float32(0.0), np.float32(NEVER_CHOSEN))[:, None, None, :]
        strength -= np.maximum.reduce(strength, axis=3, keepdims=True)
        np.exp(strength, out=strength)
        strength /= np.add.reduce(strength, axis=3, keepdims=True)
        seen = self.room("seen", n_worlds, n_rows, heads, hidden // heads)
        np.matmul(strength, worth, out=seen.transpose(0, 2, 1, 3))
        first += self.apply("join", self.join, seen.reshape(first.shape))
        first += relu(self.apply("mix", self.mix, first))
        return first

    def add_bias(self, strength: np.ndarray, links: np.ndarray | None) -> None:
        """What is added to the strengths (B, heads, A, A): nothing."""


class Graph(Attention):
    """Attention that sees the links."""

    def add_bias(self, strength: np.ndarray, links: np.ndarray | None) -> None:
        """Each head's taste times the log-scaled delay."""
        if links is None:
            raise EdgeGymInputError("links", None, "an array (A, A) or (B, A, A) for a network of kind 'graph'")
        near = links[None] if links.ndim == 2 else links
        strength += self.tensors["taste"][:, None, None] * near[:, None]


class Mlp(Forward):
    """All rows in one vector; one number of nodes."""

    def prepare(self) -> None:
        """As `Forward.prepare`."""
        self.embed = self.first_layer("flat", self.spec.rows)
        self.hidden, self.score = self.layer("hidden"), self.layer("all_scores")

    def scores(
        self, obs: np.ndarray, legal: np.ndarray, links: np.ndarray | None, memory: np.ndarray | None
    ) -> np.ndarray:
        """As `Forward.scores`."""
        seen = self.apply("first", self.embed, obs.reshape(len(obs), 1, -1))
        seen = self.apply("seen", self.hidden, np.tanh(seen, out=seen))
        return self.apply("scores", self.score, np.tanh(seen, out=seen)).reshape(*obs.shape[:2], -1)

    def _check(self, obs: np.ndarray, legal: np.ndarray) -> None:
        if obs.shape[1] != self.spec.rows:
            nodes = f"{self.spec.rows - 1} nodes, what a network of kind 'mlp' was trained on"
            raise EdgeGymInputError("n_nodes", obs.shape[1] - 1, nodes)
        super()._check(obs, legal)


KINDS: dict[str, type[Forward]] = {
    "deepsets": DeepSets,
    "attention": Attention,
    "graph": Graph,
    "recurrent": Recurrent,
    "mlp": Mlp,
}
