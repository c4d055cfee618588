"""The control surface of the fast path in names: tools with closed schemas, and the numbers of the actions they are.

Rules, a language model and a learned controller use the same actions (`edge_gym.tasks.metacontrol`); this is the one
place that translates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_gym.behind import behind, keep
from edge_gym.envs.batch import Batch
from edge_gym.kernel import control, step
from edge_gym.kernel.control import EXPLORATIONS, FORGETTINGS

LEVELS = ("open", "caution", "closed")
MAX_PROBES = 4  # of one call of `calibrate`


class Surface:
    """The tools of the worlds of a batch.

    Attributes:
        nodes: What the nodes are called.
        models: What the models are called.
        probe_s: (N, M) prior seconds that a probe occupies an idle node; inf where the model is not served.
        guards: What binds whoever uses the tools (`scenario.control`); public.
    """

    def __init__(self, batch: Batch) -> None:
        keep(self, batch)
        self.guards = batch.world.scenario.control
        self.nodes = batch.world.node_names
        self.models = batch.world.model_names
        params = batch.world.params
        work_s = params.service["first_s"] + params.service["per_prompt_token_s"] * params.model["probe_prompt"]
        work_s = work_s + params.service["per_unit_s"] * params.model["probe_units"]
        self.probe_s = np.where(params.service["supported"] == 1, work_s, np.inf)
        self._columns = int(control.columns_of(len(self.models)))

    @property
    def finish(self) -> int:
        """The action that ends the turn."""
        return len(self.nodes) * self._columns + control.FINISH

    def set_risk_gate(self, node: Any, level: Any) -> Any:
        """The action that sets the gate of a node to 0 (open), 1 (caution) or 2 (closed); also for arrays of them."""
        return node * self._columns + level

    def calibrate(self, node: Any, model: Any) -> Any:
        """The action that sends one probe request for a model to a node; also for arrays of them."""
        return node * self._columns + control.LEVELS + model

    def set_exploration(self, value: float) -> int:
        """The action that sets the router's exploration to one of `EXPLORATIONS`."""
        return self.finish + 1 + EXPLORATIONS.index(value)

    def set_forgetting(self, value: float) -> int:
        """The action that sets the router's forgetting to one of `FORGETTINGS`."""
        return self.finish + 1 + len(EXPLORATIONS) + FORGETTINGS.index(value)

    def describe(self, action: int) -> str:
        """A tool call in words, for logs and pages."""
        row, column = divmod(int(action), self._columns)
        if row == len(self.nodes):
            k = column - 1
            if column == control.FINISH:
                return "finish"
            if k < len(EXPLORATIONS):
                return f"configure_router(exploration={EXPLORATIONS[k]:g})"
            return f"configure_router(forgetting={FORGETTINGS[k - len(EXPLORATIONS)]:g})"
        if column < control.LEVELS:
            return f"set_risk_gate({self.nodes[row]}, {LEVELS[column]})"
        return f"calibrate({self.nodes[row]}, {self.models[column - control.LEVELS]})"

    def first_refused(self, b: int, actions: Sequence[int]) -> int | None:
        """Which of these calls, made one after the other in world `b` now, the guards would refuse first.

        They are tried on a copy of the world; the world itself does not change.

        Returns:
            Index into `actions`, or None if all would pass.
        """
        kept = behind(self)
        batch = kept.batch
        spare = kept.spare = kept.spare or Batch(batch.world, 1, batch.task)
        for mine, theirs in zip(spare.state, batch.state, strict=True):
            mine[0] = theirs[b]
        spare.mask[0] = batch.mask[b]
        obs = spare.empty_obs()
        for k, action in enumerate(actions):
            if not spare.mask[0, action]:
                return k
            spare.order["action"], spare.order["todo"] = action, step.STEP
            spare.run(obs)
        return None


__all__ = ["EXPLORATIONS", "FORGETTINGS", "LEVELS", "MAX_PROBES", "Surface"]
