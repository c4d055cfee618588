"""The single view: one world as a `gymnasium.Env`, a batch of one."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import check_choice, check_options, check_seed, clear, resolve_task
from edge_gym.errors import ClosedEnv, EdgeGymInputError, EpisodeOver, InvalidAction, ResetNeeded, show
from edge_gym.kernel import step as kernel
from edge_gym.kernel.tables import OUTCOME, TERMS
from edge_gym.render import frame, text_frame
from edge_gym.window import Window


class EdgeEnv(gymnasium.Env):
    """One world.

    Args:
        task: Name of the task; its page documents spaces, reward and info.
        scenario: Preset name, file, or `Scenario`.
        illegal: What an illegal action does: "raise" `InvalidAction`, or "decline".
        render_mode: None, "ansi", "rgb_array", or "human": a window that is drawn anew after every reset and step.
        **overrides: Fields of the scenario.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """

    metadata = {"render_modes": ["ansi", "rgb_array", "human"], "render_fps": 4}

    def __init__(
        self,
        *,
        task: str = "routing",
        scenario: Any = None,
        illegal: str = "raise",
        render_mode: str | None = None,
        **overrides: Any,
    ) -> None:
        self.metadata = dict(self.metadata)  # its own: vector environments of older Gymnasiums write into it
        self.illegal = check_choice("illegal", illegal, ("raise", "decline"))
        self.render_mode = check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.task, self.world = resolve_task(task, scenario, overrides)
        self.observation_space = self.task.observation_space(self.world.n_nodes)
        self.action_space = self.task.action_space(self.world.n_nodes, len(self.world.model_names))
        self.batch = Batch(self.world, 1, self.task)
        self._window = Window(f"edge_gym {task}") if self.render_mode == "human" else None
        self._phase = "new"  # new, running, over, closed
        self._out = np.zeros(1, OUTCOME)
        self._shape = (1, self.world.n_nodes + 1, len(self.task.columns))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: An int >= 0 begins a sequence of episodes; None goes on with the next one of the sequence (the
                first time, a sequence from the operating system's entropy). `info["seed"]` names the episode.
            options: Must be None or empty.

        Returns:
            Observation (N + 1, F) float32 and info.
        """
        if self._phase == "closed":
            raise ClosedEnv("this environment was closed; make a new one")
        check_options(options)
        if seed is not None:
            seed = check_seed(seed)
        super().reset(seed=seed)
        batch = self.batch
        if seed is None and self._phase != "new":
            batch.episodes[0] += 1
        else:
            batch.roots[0] = int(self.np_random.integers(2**63)) if seed is None else seed
            batch.episodes[0] = 0
        obs = np.empty(self._shape, np.float32)
        batch.order["todo"] = kernel.BEGIN
        self._phase = "running"
        info = self._run(obs)[2]
        self._show()
        return obs[0], info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Decide, and run to the next decision.

        Args:
            action: int, the choice.

        Returns:
            Observation (N + 1, F) float32, reward, terminated (always False), truncated, info.

        Raises:
            InvalidAction: The action is malformed, or illegal; nothing has changed.
            ResetNeeded, EpisodeOver, ClosedEnv: There is no running episode.
        """
        if self._phase != "running":
            self._refuse()
        choice, invalid = self._check_action(action)
        order = self.batch.order
        order["action"], order["todo"] = choice, kernel.STEP
        obs = np.empty(self._shape, np.float32)
        reward, truncated, info = self._run(obs)
        if truncated:
            self._phase = "over"
        if self.illegal == "decline":
            info["invalid_action"] = invalid
        self._show()
        return obs[0], reward, False, truncated, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool, the choices that are legal now."""
        return self.batch.mask[0].copy()

    def get_state(self) -> dict[str, Any]:
        """Everything that moves: an exact save, also in the middle of an episode."""
        return {**self.batch.get_state(), "phase": self._phase}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned, here or in another process; the next step is what it was then.

        Raises:
            EdgeGymInputError: It is no state, or that of another scenario.
        """
        if self._phase == "closed":
            raise ClosedEnv("this environment was closed; make a new one")
        if not isinstance(state, dict):
            raise EdgeGymInputError("state", state, "what get_state returned", "set_state")
        check_choice("state['phase']", state.get("phase"), ("new", "running", "over"))
        self.batch.set_state(state)
        self._phase = state["phase"]

    def clone(self) -> EdgeEnv:
        """An independent copy that goes on from here exactly as this environment would."""
        return copy.deepcopy(self)

    def render(self) -> Any:
        """The world now: text ("ansi") or an image (H, W, 3) uint8 ("rgb_array"); else None."""
        if self.render_mode is None or self._window is not None:
            return None
        draw = text_frame if self.render_mode == "ansi" else frame
        return draw(self.world, self.batch.state, 0)

    def close(self) -> None:
        """Refuse further use; may be called again."""
        self._phase = "closed"
        if self._window is not None:
            self._window.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(frame(self.world, self.batch.state, 0), 1.0 / self.metadata["render_fps"])

    def _refuse(self) -> None:
        if self._phase == "new":
            raise ResetNeeded("call reset() before step()")
        if self._phase == "over":
            raise EpisodeOver("the episode is over: call reset() before step()")
        raise ClosedEnv("this environment was closed; make a new one")

    def _check_action(self, action: Any) -> tuple[int, bool]:
        if isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu":
            action = action[()]  # what Stable-Baselines3's `predict` returns
        if isinstance(action, bool) or not isinstance(action, int | np.integer):
            raise InvalidAction(f"action = {show(action)}: must be an int in {self.action_space}")
        if not 0 <= action < self.batch.mask.shape[1]:
            raise InvalidAction(f"action = {show(action)}: must be in {self.action_space}")
        if self.batch.mask[0, action]:
            return int(action), False
        if self.illegal == "raise":
            legal = np.flatnonzero(self.batch.mask[0]).tolist()
            raise InvalidAction(f"action = {action}: is masked out in {self.action_space}; legal now: {clear(legal)}")
        return self.batch.noop, True

    def _run(self, obs: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Carry out the order; reward, truncated and info of it."""
        reward, dt_s, *terms, time_s, seed, done = self.batch.run(obs, self._out)[0].item()
        info = {
            "action_mask": self.batch.mask[0].copy(),
            "reward_terms": dict(zip(TERMS, terms, strict=True)),
            "dt_s": dt_s,
            "time_s": time_s,
            "events": self.batch.events(0),
            "seed": seed,
        }
        return reward, done == 1, info
