"""What a controller decides and sees. A task's module docstring is its documentation page."""

from importlib import import_module

from edge_gym.errors import EdgeGymInputError
from edge_gym.plugins import advice, load_plugins
from edge_gym.tasks.task import Task

SHIPPED = ("routing", "placement", "migration", "joint", "metacontrol")
TASKS: dict[str, str | Task] = {name: f"edge_gym.tasks.{name}" for name in SHIPPED}  # modules, or variants


def get_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        EdgeGymInputError: There is no such task.
    """
    if name not in TASKS and name not in task_names():
        raise EdgeGymInputError("task", name, f"one of {', '.join(TASKS)}", hint=advice(str(name), TASKS))
    found = TASKS[name]
    return import_module(found).TASK if isinstance(found, str) else found


def task_names() -> list[str]:
    """Every known name, installed packages' included."""
    load_plugins()
    return list(TASKS)
