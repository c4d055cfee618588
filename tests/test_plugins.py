"""Names from other packages: loaded late, once, and never at the cost of anybody else's names."""

import os
import re
import shutil
import subprocess
import sys
import types
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import gymnasium
import pytest

import edge_gym
from edge_gym import plugins, registration
from edge_gym.bounds import BOUNDS
from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.shards import plan
from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS
from edge_gym.policy import POLICIES, make_policy, policy_names
from edge_gym.scenario.presets import PRESETS, preset, resolve
from edge_gym.tasks import TASKS, get_task

ROOT = Path(__file__).resolve().parent.parent
REGISTRIES = (POLICIES, BOUNDS, PRESETS, TASKS, registration.TABLE, gymnasium.registry, plugins._origins)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Every registry as it was, and no plugin loaded yet."""
    saved = [dict(table) for table in REGISTRIES]
    monkeypatch.setattr(plugins, "_findings", None)
    yield
    for table, before in zip(REGISTRIES, saved, strict=True):
        table.clear()
        table.update(before)


@pytest.fixture
def install(monkeypatch):
    """Pretends that packages with these modules are installed: name of the plugin -> what its module does."""
    asked = []

    def installed(**codes):
        for name in codes:
            module = types.ModuleType(f"{name}_package")
            module.load = lambda code=codes[name], module=module: exec(code, vars(module))
            monkeypatch.setitem(sys.modules, module.__name__, module)
        entries = [EntryPoint(name, f"{name}_package:load", plugins.GROUP) for name in codes]
        monkeypatch.setattr(plugins, "entry_points", lambda group: asked.append(group) or entries)
        return asked

    return installed


ONE = (
    "import edge_gym\nfrom edge_baselines.simple import Random\n"
    "edge_gym.register_policy('one_policy', Random)\n"
    "edge_gym.register_scenario('routing/one-world', lambda: edge_gym.preset('toy2'))\n"
    "edge_gym.register_bound('one_bound', lambda scenario, seed: {'latency_mean_s': 0.0})\n"
)
VARIANT = {"name": "mine", "id": "mine/Mine-v0", "variant_of": "routing"}


def test_plugins_are_not_loaded_for_names_that_are_known(install):
    asked = install(one=ONE)
    make_policy("jsq"), preset("toy2"), get_task("joint"), resolve("routing/toy2")
    plan(["jsq", "clairvoyant"], "routing", "toy2", [0], 1, {})
    assert asked == []


@pytest.mark.parametrize(
    "use",
    [
        lambda: make_policy("one_policy"),
        lambda: preset("one-world"),
        lambda: resolve("routing/one-world"),
        lambda: plan("one_policy", "routing", "toy2", [0], 1, {}),
        lambda: plan("one_bound", "routing", "toy2", [0], 1, {}),
        lambda: policy_names(),
    ],
)
def test_plugins_are_loaded_once_for_a_name_that_is_not(use, install):
    asked = install(one=ONE)
    use(), use()
    assert asked == [plugins.GROUP]
    assert (plugins.origin("policy", "one_policy"), plugins.origin("policy", "jsq")) == ("one_package", "")


def test_a_plugin_may_be_a_module(monkeypatch, tmp_path):
    (tmp_path / "a_module_of_a_plugin.py").write_text(ONE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [EntryPoint("one", "a_module_of_a_plugin", plugins.GROUP)]
    )
    assert make_policy("one_policy") and plugins.load_plugins() == {"one (a_module_of_a_plugin)": ""}
    del sys.modules["a_module_of_a_plugin"]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('\\x1b[31mred')", "ValueError: \\x1b[31mred"),
        ("import edge_gym\nedge_gym.register_policy('jsq', len)", "name = 'jsq': must be a name that is not taken"),
        ("import edge_gym\nedge_gym.register_policy('one_policy', len)", "it comes from one_package"),
        ("import edge_gym\nedge_gym.make_policy('nobody')", "one of"),
    ],
)
def test_a_broken_plugin_is_named_and_harms_nobody(code, problem, install, capsys):
    install(one=ONE, two=code)
    assert type(make_policy("one_policy")) is type(make_policy("random"))
    assert type(make_policy("jsq")).__name__ == "JoinShortestQueue"
    (found,) = [found for plugin, found in plugins.load_plugins().items() if plugin.startswith("two")]
    assert problem in found
    with pytest.raises(EdgeGymInputError, match="could not load plugin two .* edge-gym doctor"):
        preset("xyzzy")
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "Plugin two (two_package:load) could not be loaded: " in out and "(from one_package)" in out
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "broken  plugin two" in out and "ok  plugin one" in out


def test_a_broken_plugin_is_named_beside_the_nearest_name(install):
    install(broken="import no_such_package")
    with pytest.raises(
        EdgeGymInputError, match=r"did you mean 'jsq'\?; could not load plugin broken .* edge-gym doctor"
    ):
        make_policy("jqs")


@pytest.mark.parametrize("register", [edge_gym.register_policy, edge_gym.register_bound])
@pytest.mark.parametrize("target", ["nocolon", "a.b:", ":b", "a b:c", "", None, 3, make_policy("jsq")])
def test_targets_that_mean_nothing_are_refused(register, target):
    with pytest.raises(EdgeGymInputError, match="must be 'package.module:attribute' or a callable"):
        register("new", target)
    assert "new" not in {*POLICIES, *BOUNDS}


def test_a_colon_with_nothing_after_it_is_refused():
    with pytest.raises(EdgeGymInputError, match="policy = 'breaker:': must be a name alone, or with something after"):
        make_policy("breaker:")


def test_names_that_are_taken_are_refused_and_the_same_again_is_not(tmp_path):
    for register, name in (
        (edge_gym.register_policy, "jsq"),
        (edge_gym.register_policy, "clairvoyant"),
        (edge_gym.register_bound, "clairvoyant"),
        (edge_gym.register_bound, "jsq"),
        (edge_gym.register_scenario, "routing/toy2"),
    ):
        with pytest.raises(EdgeGymInputError, match=r"not taken \(it comes from edge_gym\)"):
            register(name, len)
    for name in ("", "a:b", "a,b", "a b", 3):
        with pytest.raises(EdgeGymInputError, match="without colons"):
            edge_gym.register_policy(name, len)
    for name in ("mine", "nowhere/mine", "routing/", 3):
        with pytest.raises(EdgeGymInputError, match="task/name"):
            edge_gym.register_scenario(name, len)
    for _ in range(2):
        edge_gym.register_scenario("routing/mine", tmp_path / "mine.yaml")
        edge_gym.register_task(replace(get_task("routing"), **VARIANT))
    with pytest.raises(EdgeGymInputError, match="comes from test_plugins"):
        edge_gym.register_scenario("routing/mine", tmp_path / "other.yaml")


def test_a_scenario_file_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edge_gym.save_scenario(preset("toy2"), "mine.yaml")
    edge_gym.register_scenario("routing/mine", "mine.yaml")
    monkeypatch.chdir("/")
    assert preset("mine") == preset("toy2")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"variant_of": ""}, "variant_of"),
        ({"variant_of": "mine"}, "variant_of"),
        ({"columns": get_task("routing").columns[1:]}, "columns"),
        ({"control": True}, "control"),
        ({"worlds": "joint"}, "worlds"),
        ({"asks": 1}, "asks"),
        ({"id": "edge_gym/Joint-v0"}, "id"),
        ({"id": "CartPole-v1"}, "id"),
        ({"name": "joint"}, "name"),
    ],
)
def test_a_variant_differs_only_in_what_it_can(change, field):
    before = dict(TASKS), dict(registration.TABLE), set(gymnasium.registry)
    with pytest.raises(EdgeGymInputError) as error:
        edge_gym.register_task(replace(get_task("routing"), **{**VARIANT, **change}))
    assert error.value.field == field
    assert (dict(TASKS), dict(registration.TABLE), set(gymnasium.registry)) == before


def test_a_variant_is_played_by_those_who_play_its_task():
    edge_gym.register_task(replace(get_task("routing"), scenario="toy2", **VARIANT))
    policies = ["jsq", "e3_fast"]  # the second controls the world's own router
    variant, task = (edge_gym.evaluate(policies, name, "toy2", range(3), n_requests=40) for name in ("mine", "routing"))
    assert [{**row, "task": "routing"} for row in variant.rows] == task.rows
    with pytest.raises(EdgeGymInputError, match="a policy that decides mine"):
        edge_gym.evaluate("greedy", "mine", "toy2", [0])


def test_a_variant_may_hand_over_fewer_decisions():
    """Of the joint worlds the agents alone; requests for no agent are nobody's then."""
    asks = ASK_PLACEMENTS | ASK_MIGRATIONS
    edge_gym.register_task(replace(get_task("joint"), name="fewer", id="mine/Fewer-v0", variant_of="joint", asks=asks))
    short = {"seeds": [0, 1], "horizon_s": 60.0}
    decisions = {
        task: sum(timing["decisions"] for timing in edge_gym.evaluate("random", task, "region-16", **short).timing)
        for task in ("joint", "fewer")
    }
    assert 0 < decisions["fewer"] < decisions["joint"]


def test_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        exec(block, {"__name__": "__main__"})
    assert len(blocks) == 2 and "frugal / frugal" in capsys.readouterr().out


def test_a_task_takes_the_scenarios_of_its_worlds_on_the_command_line(capsys):
    assert main(["show", "toy2", "--task", "metacontrol"]) == 0
    assert "name: toy2" in capsys.readouterr().out
    arguments = ["--scenario", "toy2", "--policies", "e3_rules", "--episodes", "1", "--workers", "1", "--quiet"]
    assert main(["bench", "--task", "metacontrol", *arguments]) == 0
    assert "metacontrol / toy2" in capsys.readouterr().out


# --- a package that is really installed -------------------------------------------------------------------------------

USED = """
import warnings
import gymnasium, edge_gym, numpy
from edge_gym import checks
from gymnasium.utils.env_checker import check_env

env = gymnasium.make("edge_gym_clinic:clinic/Ward-v0", illegal="decline", n_requests=30)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    check_env(env.unwrapped, skip_render_check=True)
checks.check_determinism("clinic/Ward-v0", n_steps=300, seeds=[1])
assert gymnasium.make_vec("clinic/Ward-v0", num_envs=3).reset(seed=0)[0].shape == (3, *env.observation_space.shape)
print(edge_gym.evaluate(["clinic_policy", "e3_rules"], "ward", seeds=range(1000, 1003), n_requests=50))
"""

BY_CALL = """
from dataclasses import replace
import edge_gym
from edge_gym.tasks import get_task

class First:
    def reset(self, n_envs, seed): pass
    def act(self, obs, action_mask, context): return action_mask.argmax(axis=1)

if __name__ == "__main__":
    task = replace(get_task("routing"), name="mine", id="mine/Mine-v0", variant_of="routing")
    edge_gym.register_task(task)
    edge_gym.register_policy("first", First)
    print(edge_gym.evaluate(["first", "jsq"], "mine", "toy2", range(3), n_workers=2, n_requests=20))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of a process in which examples/plugin is installed, from a copy: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    pip += ["--no-build-isolation", "--target", str(folder / "site"), str(folder / "source")]
    subprocess.run(pip, check=True, timeout=120)
    path = os.pathsep.join([str(folder / "site"), *(entry for entry in sys.path if entry)])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}


def run(environment, folder, *arguments):
    """Stdout of Python in a fresh process, elsewhere than in the repository."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_plugin_is_listed_with_where_it_comes_from(environment, tmp_path):
    out = run(environment, tmp_path, "-m", "edge_gym", "list")
    for name in ("ward ", "routing/clinic-ward", "clinic_policy"):
        (line,) = [line for line in out.splitlines() if line.startswith(f"\u2502 {name}")]
        assert "(from edge_gym_clinic)" in line


def test_the_plugin_in_bench_with_workers(environment, tmp_path):
    command = ["-m", "edge_gym", "bench", "--scenario", "clinic-ward", "--policies", "clinic_policy,jsq", "--quiet"]
    out = run(environment, tmp_path, *command, "--set=n_requests=50", "--episodes=4", "--workers=2")
    assert "routing / clinic-ward" in out and "clinic_policy" in out


def test_the_plugin_in_gymnasium_and_evaluate(environment, tmp_path):
    out = run(environment, tmp_path, "-W", "error", "-c", USED)
    assert "ward / clinic-ward" in out and "clinic_policy" in out and "e3_rules" in out


def test_what_a_script_registers_reaches_its_workers(environment, tmp_path):
    (tmp_path / "script.py").write_text(BY_CALL)
    assert "mine / toy2" in run(environment, tmp_path, "script.py")
