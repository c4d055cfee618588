"""Every policy and bound plays a short episode of its task; nothing may need an extra.

python scripts/play_every_policy.py

Controllers with a language model play without one here: they do what they fall back to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib import resources

import edge_gym
from edge_gym.bounds import BOUNDS
from edge_gym.policy import POLICIES, make_policy

WORLDS = {
    "routing": ("toy2", {"n_requests": 40}),
    "metacontrol": ("semantic", {"n_requests": 100}),
    "placement": ("campus-8", {"n_requests": 100}),
    "migration": ("commute-16", {"n_requests": 100}),
    "joint": ("region-16", {"n_requests": 100}),
}
# With what stands behind the colon, where the name alone would be something else or take a minute.
FULL_NAMES = {"together": "together:jsq+greedy+myopic", "exact": "exact:seconds=2"}
BOUNDED = {"clairvoyant": "routing", "follow_bound": "migration"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a policy could not play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    failed = 0
    for name, task, outcome in play_all():
        print(f"{name:24} {task:12} {outcome}", flush=True)
        failed += outcome.startswith("FAILED")
    print(f"{failed} failed")
    return int(failed > 0)


def play_all() -> Iterator[tuple[str, str, str]]:
    """Name, task and what happened, of every policy and bound."""
    shipped = resources.files("edge_agents") / "shipped" / "learned_routing.safetensors"
    for name in sorted({*POLICIES, *BOUNDS}):
        full = f"learned:{shipped}" if name == "learned" else FULL_NAMES.get(name, name)
        try:
            task = BOUNDED.get(name) or getattr(make_policy(full), "tasks", ("routing",))[0]
            world, fields = WORLDS[task]
            edge_gym.evaluate(full, task=task, scenario=world, seeds=[1000], **fields)
            outcome = "played"
        except Exception as error:
            outcome, task = f"FAILED: {type(error).__name__}: {error}", ""
        yield name, task, outcome


if __name__ == "__main__":
    sys.exit(main())
