"""Reads the folder of an evaluation that may come from anybody: every word of it is checked, nothing of it is run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from edge_gym.envs.common import check_seed
from edge_gym.errors import MISSING, EdgeGymInputError, nearest, printable
from edge_gym.evaluation.claimed_folder import MAX_MANIFEST
from edge_gym.evaluation.provenance import kernel_hash
from edge_gym.evaluation.results import CELL, KEYS
from edge_gym.evaluation.shards import MAX_EPISODES
from edge_gym.files import check_regular, read_bytes
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint, loads

MAX_EPISODES_BYTES = 2**30
MAX_LINE = 2**16
LARGEST = 1e15  # of any figure: sums and squares stay finite
TEXT, NUMBER, TRUTH = (str, "a text"), (int, "a whole number"), (bool, "true or false")
TYPES = {"task": TEXT, "scenario": TEXT, "scenario_fingerprint": TEXT, "policy": TEXT, "seed": NUMBER, "bound": TRUTH}


class FinishedRun:
    """A folder that `edge-gym bench --out` has written.

    Args:
        path: The folder.

    Attributes:
        path: The folder.
        manifest: What its manifest says; a dict, and nothing more is known of it.
        rows: The rows of `episodes.jsonl`: `KEYS`, and numbers or None.

    Raises:
        EdgeGymInputError: It is not such a folder; names file and line.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        if not os.path.isdir(self.path):  # unlike Path, false for a name that is too long
            raise _no_run(path)
        if not os.path.lexists(self.path / "manifest.json"):
            raise _no_run(path, "it has no manifest.json")
        self.manifest = self._manifest()
        if self.manifest.get("finished") is False and not os.path.lexists(self.path / "episodes.jsonl"):
            hint = f"go on with the same edge-gym bench ... --out {path} --resume"
            raise EdgeGymInputError("run", str(path), "finished; it is running or was interrupted", hint=hint)
        self.rows = list(self._rows())
        if not self.rows:
            raise EdgeGymInputError("", MISSING, "an evaluation with episodes", str(self.path / "episodes.jsonl"))

    def _manifest(self) -> dict[str, Any]:
        path = self.path / "manifest.json"
        found = parsed(read_bytes(path, MAX_MANIFEST), str(path))
        if not isinstance(found, dict) or found.get("kind") != "edge_gym evaluation":
            raise EdgeGymInputError("kind", MISSING, "'edge_gym evaluation'", str(path))
        return found

    def _rows(self) -> Iterator[dict[str, Any]]:
        path = check_regular(self.path / "episodes.jsonl", MAX_EPISODES_BYTES)
        with open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                where = f"{path}:{number}"
                if number > MAX_EPISODES or len(line) > MAX_LINE:
                    allowed = f"at most {MAX_EPISODES} lines of at most {MAX_LINE} bytes"
                    raise EdgeGymInputError("", MISSING, allowed, where)
                yield check_row(parsed(line, where), where)

    def pick(
        self, episode: int = 0, policy: str | None = None, scenario: str | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """One row.

        Args:
            episode: Its number from 0 among the rows, in their order, that match what follows.
            policy: Its policy.
            scenario: Its scenario.
            seed: Its seed.

        Raises:
            EdgeGymInputError: There is none; names the nearest.
        """
        rows = self.rows
        for field, wanted in (("policy", policy), ("scenario", scenario), ("seed", seed)):
            if wanted is None:
                continue
            there = list(dict.fromkeys(row[field] for row in rows))
            if wanted not in there:
                raise EdgeGymInputError(field, wanted, _choice(there), str(self.path), _hint(wanted, there))
            rows = [row for row in rows if row[field] == wanted]
        if not 0 <= episode < len(rows):
            hint = f"the nearest is {min(max(episode, 0), len(rows) - 1)}"
            raise EdgeGymInputError("episode", episode, f"in 0 ... {len(rows) - 1}", str(self.path), hint)
        return rows[episode]

    def scenario(self, row: dict[str, Any]) -> Scenario:
        """The scenario of a row, as the manifest describes it.

        Raises:
            EdgeGymInputError: It is missing, not valid, or not the one that was evaluated.
        """
        where = f"{self.path / 'manifest.json'}"
        listed = self.manifest.get("scenarios")
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict) and entry.get("fingerprint") == row["scenario_fingerprint"]:
                plain = {name: value for name, value in entry.items() if name != "fingerprint"}
                found = loads(json.dumps(plain), "json", where)
                if fingerprint(found) != row["scenario_fingerprint"]:
                    hint = "it was changed, or a file that it names was"
                    raise EdgeGymInputError("scenario", found.name, "the one that was evaluated", where, hint)
                return found
        raise EdgeGymInputError("scenarios", row["scenario_fingerprint"], "there with all its fields", where)

    def seeds(self, row: dict[str, Any]) -> list[int]:
        """Seeds that the policy of a row played in its scenario, ascending."""
        return sorted({other["seed"] for other in self.rows if all(other[key] == row[key] for key in CELL)})

    def asked(self, policy: str) -> dict[str, Any]:
        """What the manifest says of a policy beside its name, such as how it asked a language model; may be empty."""
        listed = self._identity().get("policies")
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict) and str(entry.get("name")).partition("@")[0] == policy:
                return entry
        return {}

    def differences(self) -> str:
        """How this installation differs from the one that made the run, in words; "" if it does not."""
        from edge_gym import __version__

        identity = self._identity()
        pairs = (("version", "edge_gym", __version__), ("kernel", "kernel", kernel_hash()))
        found = [
            f"{name} {mine} here, {printable(str(identity.get(key)), 40)} there"
            for name, key, mine in pairs
            if identity.get(key) != mine
        ]
        return "; ".join(found)

    def _identity(self) -> dict[str, Any]:
        found = self.manifest.get("identity")
        return found if isinstance(found, dict) else {}


def _no_run(path: str | os.PathLike, hint: str = "") -> EdgeGymInputError:
    return EdgeGymInputError("run", str(path), "the folder of an evaluation (edge-gym bench --out)", hint=hint)


def parsed(data: bytes, where: str) -> Any:
    """Plain data from JSON; `where` names the file in messages.

    Raises:
        EdgeGymInputError: It is not JSON, in UTF-8 and without NaN.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise EdgeGymInputError("", MISSING, "JSON", where, printable(str(error), 100)) from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word[:40]} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def check_row(row: Any, where: str) -> dict[str, Any]:
    """A row of `episodes.jsonl` with every field of the type it must have.

    Raises:
        EdgeGymInputError: It is something else; names the field.
    """
    if not isinstance(row, dict):
        raise EdgeGymInputError("", MISSING, "a JSON object", where)
    for key, (kind, allowed) in TYPES.items():
        if type(row.get(key, MISSING)) is not kind:
            raise EdgeGymInputError(key, row.get(key, MISSING), allowed, where)
    check_seed(row["seed"])
    for name, value in row.items():
        if name not in KEYS and not (value is None or is_figure(value)):
            raise EdgeGymInputError(name, value, f"a number or null, and at most {LARGEST:g}", where)
    return row


def is_figure(value: Any) -> bool:
    """Whether it is a number that results may hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _choice(there: list[Any]) -> str:
    shown = ", ".join(printable(str(one), 60) for one in there[:20])
    return f"one of {shown}" + (f" and {len(there) - 20} more" if len(there) > 20 else "")


def _hint(wanted: str | int, there: list[Any]) -> str:
    if isinstance(wanted, str):
        return nearest(wanted, there)
    return f"the nearest is {min(there, key=lambda seed: abs(seed - wanted))}"
