"""The many-decider view: one world as a `pettingzoo.ParallelEnv`, a batch of one split by site."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Space
from pettingzoo import ParallelEnv

from edge_gym.envs.common import check_choice, check_seed, clear, resolve_task
from edge_gym.envs.sites_batch import SITE_TASKS, make_sites_batch, site_rules, split_settings
from edge_gym.errors import ClosedEnv, EpisodeOver, InvalidAction, ResetNeeded, show
from edge_gym.kernel import step as kernel
from edge_gym.kernel.tables import OUTCOME, TERMS
from edge_gym.render import frame, text_frame


class SitesParallelEnv(ParallelEnv):
    """One world in which every site decides for itself.

    Args:
        task: "routing", "placement" or "migration"; the page is that of `edge_gym.routing_v0` and so on.
        scenario: Preset name, file, or `Scenario`.
        illegal: What an illegal action does: "raise" `InvalidAction`, or "decline".
        render_mode: None, "ansi" or "rgb_array".
        **arguments: Fields of the scenario; and `slot_s`, `heartbeat_s`, `reward`, `view`.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """

    metadata = {"name": "routing_v0", "render_modes": ["ansi", "rgb_array"], "render_fps": 4, "is_parallelizable": True}

    def __init__(
        self,
        *,
        task: str = "routing",
        scenario: Any = None,
        illegal: str = "raise",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        check_choice("task", task, SITE_TASKS)
        self.metadata = {**self.metadata, "name": f"{task}_v0"}
        self.illegal = check_choice("illegal", illegal, ("raise", "decline"))
        self.render_mode = check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        settings, overrides = split_settings(arguments)
        self.task, self.world = resolve_task(task, scenario, overrides)
        self.batch = make_sites_batch(self.task, self.world, 1, site_rules(self.world, **settings))
        self.possible_agents = [f"site_{s}" for s in range(self.world.n_sites)]
        self.agents: list[str] = []
        shown = self.task.observation_space(self.world.n_nodes)
        n_choices = self.world.n_nodes + 1
        self.observation_spaces: dict[str, Space] = {
            agent: Dict({"observation": shown, "action_mask": MultiBinary(n_choices)}) for agent in self.possible_agents
        }
        self.action_spaces: dict[str, Space] = {agent: Discrete(n_choices) for agent in self.possible_agents}
        more = len(self.possible_agents) * (len(self.batch.subject_columns) + 1)
        low = np.r_[shown.low.ravel(), np.zeros(more, np.float32)]
        self._state_space = Box(low, np.r_[shown.high.ravel(), np.ones(more, np.float32)], dtype=np.float32)
        self._phase = "new"  # new, running, over, closed
        self._out = np.zeros(self.batch.n_rows, OUTCOME)
        self._obs = self.batch.empty_obs()

    def observation_space(self, agent: str) -> Space:
        """Space of one observation of `agent`; the same object at each call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        """Space of one action of `agent`; the same object at each call."""
        return self.action_spaces[agent]

    @property
    def state_space(self) -> Space:
        """Space of `state()`."""
        return self._state_space

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: An int >= 0 begins a sequence of episodes; None goes on with the next one of the sequence (the
                first time, a sequence from the operating system's entropy). `info["seed"]` names the episode.
            options: Not read.

        Returns:
            Observations and infos, by site.
        """
        self._refuse("closed")
        batch = self.batch
        if seed is None and self._phase != "new":
            batch.episodes[0] += 1
        else:
            drawn = np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1 if seed is None else check_seed(seed)
            batch.roots[0], batch.episodes[0] = drawn, 0
        batch.order["todo"] = kernel.BEGIN
        self.agents = self.possible_agents[:]
        self._phase = "running"
        obs, _, _, infos = self._run()
        return obs, infos

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """The sites decide, and the world runs until one of them has to decide again.

        Args:
            actions: The choice of every site, an int.

        Returns:
            Observations, rewards, terminated (always False), truncated, infos: each by site.

        Raises:
            InvalidAction: An action is missing, malformed or illegal; nothing has changed.
            ResetNeeded, EpisodeOver, ClosedEnv: There is no running episode.
        """
        self._refuse("closed", "over", "new")
        choices, invalid = self._check(actions)
        agents = self.agents
        self.batch.set_actions(choices)
        self.batch.order["todo"] = kernel.STEP
        obs, rewards, over, infos = self._run()
        if over:
            self._phase = "over"
            self.agents = []
        if self.illegal == "decline":
            for s, agent in enumerate(agents):
                infos[agent]["invalid_action"] = bool(invalid[s])
        return obs, rewards, dict.fromkeys(agents, False), dict.fromkeys(agents, over), infos

    def state(self) -> np.ndarray:
        """What a central router would see, for critics: (D,) float32; asking changes nothing.

        First its observation of the nodes without a subject, flattened, then for every site the columns of its
        subject and `n / (n + 8)` of the `n` decisions that wait there.
        """
        self._refuse("closed", "new")
        waiting = self.batch.waiting[0].astype(np.float32)
        subjects = self._obs[:, 0, self.batch.subject_columns]
        desks = np.column_stack([subjects, waiting / (waiting + np.float32(8.0))])
        return np.concatenate([self.batch.look_centrally(0).ravel(), desks.ravel()])

    def render(self) -> Any:
        """The world now: text ("ansi") or an image (H, W, 3) uint8 ("rgb_array")."""
        if self.render_mode is None:
            return None
        draw = text_frame if self.render_mode == "ansi" else frame
        return draw(self.world, self.batch.state, 0)

    def close(self) -> None:
        """Refuse further use; may be called again."""
        self._phase = "closed"

    def _refuse(self, *phases: str) -> None:
        if self._phase in phases:
            if self._phase == "closed":
                raise ClosedEnv("this environment was closed; make a new one")
            if self._phase == "over":
                raise EpisodeOver("the episode is over: call reset() before step()")
            raise ResetNeeded("call reset() before step()")

    def _check(self, actions: Any) -> tuple[np.ndarray, np.ndarray]:
        """Choices (S,) int64, all legal, and which of the actions were not."""
        if not isinstance(actions, dict) or set(actions) != set(self.agents):
            found = sorted(map(str, actions)) if isinstance(actions, dict) else actions
            raise InvalidAction(f"actions = {show(found)}: must be a dict with an action for each of {self.agents}")
        n_choices = self.world.n_nodes + 1
        choices, invalid = np.zeros(len(self.agents), np.int64), np.zeros(len(self.agents), bool)
        for s, agent in enumerate(self.agents):
            action = actions[agent]
            if isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu":
                action = action[()]
            whole = isinstance(action, int | np.integer) and not isinstance(action, bool)
            if not whole or not 0 <= action < n_choices:
                raise InvalidAction(f"actions[{agent!r}] = {show(action)}: must be an int in Discrete({n_choices})")
            choices[s], invalid[s] = action, not self.batch.mask[s, action]
            if invalid[s] and self.illegal == "raise":
                legal = np.flatnonzero(self.batch.mask[s]).tolist()
                raise InvalidAction(f"actions[{agent!r}] = {action}: is masked out; legal now: {clear(legal)}")
        choices[invalid] = self.batch.noop
        return choices, invalid

    def _run(self) -> tuple[dict[str, Any], dict[str, float], bool, dict[str, Any]]:
        """Carry out the order; observations, rewards, whether the episode is over, and infos."""
        batch = self.batch
        batch.run(self._obs, self._out)
        obs, rewards, infos, over = {}, {}, {}, False
        active = batch.active
        for s, agent in enumerate(self.possible_agents):
            reward, dt_s, *terms, time_s, seed, done = self._out[s].item()
            over = done == 1
            rewards[agent] = reward
            obs[agent] = {"observation": self._obs[s].copy(), "action_mask": batch.mask[s].astype(np.int8)}
            infos[agent] = {
                "action_mask": batch.mask[s].copy(),
                "active": bool(active[s]),
                "reward_terms": dict(zip(TERMS, terms, strict=True)),
                "dt_s": dt_s,
                "time_s": time_s,
                "events": batch.events(0),
                "seed": seed,
            }
        return obs, rewards, over, infos
