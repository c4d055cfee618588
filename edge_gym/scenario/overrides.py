"""Variants of a scenario by flat names: `with_overrides(n_nodes=32, load=0.7, telemetry_age_s=1.0)`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from edge_gym.errors import MISSING, EdgeGymInputError, nearest
from edge_gym.fields import type_hints

if TYPE_CHECKING:
    from edge_gym.scenario.definition import Scenario

# `seed` alone would be read as the seed of the episode, which belongs to `reset`: say topology_seed.
NEVER_SHORT = frozenset({"seed", "path"})


def flat_names(cls: type) -> dict[str, tuple[str, str]]:
    """Returns every accepted name of a scenario class with the (part, field) it sets; part "" is the scenario."""
    own = {f.name: ("", f.name) for f in dataclasses.fields(cls)}
    nested = {
        (part, f.name)
        for part, hint in type_hints(cls).items()
        if dataclasses.is_dataclass(hint)
        for f in dataclasses.fields(hint)
    }
    count = Counter(field for _, field in nested)
    names = {}
    for part, field in sorted(nested):
        names[f"{part}.{field}"] = names[f"{part}_{field}"] = (part, field)
        if count[field] == 1 and field not in NEVER_SHORT:
            names[field] = (part, field)
    return {**names, **own}


def apply_overrides(scenario: Scenario, flat: dict[str, Any]) -> Scenario:
    """Returns a checked variant of `scenario`.

    All changes of one part are made at once, so their order does not matter. Setting `load` clears `rate_per_s` and the
    other way round. A whole part may be given too, and its fields beside it.

    Raises:
        EdgeGymInputError: An unknown name (with the nearest known one), or a value that is not allowed.
    """
    names = flat_names(type(scenario))
    changes: dict[str, dict[str, Any]] = {"": {}}
    for name, value in flat.items():
        if name not in names:
            # The value is not echoed: it may be a secret that does not belong here.
            raise EdgeGymInputError(name, MISSING, *_known(name, names))
        part, field = names[name]
        changes.setdefault(part, {})[field] = value
    _keep_one_rate(changes.get("arrivals", {}))
    whole = changes.pop("")
    for part, value in whole.items():
        _check_whole(part, value, type_hints(type(scenario))[part])
    for part, values in changes.items():
        whole[part] = dataclasses.replace(whole.get(part, getattr(scenario, part)), **values)
    return dataclasses.replace(scenario, **whole)


def _check_whole(part: str, value: Any, cls: Any) -> None:
    if dataclasses.is_dataclass(cls) and not isinstance(value, cls):
        hint = f"set a field of it by {part}.FIELD=VALUE, as in {part}.{dataclasses.fields(cls)[0].name}"
        raise EdgeGymInputError(part, value, f"a {cls.__name__}", "with_overrides", hint)


def _keep_one_rate(arrivals: dict[str, Any]) -> None:
    for given, other in (("load", "rate_per_s"), ("rate_per_s", "load")):
        if arrivals.get(given) is not None:
            arrivals.setdefault(other, None)


def _known(name: str, names: dict[str, tuple[str, str]]) -> tuple[str, str, str]:
    """What is allowed instead of a name, where, and a hint."""
    part, _, wanted = name.partition(".")
    own = [known.removeprefix(f"{part}.") for known in names if known.startswith(f"{part}.")]
    if wanted and own:
        allowed = f"one of {', '.join(f'{part}.{field}' for field in own)}"
        return allowed, "with_overrides", nearest(wanted, own).replace("'", f"'{part}.", 1)
    same = sorted(n for n, (part, field) in names.items() if part and field == name and "." not in n)
    hint = f"say {' or '.join(same)}" if same else nearest(name, names)
    return "a field of the scenario or of one part of it", "with_overrides", hint
