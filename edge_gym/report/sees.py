"""What each policy may see, from the registry: the evaluation hands it no more than this."""

from __future__ import annotations

from typing import Any, NamedTuple

from edge_gym.bounds import BOUNDS, load_bound
from edge_gym.errors import EdgeGymError
from edge_gym.policy import POLICIES, is_privileged, load_target, make_policy
from edge_gym.report.regimes import Regime

YES, NO, UNKNOWN = "yes", "no", "not known here"


class Sees(NamedTuple):
    """A row of the table: words for each question.

    Attributes:
        policy: Its name.
        what: First line of its documentation.
        decides: What it decides.
        telemetry: Whether it gets observations, masks and messages, as a real controller could measure and hear them.
        truth: Whether it sees the true state, which no real controller can.
        network: Whether it asks for the delays between nodes, which are public.
        tools: Whether it acts through the control surface of the router.
        model: Whether it depends on a service outside, such as a language model.
        learned: Whether it was trained.
    """

    policy: str
    what: str
    decides: str
    telemetry: str
    truth: str
    network: str
    tools: str
    model: str
    learned: str


def what_policies_see(regimes: list[Regime]) -> list[Sees]:
    """A row for each policy of the run, in the order of the regimes."""
    marks = {row["policy"]: row for regime in regimes for row in regime.rows}
    return [_sees(name, bool(row["privileged"]), bool(row["bound"])) for name, row in marks.items()]


def _sees(name: str, privileged: bool, bound: bool) -> Sees:
    if bound:
        return Sees(name, _first_line(_bound(name)), "nothing: a bound", NO, "yes, and all that is to come", *[NO] * 4)
    policy = _policy(name)
    if policy is None:
        truth = YES if privileged else NO
        return Sees(name, UNKNOWN, UNKNOWN, YES, truth, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    decides = getattr(policy, "tasks", (getattr(policy, "task", "routing"),))
    return Sees(
        policy=name,
        what=_first_line(_registered(name)) or _first_line(policy),
        decides=", ".join(decides),
        telemetry=YES,
        truth=YES if privileged or is_privileged(policy) else NO,
        network=YES if getattr(policy, "wants_links", False) else NO,
        tools=YES if "metacontrol" in decides else NO,
        model=YES if hasattr(policy, "begin_shard") else NO,
        learned=YES if type(policy).__module__.startswith("edge_agents.") else NO,
    )


def _policy(name: str) -> Any:
    """The policy, or what is registered under its name: an argument behind a colon may name a file, and is not read."""
    base, colon, _ = name.partition(":")
    try:
        return load_target(base, POLICIES[base]) if colon else make_policy(base)
    except (EdgeGymError, KeyError, AttributeError):
        return None


def _registered(name: str) -> Any:
    base = name.partition(":")[0]
    return load_target(base, POLICIES[base]) if base in POLICIES else None


def _bound(name: str) -> Any:
    try:
        return load_bound(name, BOUNDS[name])
    except (EdgeGymError, KeyError, AttributeError):
        return None


def _first_line(target: Any) -> str:
    import inspect

    return (inspect.getdoc(target) or "").partition("\n")[0].replace("`", "")
