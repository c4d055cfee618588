"""Rules of the benchmark that are read from the registry, the files of settings and what a run leaves behind."""

import ast
import importlib
import importlib.util
import inspect
import json
import math
import shlex
import statistics
from pathlib import Path

import numpy as np
import pytest

from edge_gym.errors import EdgeGymError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.recording import record
from edge_gym.evaluation.splits import TUNE
from edge_gym.kernel.tables import COMPLETED, DROPPED, REJECTED, STUTTER_FOREGROUND, STUTTER_GAP, TOKENS, UNFINISHED
from edge_gym.policy import POLICIES, Policy, is_privileged, make_policy

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {"breaker": "breaker:jsq", "wary": "wary:myopic", "together": "together:e3_fast+greedy+myopic"}
ORACLES = {"oracle", "lookahead", "e3_informed"}
TRUTH = {"edge_gym.privileged", "edge_gym.behind", "edge_gym.bounds", "edge_gym.kernel.rollout_ahead"}
LEDGERS = {
    ROOT / "baselines/edge_baselines/settings.json": "tune_baselines",
    ROOT / "baselines/edge_baselines/agents/movers_settings.json": "tune_movers",
}


def shipped() -> list[str]:
    return sorted(
        name for name, target in POLICIES.items() if str(target).startswith(("edge_baselines.", "edge_agents."))
    )


# --- BEN-01


@pytest.mark.parametrize("name", [name for name in shipped() if name != "learned"])
def test_ben_01_every_controller_has_the_one_interface(name):
    policy = make_policy(NEEDS.get(name, name))
    assert isinstance(policy, Policy)
    for method, parameters in {"act": ["obs", "action_mask", "context"], "reset": ["n_envs", "seed"]}.items():
        signature = inspect.signature(getattr(policy, method))
        names = [one for one, its in signature.parameters.items() if its.default is inspect.Parameter.empty]
        assert names == parameters, f"{name}.{method}{signature}"
    assert is_privileged(policy) == (name in ORACLES)


class Enough(Exception):
    pass


@pytest.mark.parametrize("task", ["routing", "placement", "migration"])
def test_ben_01_every_controller_is_shown_the_same(task, monkeypatch):
    """The first observation, mask and context of a run are the same bytes for all; an oracle is given more."""
    ways = {
        "routing": ("random", "jsq", "sect_watchdog", "d_ucb", "e3_fast", "learned_routing", "oracle"),
        "placement": ("random", "greedy", "aco", "learned_placement"),
        "migration": ("random", "never", "myopic", "wary:myopic", "learned_migration"),
    }
    shown = {}
    for name in ways[task]:
        policy = make_policy(name)
        seen = []

        def looked(obs, mask, context, seen=seen):
            public = [context.time_s, context.dt_s, context.begun, context.active, context.ended]
            seen.append([one.tobytes() for one in (obs, mask, *public)])
            seen.append((context.n_models, context.events, context.surface, context.privileged is not None))
            raise Enough

        monkeypatch.setattr(policy, "act", looked, raising=False)
        monkeypatch.setattr(policy, "name", name, raising=False)  # as when it is asked for by name
        with pytest.raises(EdgeGymError, match="Enough"):
            evaluate(policy, task, seeds=[900, 901])
        shown[name] = seen
    first = shown[ways[task][0]]
    for name, seen in shown.items():
        assert seen[0] == first[0] and seen[1][:3] == first[1][:3], name
        assert seen[1][3] == (name in ORACLES), name


def imports_of(module: str) -> set[str]:
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached_by(module: str) -> set[str]:
    """What a module of the controllers imports, directly or through others of them."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        ours = name.startswith(("edge_baselines.", "edge_agents."))
        if ours and importlib.util.find_spec(name.rpartition(".")[0]).submodule_search_locations is not None:
            todo += imports_of(name) if importlib.util.find_spec(name) else []
    return seen


@pytest.mark.parametrize("name", shipped())
def test_ben_01_ben_02_what_knows_the_truth_is_within_reach_of_oracles_only(name):
    known = reached_by(str(POLICIES[name]).partition(":")[0]) & TRUTH
    assert bool(known) <= (name in ORACLES), f"{name} imports {known}"


# --- BEN-02

PRESETS = (
    "stationary", "overload", "bursty", "diurnal", "coldstart", "semantic",
    "churn", "drift", "mixed", "residency", "semantic-ood", "mixed-ood",
)  # fmt: skip
FAIR = ("jsq", "sect_static", "sect_events", "d_ucb", "linucb", "e3_rules")


@pytest.mark.parametrize("scenario", PRESETS)
def test_ben_02_no_controller_beats_the_oracle_nor_the_bound(scenario):
    """On twelve presets. The bound is below everybody in every world; the oracle, a rule of one step, on average.

    A learned controller, which looks further than one step, does beat the oracle in two of these (docs/bounds.md).
    """
    rows = evaluate((*FAIR, "oracle", "clairvoyant"), "routing", scenario, range(900, 905), n_requests=120).rows
    by_name = {name: np.array([row["latency_mean_s"] for row in rows if row["policy"] == name]) for name in
               (*FAIR, "oracle", "clairvoyant")}  # fmt: skip
    marks = {row["policy"] for row in rows if row["privileged"] or row["bound"]}
    assert marks == {"oracle", "clairvoyant"}
    for name in (*FAIR, "oracle"):
        assert (by_name["clairvoyant"] <= by_name[name] * (1 + 1e-9)).all(), name
    for name in FAIR:
        ahead = by_name[name] - by_name["oracle"]
        assert ahead.mean() > -1.96 * ahead.std(ddof=1) / math.sqrt(len(ahead)), name


# --- BEN-09


@pytest.mark.sources
@pytest.mark.parametrize("path", LEDGERS, ids=lambda path: path.stem)
def test_ben_09_everybody_was_tuned_with_the_same_budget_on_tune_seeds(path, monkeypatch):
    """The ledger beside the settings: one command, so one budget; published spaces; what the defaults do as well."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spaces = importlib.import_module(LEDGERS[path]).SPACES
    ledger = json.loads(path.read_text(encoding="utf-8"))
    assert set(ledger["settings"]) == set(ledger["found_by"]) == set(spaces)
    (command,) = {found["command"] for found in ledger["found_by"].values()}
    words = shlex.split(command)
    options = dict(zip(words[2::2], words[3::2], strict=True))
    seed, episodes = int(options["--seed"]), int(options["--episodes"])
    assert int(options["--draws"]) >= 16
    assert TUNE.first <= seed and seed + episodes - 1 <= TUNE.last
    for name, found in ledger["found_by"].items():
        assert found["tuned"] <= found["published"], name  # the first draw is what is published
        space = spaces[name]
        assert set(ledger["settings"][name]) == set(space), name
        for setting, value in ledger["settings"][name].items():
            assert -1e-9 <= space[setting].place(value) <= 1 + 1e-9, f"{name}.{setting}"


# --- BEN-12


@pytest.mark.parametrize("scenario", ["mixed", "overload", "diurnal"])
@pytest.mark.parametrize("policy", ["jsq", "e3_rules", "random"])
def test_ben_12_the_score_follows_from_the_log_alone(scenario, policy):
    """Plain Python over the log of the requests gives the figures of the results, to 1e-9."""
    (row,) = evaluate(policy, "routing", scenario, [1003], n_requests=500).rows
    found = record(scenario, policy, 1003, n_requests=500)
    expected = recounted(found.requests.tolist(), found.requests.dtype.names, found.world.params.model["kind"])
    expected["goodput_per_s"] /= found.metrics["makespan_s"]
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def recounted(lines: list[tuple], columns: tuple[str, ...], kinds) -> dict[str, float]:
    log = [dict(zip(columns, line, strict=True)) for line in lines]
    latency = sorted(one["latency_ns"] / 1e9 for one in log)
    done = [one for one in log if one["outcome"] == COMPLETED]
    in_time = [one for one in done if not one["late"]]
    tokens = [one for one in done if kinds[one["model"]] == TOKENS]
    sites = [statistics.fmean(one["latency_ns"] / 1e9 for one in log if one["site"] == site)
             for site in {one["site"] for one in log}]  # fmt: skip
    return {
        "requests": len(log),
        "latency_mean_s": statistics.fmean(latency),
        "latency_p50_s": quantile(latency, 0.5),
        "latency_p95_s": quantile(latency, 0.95),
        "latency_p99_s": quantile(latency, 0.99),
        "served_latency_mean_s": statistics.fmean((one["finish_ns"] - one["arrive_ns"]) / 1e9 for one in done),
        "ttft_mean_s": statistics.fmean((one["first_ns"] - one["arrive_ns"]) / 1e9 for one in tokens),
        "ttft_p95_s": quantile(sorted((one["first_ns"] - one["arrive_ns"]) / 1e9 for one in tokens), 0.95),
        "tpot_mean_s": statistics.fmean((one["finish_ns"] - one["first_ns"]) / 1e9 / one["units"] for one in tokens),
        "slo_attainment": len(in_time) / len(log),
        "goodput_per_s": len(in_time),
        "stutter_share": sum(one["stutter"] > 0 for one in done) / len(log),
        "stutter_foreground_share": sum(one["stutter"] & STUTTER_FOREGROUND > 0 for one in done) / len(log),
        "stutter_gap_share": sum(one["stutter"] & STUTTER_GAP > 0 for one in done) / len(log),
        "rejected": sum(one["outcome"] == REJECTED for one in log),
        "dropped": sum(one["outcome"] == DROPPED for one in log),
        "unfinished": sum(one["outcome"] == UNFINISHED for one in log),
        "drop_share": 1 - len(done) / len(log),
        "retries_mean": sum(one["retries"] for one in log) / len(log),
        "jain_sites": sum(sites) ** 2 / (len(sites) * sum(x * x for x in sites)),
    }


def quantile(values: list[float], share: float) -> float:
    """Of sorted values, linear between two of them."""
    place = share * (len(values) - 1)
    k = min(int(place), len(values) - 2)
    return values[k] + (place - k) * (values[k + 1] - values[k])
