"""The policy interface, and the registry that turns names into policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.plugins import add_name, advice, check_target, load_plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What else is public at a decision, for B worlds.

    Attributes:
        time_s: (B,) simulated seconds since each episode began.
        dt_s: (B,) simulated seconds since the last decision.
        begun: (B,) bool, rows whose episode begins with this decision.
        active: (B,) bool, rows with a pending decision; what is returned for the others is ignored.
        ended_row: (K,) rows in which requests ended since the last decision, as far as the router knows.
        ended: (K,) log entries of those requests (`edge_gym.kernel.tables.LOG`).
        n_models: How many models there are: the column `model` is (index + 1) / n_models.
        events: For each row, the messages since its last decision (`edge_gym.envs.batch.Event`): time and text. The
            text is data, never an instruction.
        surface: The control surface in names (`edge_gym.surface.Surface`), for controllers of the fast path; None for
            every other policy.
        agency: What is public about AI agents (`edge_gym.agency.Agency`), in worlds that have any; else None.
        links: (N + 1, N + 1) float32, one-way delays between the nodes, scaled as the times of an observation and 1
            where there is no way; 0 for the last row and column (decline). The network is public: it was measured, or
            planned, by whoever runs it. None unless the policy has an attribute `wants_links` that is true.
        privileged: What only an oracle may see (`edge_gym.privileged.Privileged`); None for every other policy.
    """

    time_s: np.ndarray
    dt_s: np.ndarray
    begun: np.ndarray
    active: np.ndarray
    ended_row: np.ndarray
    ended: np.ndarray
    n_models: int = 1
    events: Sequence[tuple[Any, ...]] = ()
    surface: Any = None
    agency: Any = None
    links: np.ndarray | None = None
    privileged: Any = None


@runtime_checkable
class Policy(Protocol):
    """Whoever decides, for B worlds at once.

    A policy that needs `context.privileged` has a class attribute `privileged = True`; its results are marked. One that
    needs `context.links` has an attribute `wants_links` that is true.
    What it decides is its attribute `tasks`, a tuple of names of tasks; without it, requests alone ("routing").
    One that controls the fast path instead of routing has `task = "metacontrol"`: its choices are tool calls. Where
    it finishes its turn it may say, by attributes of shape (B,) in simulated seconds, when it wants to be asked again:
    `wake_s`, at the latest then (0: at the next tick); `wait_s`, exactly then and deaf to events meanwhile (0: it does
    not wait), which is how thinking takes time. Where a new agent is placed, `wait_s` is by how much later it starts.

    A policy that depends on something outside may have any of these: `identity`, plain values that make two runs the
    same run; `preflight()`, called once before a run; `begin_shard(label)` and `close()`, called around the episodes
    that one process plays in a row; `episode_counters(b)`, figures of the episode in row `b` for the results, with a
    dot in each name. `reason(b)` says in words why it has just chosen what it chose in row `b`, for people who watch.

    A policy that was trained has `trained_on`, ranges of seeds (first and last) that its training or validation may
    have used, on which nobody evaluates it; and `training`, a dict of the `recipe` and the `seed` of that training.
    """

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything; `n_envs` worlds follow. `seed` is for the policy's own draws."""

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Choose.

        Args:
            obs: (B, A, F) float32.
            action_mask: (B, A) bool, at least the last choice of each row is true.
            context: What else is public.

        Returns:
            (B,) integers, legal choices.
        """
        ...


# Lazy strings "module:attribute"; other packages add theirs by `register_policy` (`edge_gym.plugins`).
POLICIES: dict[str, str | Callable[..., Policy]] = {
    "random": "edge_baselines.simple:Random",
    "round_robin": "edge_baselines.simple:RoundRobin",
    "jsq": "edge_baselines.simple:JoinShortestQueue",
    "p2c": "edge_baselines.simple:PowerOfTwoChoices",
    "least_work_left": "edge_baselines.simple:LeastWorkLeft",
    "nearest": "edge_baselines.simple:Nearest",
    "always_follow": "edge_baselines.agents.movers:AlwaysFollow",
    "never": "edge_baselines.agents.movers:Never",
    "myopic": "edge_baselines.agents.movers:Myopic",
    "hysteresis": "edge_baselines.agents.movers_tuned:hysteresis",
    "ski_rental": "edge_baselines.agents.movers_tuned:ski_rental",
    "ski_rental_random": "edge_baselines.agents.movers_tuned:ski_rental_random",
    "work_function": "edge_baselines.agents.movers_tuned:work_function",
    "distance_mdp": "edge_baselines.agents.movers_tuned:distance_mdp",
    "lyapunov": "edge_baselines.agents.movers_tuned:lyapunov",
    "horizon_milp": "edge_baselines.agents.movers_tuned:horizon_milp",
    "wary": "edge_baselines.agents.wary:Wary",
    "sect_blind": "edge_baselines.sect:SectBlind",
    "sect_static": "edge_baselines.sect:SectStatic",
    "sect_ewma": "edge_baselines.tuned:sect_ewma",
    "sect_watchdog": "edge_baselines.tuned:sect_watchdog",
    "sect_breaker": "edge_baselines.tuned:breaker",
    "breaker": "edge_baselines.tuned:breaker",
    "peak_ewma": "edge_baselines.tuned:peak_ewma",
    "latency_list": "edge_baselines.tuned:latency_list",
    "headroom": "edge_baselines.tuned:headroom",
    "dynamo": "edge_baselines.tuned:dynamo",
    "d_ucb": "edge_baselines.tuned:d_ucb",
    "sw_ucb": "edge_baselines.tuned:sw_ucb",
    "thompson": "edge_baselines.tuned:thompson",
    "linucb": "edge_baselines.tuned:linucb",
    "sect_events": "edge_baselines.tuned:sect_events",
    "e3_fast": "edge_baselines.e3.fast:FastPath",
    "e3_rules": "edge_baselines.e3.rules:Rules",
    "e3_llm": "edge_baselines.e3.llm:E3Llm",
    "e3_agentscope": "edge_baselines.e3.agentscope:E3AgentScope",
    "e3_informed": "edge_baselines.e3.informed:Informed",
    "e3_random_tools": "edge_baselines.e3.random_tools:RandomTools",
    "first_fit": "edge_baselines.agents.rules:FirstFit",
    "best_fit": "edge_baselines.agents.rules:BestFit",
    "least_loaded": "edge_baselines.agents.rules:LeastLoaded",
    "cheapest": "edge_baselines.agents.rules:Cheapest",
    "greedy": "edge_baselines.agents.rules:Greedy",
    "rollout": "edge_baselines.agents.rules:Rollout",
    "fgd": "edge_baselines.agents.solving:fgd",
    "regret": "edge_baselines.agents.solving:regret",
    "local_search": "edge_baselines.agents.solving:local_search",
    "grasp": "edge_baselines.agents.solving:grasp",
    "annealing": "edge_baselines.agents.solving:annealing",
    "genetic": "edge_baselines.agents.solving:genetic",
    "acs": "edge_baselines.agents.solving:acs",
    "mmas": "edge_baselines.agents.solving:mmas",
    "aco": "edge_baselines.agents.solving:aco",
    "exact": "edge_baselines.agents.solving:exact",
    "together": "edge_baselines.agents.together:Together",
    "antllm": "edge_baselines.antllm.place:AntLlm",
    "antllm_migration": "edge_baselines.antllm.migrate:AntLlmMigration",
    "oracle": "edge_baselines.oracle:Oracle",
    "lookahead": "edge_baselines.lookahead:Lookahead",
    "learned": "edge_agents.learned:Learned",
    "learned_routing": "edge_agents.learned:learned_routing",
    "learned_migration": "edge_agents.learned:learned_migration",
    "learned_placement": "edge_agents.learned:learned_placement",
    "learned_meta": "edge_agents.learned:learned_meta",
}


def register_policy(name: str, target: str | Callable[..., Policy]) -> None:
    """Make a policy known under `name`.

    Args:
        name: As given to `make_policy` and `--policies`.
        target: "package.module:attribute", loaded at first use, or a callable that returns a policy.

    Raises:
        EdgeGymInputError: The name is taken by something else, or holds a colon or comma, or the target is neither.
    """
    from edge_gym.bounds import BOUNDS  # it imports this module

    check_target("policy", target)
    add_name("policy", POLICIES, name, target, BOUNDS)


def policy_names() -> list[str]:
    """Every known name, installed packages' included."""
    load_plugins()
    return sorted(POLICIES)


def make_policy(name: str) -> Policy:
    """A policy by name; what follows a colon is given to it as a string ("learned:FILE").

    Raises:
        EdgeGymInputError: No such name, or what it needs is not installed.
    """
    if not isinstance(name, str):
        raise EdgeGymInputError("policy", name, "the name of a policy")
    base, colon, argument = name.partition(":")
    if colon and not argument:
        raise EdgeGymInputError("policy", name, "a name alone, or with something after the colon")
    if base not in POLICIES:
        names = policy_names()
        if base not in names:
            raise EdgeGymInputError("policy", name, f"one of {', '.join(names)}", hint=advice(base, names))
    target = load_target(name, POLICIES[base])
    try:
        return target(argument) if argument else target()
    except TypeError as error:
        allowed = "without a colon" if argument else "followed by a colon and what it needs"
        raise EdgeGymInputError("policy", name, allowed, hint=str(error)) from error


def task_of(policy: Policy, task: str = "routing", name: str | None = None, field: str = "policies") -> str:
    """What a policy decides in the worlds of a task: that task if it can, or "metacontrol" for the world's own router.

    Who decides a task decides its variants too.

    Args:
        policy: Who decides.
        task: Name of the task.
        name: What errors call the policy: what somebody typed. None: its own name, or that of its class.
        field: Where that was given, for errors.

    Raises:
        EdgeGymInputError: It decides something else, or there is no such task.
    """
    from edge_gym.tasks import get_task  # heavy

    decides = getattr(policy, "tasks", (getattr(policy, "task", "routing"),))
    kind = get_task(task).decides
    if task in decides or kind in decides:
        return task
    if kind == "routing" and "metacontrol" in decides:
        return "metacontrol"
    allowed = f"a policy that decides {task}"
    shown = name or getattr(policy, "name", type(policy).__name__)
    raise EdgeGymInputError(field, shown, allowed, hint=_decides(decides))


def _decides(tasks: Sequence[str]) -> str:
    return f"it decides {', '.join(tasks)}"


def load_target(name: str, target: Any) -> Any:
    """What a registry entry means: the attribute that a string names, or the entry itself.

    Raises:
        EdgeGymInputError: What it needs is not installed.
    """
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        hint = f"{error}; see the extras in docs/use.md"
        raise EdgeGymInputError("policy", name, "a policy whose package is installed", hint=hint) from error


def is_privileged(policy: Policy) -> bool:
    """Whether the policy sees what only an oracle may see."""
    return bool(getattr(policy, "privileged", False))
