"""Worlds for learners that are solved by hand: one row is marked, and choosing it is rewarded."""

import numpy as np
import torch
from edge_agents.networks import NetworkSpec, build
from edge_agents.worlds import Step

N_ROWS, N_FEATURES = 5, 3


class Marked:
    """Stands in for `Worlds`: the same attributes.

    Feature 0 says which row is marked, feature 1 is noise, feature 2 is 1. The last row is never marked. A choice of
    the row that was marked `late` decisions ago is rewarded by 1. Unless `late`, a row without a mark cannot be chosen.

    Args:
        n_worlds: B.
        seed: Of the marks.
        late: Decisions between the mark and its reward: 0 or 1.
        length: Of an episode; 0: it never ends.
        n_parts: Of the batch.
        constant: Every choice is rewarded, marked or not.
    """

    group = 1
    columns = 1

    def __init__(self, n_worlds=32, seed=0, late=0, length=10, n_parts=1, constant=False):
        self.n_worlds, self.n_rows = n_worlds, N_ROWS
        self.late, self.length, self.constant = late, length, constant
        size = n_worlds // n_parts
        self.parts = [slice(k * size, (k + 1) * size) for k in range(n_parts)]
        self.draws = [np.random.default_rng([seed, k]) for k in range(n_parts)]
        self.obs = np.zeros((n_worlds, N_ROWS, N_FEATURES), np.float32)
        self.mask = np.ones((n_worlds, N_ROWS), bool)
        self.right, self.age = np.zeros((2, n_worlds), np.int64), np.zeros(n_worlds, np.int64)
        self.done = Step(np.zeros(n_worlds), np.ones(n_worlds), np.zeros(n_worlds, bool))

    def begin(self):
        for k in range(len(self.parts)):
            self.show(k)

    def show(self, k):
        part, draws = self.parts[k], self.draws[k]
        size = part.stop - part.start
        marked = draws.integers(0, N_ROWS - 1, size)
        self.right[1, part], self.right[0, part] = self.right[0, part], marked
        self.obs[part, :, 0] = np.arange(N_ROWS) == marked[:, None]
        self.obs[part, :, 1] = draws.random((size, N_ROWS))
        self.obs[part, :, 2] = 1.0
        if not self.late:
            self.mask[part] = np.arange(N_ROWS) != ((marked + draws.integers(1, N_ROWS, size)) % N_ROWS)[:, None]

    def step(self, actions):
        for k, part in enumerate(self.parts):
            self.step_part(k, actions[part])
        return self.done

    def step_part(self, k, actions):
        part = self.parts[k]
        assert self.mask[part][np.arange(len(actions)), actions].all()
        right = (actions == self.right[self.late, part]) & (self.age[part] >= self.late)
        self.done.reward[part] = 1.0 if self.constant else right
        self.age[part] += 1
        self.done.done[part] = self.age[part] == self.length
        self.age[part][self.done.done[part]] = 0
        self.show(k)
        return Step(*(column[part] for column in self.done))

    def get_state(self):
        tables = {"obs": self.obs.copy(), "right": self.right.copy(), "age": self.age.copy(), "mask": self.mask.copy()}
        return tables | {"draws": [draws.bit_generator.state for draws in self.draws]}

    def set_state(self, state):
        for name in ("obs", "right", "age", "mask"):
            getattr(self, name)[:] = state[name]
        for draws, saved in zip(self.draws, state["draws"], strict=True):
            draws.bit_generator.state = saved


def network(kind, seed=0, hidden=16, n_features=N_FEATURES, n_rows=N_ROWS, **more):
    """Fresh weights, the same for the same seed; torch's own draws stay as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rows = n_rows if kind == "mlp" else 0
        return build(NetworkSpec(kind=kind, n_features=n_features, hidden=hidden, rows=rows, **more))


def share_right(net, worlds, steps=200):
    """Share of the greedy choices that are rewarded, over decisions that can be."""
    worlds.begin()
    memory, total, count = None, 0.0, 0
    begun = np.ones(worlds.n_worlds, bool)
    with torch.inference_mode():
        for _ in range(steps):
            if memory is not None:
                memory = memory * torch.from_numpy(~begun)[:, None, None]
            scores = net(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask), None, memory)
            memory = scores.memory
            can = worlds.age >= worlds.late
            out = worlds.step(scores.logits.argmax(1).numpy())
            begun = out.done.copy()
            total, count = total + out.reward[can].sum(), count + can.sum()
    return total / count
