"""What a controller decides and sees. A task's module docstring is its documentation page."""

from importlib import import_module

from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.tasks.task import Task

TASKS = {name: f"edge_gym.tasks.{name}" for name in ("routing", "placement", "migration", "joint", "metacontrol")}


def get_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        EdgeGymInputError: There is no such task.
    """
    if name not in TASKS:
        raise EdgeGymInputError("task", name, f"one of {', '.join(TASKS)}", hint=nearest(str(name), TASKS))
    return import_module(TASKS[name]).TASK
