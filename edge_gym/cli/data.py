"""`edge-gym data`: says what a file of others is, and turns those that are no network yet into one."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_gym.errors import MISSING, EdgeGymInputError, nearest, printable

ACTIONS = ("inspect", "convert")
CONVERSIONS = {"pings": ("SERVERS", "PINGS"), "eua": ("SITES", "USERS")}


def run(options: argparse.Namespace) -> int:
    """Run `data inspect FILE` or `data convert KIND FILE FILE --out FILE`.

    Returns:
        Exit code 0.

    Raises:
        EdgeGymInputError: The arguments or a file are not acceptable.
    """
    action, words = options.action, options.words
    if action not in ACTIONS:
        raise EdgeGymInputError("ACTION", action, f"one of {', '.join(ACTIONS)}", hint=nearest(action, ACTIONS))
    if action == "convert":
        _refuse("--sites", options.sites)
        _refuse("--json", options.json or None)
        return _convert(words, options.out)
    _refuse("--out", options.out)
    if len(words) != 1:
        raise EdgeGymInputError("FILE", " ".join(words), "one file or folder", "edge-gym data inspect")
    from edge_gym.traces.describe import describe

    figures = describe(words[0], options.sites)
    print(json.dumps(figures, indent=2) if options.json else "\n".join(_lines(figures)))
    return 0


def _refuse(flag: str, value: Any) -> None:
    if value is not None:
        raise EdgeGymInputError(flag, MISSING, "left out here", "edge-gym data")


def _lines(figures: Mapping[str, Any]) -> list[str]:
    lines = [f"{figures['title']} ({figures['kind']})"]
    for key, value in figures.items():
        if key in ("title", "kind"):
            continue
        if isinstance(value, Mapping):
            value = "  ".join(f"{name} {_figure(number)}" for name, number in value.items())
        lines.append(f"  {key.replace('_', ' ')}: {_figure(value)}")
    return lines


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _convert(words: Sequence[str], out: str | None) -> int:
    kind, files = words[0], words[1:]
    if kind not in CONVERSIONS:
        raise EdgeGymInputError("KIND", kind, f"one of {', '.join(CONVERSIONS)}", "edge-gym data convert")
    if len(files) != 2:
        raise EdgeGymInputError("FILES", " ".join(files), " ".join(CONVERSIONS[kind]), f"edge-gym data convert {kind}")
    if out is None:
        raise EdgeGymInputError("--out", MISSING, "given: the file to write", "edge-gym data convert")
    if os.path.exists(out) or not os.path.isdir(Path(out).absolute().parent):
        raise EdgeGymInputError("--out", out, "a new file in a folder that is there")
    from edge_gym.files import atomic_write

    text, report = {"pings": _pings, "eua": _eua}[kind](*files)
    atomic_write(out, text)
    print(f"{report}, topology.path={out}")
    return 0


def _pings(servers: str, pings: str) -> tuple[str, str]:
    """Returns the text of the matrix, and what to say."""
    from edge_gym.traces.pings import matrix_text, read_pings

    read = read_pings(pings, servers)
    n = len(read.names)
    counts = f"{n} cities, {read.n_rows:,} rows used, {read.n_skipped:,} skipped, {read.n_filled:,} pairs filled"
    return matrix_text(read), f"{counts}\nA site and a node in each city: topology.kind=matrix, pool.n_nodes={n}"


def _eua(sites: str, users: str) -> tuple[str, str]:
    """Returns the text of the network, and what to say."""
    from edge_gym.traces.eua import read_sites, read_users, sites_graphml, user_share

    places, people = read_sites(sites), read_users(users)
    share = user_share(places.xy, people)
    counts = (
        f"{len(places.ids)} sites, {len(people):,} users; {int((share > 0).sum())} sites are the nearest of some user"
    )
    return sites_graphml(places, share), f"{counts}\nEvery site is linked to every other: topology.kind=graphml"
