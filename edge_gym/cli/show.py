"""`edge-gym show`: a scenario or a suite in full."""

from __future__ import annotations

import argparse

from edge_gym.cli.bench import parse_settings
from edge_gym.evaluation.suites import suite_names, suite_text
from edge_gym.scenario.io import dumps
from edge_gym.scenario.presets import resolve
from edge_gym.tasks import get_task


def run(options: argparse.Namespace) -> int:
    """Print it, to save, edit and use as a file.

    Raises:
        EdgeGymInputError: There is none of that name, or a change to it is not acceptable.
    """
    if options.scenario in suite_names():
        print(suite_text(options.scenario), end="")
        return 0
    worlds = None if options.task is None else get_task(options.task).worlds
    scenario = resolve(options.scenario, worlds, **parse_settings(options.set))
    print(dumps(scenario, options.format), end="")
    return 0
