"""`edge-gym prompt`: exactly what a language model would be sent, found by playing an episode without one."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from typing import Any

from edge_gym.cli.bench import parse_settings, whole_number
from edge_gym.envs.common import check_choice, resolve_task
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation.rollout import roll_out

# By name, since the environments do not depend on the baselines: a policy that listens, and the preset.
LISTENERS = {
    "routing": ("edge_baselines.e3.listener:Listener", "semantic"),
    "placement": ("edge_baselines.antllm.listener:PlacementListener", None),
    "migration": ("edge_baselines.antllm.listener:MigrationListener", None),
}


def run(options: argparse.Namespace) -> int:
    """Print system prompt, situation and tools of one question.

    The rules (or ants) decide the questions before it, so with a model that acts otherwise they would differ.

    Raises:
        EdgeGymInputError: An argument is not valid, or the episode has fewer questions.
    """
    turn = whole_number("--turn", options.turn, 1, 10**6)
    seed = whole_number("--seed", options.seed, 0, 2**63 - 1)
    target, preset = LISTENERS[check_choice("--task", options.task, LISTENERS)]
    module, _, attribute = target.partition(":")
    policy = getattr(import_module(module), attribute)(turn)
    world = resolve_task(
        options.task, preset if options.scenario is None else options.scenario, parse_settings(options.set)
    )[1]
    try:
        roll_out(world, policy, "listener", [seed])
    except EdgeGymError:
        if len(policy.bodies) < turn:
            raise
    if len(policy.bodies) < turn:
        hint = f"the episode has {len(policy.bodies)} questions"
        raise EdgeGymInputError("--turn", turn, f"at most {len(policy.bodies)}", hint=hint)
    _show(policy.bodies[turn - 1])
    return 0


def _show(body: dict[str, Any]) -> None:
    for message in body["messages"]:
        print(f"--- {message['role']}\n{message['content']}")
    print(f"--- tools\n{json.dumps(body['tools'], indent=1)}")
