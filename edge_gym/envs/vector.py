"""The primary view: B worlds as one `gymnasium.vector.VectorEnv`, stepped by one compiled call."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from edge_gym.envs.batch import Batch, Outcome, terms_of
from edge_gym.envs.common import check_choice, check_reset_options, check_seed, clear, resolve_task
from edge_gym.errors import ClosedEnv, EdgeGymInputError, EpisodeOver, InvalidAction, ResetNeeded
from edge_gym.kernel.tables import TERMS
from edge_gym.render import frame, text_frame

MODES = {mode.name.lower(): mode for mode in AutoresetMode}


class EdgeVectorEnv(VectorEnv):
    """B worlds of one scenario. Row b is bit for bit the single environment reset with `info["seed"][b]`.

    Args:
        num_envs: B, at least 1.
        task: Name of the task; its page documents spaces, reward and info.
        scenario: Preset name, file, or `Scenario`.
        autoreset_mode: "next_step" (default), "same_step" or "disabled", or the `AutoresetMode` member.
        illegal: What an illegal action does: "raise" `InvalidAction`, or "decline".
        copy: Return fresh observations (default). With False, two buffers take turns: an observation stays valid
            until the step after the next.
        render_mode: None, "ansi" or "rgb_array"; `render()` returns one frame for each world.
        **overrides: Fields of the scenario.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str = "routing",
        scenario: Any = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        illegal: str = "raise",
        copy: bool = True,
        render_mode: str | None = None,
        **overrides: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise EdgeGymInputError("num_envs", num_envs, "an int >= 1")
        mode = autoreset_mode if isinstance(autoreset_mode, AutoresetMode) else MODES.get(str(autoreset_mode).lower())
        if mode is None:
            raise EdgeGymInputError("autoreset_mode", autoreset_mode, f"one of {', '.join(MODES)}")
        self.metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4, "autoreset_mode": mode}
        self.illegal = check_choice("illegal", illegal, ("raise", "decline"))
        self.render_mode = check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.task, self.world = resolve_task(task, scenario, overrides)
        self.batch = self._make_batch(int(num_envs))
        self.num_envs = self.batch.n_rows
        self._per_world = self.num_envs // self.batch.n_worlds
        self.single_observation_space = self.task.observation_space(self.world.n_nodes)
        self.single_action_space = self.task.action_space(self.world.n_nodes, len(self.world.model_names))
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.copy = copy
        self._mode = mode
        self._buffers = [] if copy else [self.batch.empty_obs(), self.batch.empty_obs()]
        self._done = np.zeros(self.num_envs, bool)
        self._begun = np.zeros(self.num_envs, bool)
        self._rows = np.arange(self.num_envs)
        self._all = np.ones(self.num_envs, bool)
        self._all.setflags(write=False)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: An int from which every row gets its own stream, a list with one seed for each row, or None to go
                on: the next episode of each row's own sequence.
            options: `{"reset_mask": (B,) bool}` begins only the rows that are true (mode "disabled").

        Returns:
            Observations (B, N + 1, F) float32 and info.
        """
        self._refuse_closed()
        which = check_reset_options(options, self.num_envs, self._begun)
        worlds = self._worlds(which)
        self._plant(seed, worlds)
        obs = self.next_obs()
        out = self.batch.reset(worlds, obs)
        if not which.all():
            self.batch.observe(~worlds, obs)
            world, rows = self.batch.state.world, self._per_world
            out["time_s"], out["seed"] = self.batch.time_s.repeat(rows), world["seed"].repeat(rows)
        self._begun |= which
        self._done &= ~which
        return obs, self._info(terms_of(out), out["dt_s"], out["time_s"], out["seed"], self._all)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One decision in every world.

        Args:
            actions: (B,) integers, one choice for each row.

        Returns:
            Observations (B, N + 1, F) float32, rewards (B,) float64, terminated (B,) bool (always false),
            truncated (B,) bool, and info, where each key `k` has its `_k` mask.

        Raises:
            InvalidAction: A choice is malformed, or illegal; no world has changed.
            ResetNeeded: `reset` has not been called.
            EpisodeOver: A row is over and the mode is "disabled".
        """
        choices, invalid = self.check_actions(actions)
        over = self._done
        out = self.batch.step(choices, self._worlds(over), self.next_obs())
        extra: dict[str, Any] = {}
        time_s, seed = out.time_s, out.seed
        begins = over
        self._done = out.done
        if self._mode is AutoresetMode.SAME_STEP and out.done.any():
            extra = self._final(out)
            begins = out.done
            self._done = np.zeros(self.num_envs, bool)
        if begins.any():
            self.batch.episodes[self._worlds(begins)] += 1
            begun = self.batch.reset(self._worlds(begins), out.obs)
            time_s, seed = np.where(begins, begun["time_s"], time_s), np.where(begins, begun["seed"], seed)
        info = self._info(out.terms, out.dt_s, time_s, seed, self._all) | extra
        if self.illegal == "decline":
            info["invalid_action"], info["_invalid_action"] = invalid, self._all
        return out.obs, out.reward, np.zeros(self.num_envs, bool), out.done.copy(), info

    def check_actions(self, actions: Any) -> tuple[np.ndarray, np.ndarray]:
        """What `step` checks before anything changes; for views that step `batch` themselves.

        Args:
            actions: As for `step`.

        Returns:
            Choices (B,) int64, all legal, and which of the actions were not: (B,) bool.

        Raises:
            InvalidAction, ResetNeeded, EpisodeOver, ClosedEnv: As `step`.
        """
        self._refuse_closed()
        if not self._begun.all():
            raise ResetNeeded("call reset() before step()")
        over = self._done
        if self._mode is AutoresetMode.DISABLED and over.any():
            raise EpisodeOver(f"row {int(over.argmax())} is over: reset it with options={{'reset_mask': ...}}")
        try:
            choices = np.asarray(actions)
        except (ValueError, TypeError):
            choices = np.array(None)
        if choices.shape != (self.num_envs,) or choices.dtype.kind not in "iu":
            shown = f"{type(actions).__name__} of shape {choices.shape} and dtype {choices.dtype}"
            raise InvalidAction(f"actions = {shown}: must be {self.num_envs} integers in {self.single_action_space}")
        choices = choices.astype(np.int64)
        if over.any():
            choices[over] = self.batch.noop
        outside = (choices < 0) | (choices >= self.batch.mask.shape[1])
        if outside.any():
            b = int(outside.argmax())
            raise InvalidAction(f"actions[{b}] = {choices[b]}: must be in {self.single_action_space}")
        invalid = ~self.batch.mask[self._rows, choices] & ~over
        if invalid.any():
            if self.illegal == "raise":
                b = int(invalid.argmax())
                legal = np.flatnonzero(self.batch.mask[b]).tolist()
                raise InvalidAction(f"actions[{b}] = {choices[b]}: is masked out; legal now: {clear(legal)}")
            choices[invalid] = self.batch.noop
        return choices, invalid

    def next_obs(self) -> np.ndarray:
        """Where the next observations go: a fresh (B, N + 1, F) array or, with `copy=False`, the older of two."""
        if self.copy:
            return self.batch.empty_obs()
        self._buffers.reverse()
        return self._buffers[0]

    def action_masks(self) -> np.ndarray:
        """(B, A) bool, the choices that are legal now."""
        return self.batch.mask.copy()

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that moves, as named arrays: an exact save, also in the middle of an episode."""
        return {**self.batch.get_state(), "done": self._done.copy(), "begun": self._begun.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go back to what `get_state` returned; the next step is what it was then.

        Raises:
            EdgeGymInputError: It is no state, or that of another scenario or number of worlds.
        """
        self._refuse_closed()
        if not isinstance(state, dict):
            raise EdgeGymInputError("state", state, "what get_state returned", "set_state")
        for name in ("done", "begun"):
            found = state.get(name)
            if not isinstance(found, np.ndarray) or found.shape != (self.num_envs,) or found.dtype != bool:
                raise EdgeGymInputError(f"state.{name}", found, f"({self.num_envs},) bool", "set_state")
        self.batch.set_state(state)
        self._done, self._begun = state["done"].copy(), state["begun"].copy()

    def render(self) -> tuple[Any, ...] | None:
        """One frame for each world: a string ("ansi") or an array (H, W, 3) uint8 ("rgb_array")."""
        if self.render_mode is None:
            return None
        draw = text_frame if self.render_mode == "ansi" else frame
        return tuple(draw(self.world, self.batch.state, b) for b in range(self.batch.n_worlds))

    def close_extras(self, **kwargs: Any) -> None:
        """Nothing is held open."""

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ClosedEnv("this environment was closed; make a new one")

    def _make_batch(self, n_worlds: int) -> Batch:
        return Batch(self.world, n_worlds, self.task)

    def _worlds(self, rows: np.ndarray) -> np.ndarray:
        """The worlds of the rows in a (num_envs,) mask: those of a world go together."""
        return rows[:: self._per_world]

    def _plant(self, seed: int | list[int | None] | None, which: np.ndarray) -> None:
        """Give each world that begins its seed, or let it go on to its next episode."""
        batch = self.batch
        seeds: list[int | None] = [None] * batch.n_worlds
        if isinstance(seed, list | tuple) or (isinstance(seed, np.ndarray) and seed.ndim):
            if len(seed) != batch.n_worlds:
                raise EdgeGymInputError("seed", seed, f"a list of {batch.n_worlds} seeds, an int, or None", "reset")
            seeds = [None if s is None else check_seed(s) for s in seed]
        elif seed is not None:
            super().reset(seed=check_seed(seed))
            children = np.random.SeedSequence(check_seed(seed)).spawn(batch.n_worlds)
            seeds = [int(child.generate_state(1, np.uint64)[0] >> 1) for child in children]
        for b in np.flatnonzero(which):
            if seeds[b] is not None:
                batch.roots[b], batch.episodes[b] = seeds[b], 0
            elif self._begun[b * self._per_world]:
                batch.episodes[b] += 1
            else:
                batch.roots[b], batch.episodes[b] = self._fresh(), 0

    def _fresh(self) -> int:
        return int(self.np_random.integers(2**63))

    def _final(self, out: Outcome) -> dict[str, Any]:
        """What SAME_STEP adds: the last observation and info of the rows that are over."""
        over = out.done.copy()
        final_info = self._info(out.terms.copy(), out.dt_s.copy(), out.time_s, out.seed, over)
        return {"final_obs": out.obs.copy(), "_final_obs": over, "final_info": final_info, "_final_info": over}

    def _info(
        self, terms: np.ndarray, dt_s: np.ndarray, time_s: np.ndarray, seed: np.ndarray, rows: np.ndarray
    ) -> dict[str, Any]:
        """The info of a step, and for each key the rows it is about."""
        by_name: dict[str, Any] = {}
        for k, name in enumerate(TERMS):
            by_name[name], by_name["_" + name] = terms[:, k], rows
        return {
            "action_mask": self.batch.mask.copy(),
            "_action_mask": rows,
            "reward_terms": by_name,
            "_reward_terms": rows,
            "dt_s": dt_s,
            "_dt_s": rows,
            "time_s": time_s,
            "_time_s": rows,
            "events": self._events(rows),
            "_events": rows,
            "seed": seed,
            "_seed": rows,
        }

    def _events(self, rows: np.ndarray) -> np.ndarray:
        """(B,) object: the messages of each row, mostly none."""
        found = np.empty(self.num_envs, object)
        found.fill(())
        for b in np.flatnonzero(self.batch.state.world["news_count"]).tolist():
            for k in range(b * self._per_world, (b + 1) * self._per_world):
                if rows[k]:
                    found[k] = self.batch.events(b)
        return found
