"""`edge-gym train`: what is refused and written, and that a run which was stopped or killed ends like any other."""

import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from edge_agents import checkpoint
from edge_agents import train as training
from edge_agents.algorithms import ALGORITHMS, Algorithm
from edge_agents.learned import Learned
from edge_agents.saved_state import from_bytes
from edge_agents.training_folder import TrainingFolder
from edge_agents.training_plan import TrainingPlan
from edge_agents.worlds import FIRST_SEED

from edge_gym.cli import train as command
from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.claimed_folder import lock
from edge_gym.scenario.presets import preset

SHORT = {"n_requests": 40}
TINY = [
    "train", "--steps", "640", "--worlds", "8", "--hidden", "8", "--set", "n_requests=40", "--threads", "1",
    "--hyper", "rollout_steps=16", "--hyper", "minibatch=64", "--hyper", "learning_rate=0.01",
    "--validate", "2", "--validate-every", "200",
]  # fmt: skip


def tiny_plan(**changes):
    """The plan of `TINY`."""
    given = {
        "task": "routing",
        "scenarios": (preset("stationary").with_overrides(**SHORT),),
        "steps": 640,
        "worlds": 8,
        "hidden": 8,
        "settings": {"rollout_steps": 16, "minibatch": 64, "learning_rate": 0.01},
        "validation": 2,
        "validate_every": 200,
        "threads": 1,
    }
    return TrainingPlan(**{**given, **changes})


def run(capsys, *arguments):
    """Exit code, stdout and stderr of a command."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def outcome(folder):
    """What two equal runs must have in common."""
    weights = {name: checkpoint.load(folder / f"{name}.safetensors").tensors for name in ("best", "last")}
    return (folder / "progress.csv").read_text(), weights


def same(one, other):
    (table, weights), (other_table, other_weights) = one, other
    assert table == other_table
    for name, tensors in weights.items():
        assert all((tensors[key] == other_weights[name][key]).all() for key in tensors), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of `tiny_plan`."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    training.train(tiny_plan(), folder)
    return folder


# What is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--algo", "pop"], "did you mean 'ppo'", id="BAD-47-algo"),
        pytest.param(["--task", "rooting"], "did you mean 'routing'", id="task"),
        pytest.param(["--scenario", "stationery"], "did you mean 'stationary'", id="scenario"),
        pytest.param(["--scenario", "stationary,stationary"], "given once only", id="scenario-twice"),
        pytest.param(["--scenario", "placement/metro-16"], "'routing'", id="scenario-of-another-task"),
        pytest.param(["--network", "atention"], "did you mean 'attention'", id="network"),
        pytest.param(["--algo", "recurrent_ppo", "--network", "mlp"], "recurrent", id="network-of-another-algo"),
        pytest.param(["--network", "mlp", "--scenario", "stationary,metro64"], "several sizes", id="mlp"),
        pytest.param(["--hidden", "10"], "multiple of heads", id="hidden"),
        pytest.param(["--steps", "0"], "--steps", id="BAD-57-steps"),
        pytest.param(["--steps", "-5"], "--steps", id="BAD-57-negative"),
        pytest.param(["--steps", "1e6"], "--steps", id="BAD-57-form"),
        pytest.param(["--worlds", "3", "--group", "4"], "a group for each", id="BAD-49-worlds"),
        pytest.param(["--validate", "501"], "0 ... 500", id="validate"),
        pytest.param(["--threads", "0"], "--threads", id="threads"),
        pytest.param(["--randomise", "0"], "--randomise", id="randomise"),
        pytest.param(["--hyper", "learning_rate=0.1"], "given once", id="hyper-twice"),
        pytest.param(["--hyper", "clip=0"], "clip", id="BAD-49-zero"),
        pytest.param(["--hyper", "clip=much"], "a finite number", id="BAD-49-text"),
        pytest.param(["--hyper", "clipp=0.2"], "did you mean 'clip'", id="BAD-49-name"),
        pytest.param(["--hyper", "rollout_steps"], "FIELD=VALUE", id="hyper-form"),
        pytest.param(["--teacher", "jsq"], "a setting of ppo", id="teacher"),
        pytest.param(["--set", "laod=0.5"], "did you mean 'load'", id="set"),
        pytest.param(["--init", "no.safetensors"], "readable file", id="init-missing"),
        pytest.param(["--init", __file__], "safetensors", id="BAD-52-init"),
        pytest.param(["--resume", "--overwrite"], "overwrite", id="both"),
        pytest.param(["--stpes", "5"], "did you mean '--steps'", id="BAD-58-flag"),
    ],
)
def test_bad_input(arguments, words, capsys, tmp_path):
    code, out, err = run(capsys, *TINY, "--out", tmp_path / "run", *arguments)
    assert code == 2 and out == "" and words in err and "Traceback" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--teacher", "greedy"], "must be a policy that decides routing"),
        (["--teacher", "e3_rules"], "must be a policy that decides routing"),
        (["--teacher", "jqs"], "did you mean 'jsq'"),
        (["--task", "migration", "--teacher", "jsq"], "must be a policy that decides migration"),
        (["--task", "migration"], "oracle_costs knows requests alone"),
    ],
)
def test_a_teacher_decides_what_is_learned(words, message, capsys, tmp_path):
    arguments = ["train", "--algo", "imitation", "--steps", "100", *words, "--out", tmp_path / "run"]
    code, _, err = run(capsys, *arguments)
    assert code == 2 and message in err and os.listdir(tmp_path) == []


def test_out_is_needed(capsys):
    code, _, err = run(capsys, *TINY)
    assert code == 2 and "--out" in err


@pytest.mark.parametrize("name", ["..", "CON", "-x", "a\0b"])
def test_bad_folder_names(name, capsys, tmp_path):
    """BAD-53."""
    assert run(capsys, *TINY, f"--out={tmp_path}/{name}")[0] == 2


def test_init_of_another_task(whole, capsys, tmp_path):
    """BAD-52: a checkpoint for routing cannot begin a run for placement."""
    init = ["--task", "placement", "--set", "horizon_s=5", "--init", whole / "best.safetensors"]
    arguments = [word for word in TINY if word not in ("--set", "n_requests=40")]
    code, _, err = run(capsys, *arguments, "--out", tmp_path / "run", *init)
    assert code == 2 and "a checkpoint for placement" in err and os.listdir(tmp_path) == []


def test_without_torch(tmp_path):
    """BAD-47: one clear error that says what to install; mistakes are found without torch, too."""
    code = "import sys\nsys.modules['torch'] = None\nfrom edge_gym.cli.main import main\n"
    code += "sys.exit(main(sys.argv[1:]) + 10 * main([*sys.argv[1:], '--algo', 'pop']))"
    words = [sys.executable, "-c", code, *TINY, "--out", str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == 22 and "Traceback" not in done.stderr
    without, misspelt = done.stderr.splitlines()
    assert "pip install -c constraints.txt -e '.[rl]'" in without and "did you mean 'ppo'" in misspelt
    assert os.listdir(tmp_path) == []


# What is written


def test_run(whole, capsys, tmp_path):
    """The command prints the result and the command to compare it with others, which works."""
    code, out, err = run(capsys, *TINY, "--out", tmp_path / "run")
    assert code == 0 and "x oracle" in out and "640 steps" in out and "stationary" in out
    assert len(err.splitlines()) == 3 and "of 640 steps" in err and "best" in err, "a line for each validation"
    same(outcome(whole), outcome(tmp_path / "run"))
    line = next(line for line in out.splitlines() if line.startswith("edge-gym bench"))
    arguments = shlex.split(line)[1:]
    at = arguments.index("--episodes") + 1
    code, out, _ = run(capsys, *arguments[:at], 1, *arguments[at + 1 :], "--workers", 1, "--quiet")
    assert code == 0 and "learned:" in out and "oracle*" in out


def test_quiet(capsys, tmp_path):
    assert run(capsys, *TINY, "--out", tmp_path / "run", "--quiet") == (0, "", "")


def test_bar_on_a_terminal(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, err = run(capsys, *TINY, "--out", tmp_path / "run", "--validate", "0")
    assert code == 0 and "640/640" in err.replace(" ", "") and "/s" in err


def test_files(whole):
    assert {path.name for path in whole.iterdir()} - {TrainingFolder.CURVES} == {
        ".lock", "run.json", "progress.csv", "best.safetensors", "last.safetensors", "state.npz",
    }  # fmt: skip
    said = json.loads((whole / "run.json").read_text())
    assert said["kind"] == "edge_gym training" and said["finished"] and said["end"] == "steps"
    assert said["env_steps"] == 640 and said["updates"] == 5 and said["training_s"] > 0
    assert said["identity"]["threads"] == 1 and said["seeds"] == {"training_from": 2**40, "validation": [500, 501]}
    rows = list(csv.DictReader((whole / "progress.csv").read_text().splitlines()))
    assert [int(row["env_steps"]) for row in rows] == [128, 256, 384, 512, 640]
    assert [row["validation/ratio"] != "" for row in rows] == [False, True, False, True, True]
    assert float(rows[-1]["loss/value"]) > 0 and rows[0]["loss/value"] == ""
    best = min(float(row["validation/ratio"]) for row in rows if row["validation/ratio"])
    assert said["best"]["validation/ratio"] == best


def test_checkpoint_says_where_it_comes_from(whole):
    about = checkpoint.load(whole / "best.safetensors").about
    assert about["task"] == "routing" and list(about["scenarios"]) == ["stationary"] and about["algo"] == "ppo"
    assert about["settings"]["learning_rate"] == 0.01 and about["settings"]["total_steps"] == 640
    assert about["seed"] == 0 and about["seeds"]["validation"] == [500, 501] and about["env_steps"] <= 640
    assert about["training_s"] > 0 and about["reward_scale"] > 0 and about["versions"]["torch"]
    assert about["validation"]["validation/ratio"] > 0 and about["command"]


def test_validation_is_what_the_evaluation_says(whole):
    from edge_gym.evaluation.evaluate import evaluate

    learned = Learned(whole / "best.safetensors")
    learned.trained_on = ()  # else its validation seeds are refused
    policies = [learned, "oracle"]
    rows = evaluate(policies, "routing", preset("stationary").with_overrides(**SHORT), range(500, 502)).rows
    latency = np.array([row["latency_mean_s"] for row in rows]).reshape(2, 2).mean(1)
    said = json.loads((whole / "run.json").read_text())["best"]["validation/ratio"]
    assert said == pytest.approx(latency[0] / latency[1], rel=1e-12)


def test_begin_with_a_checkpoint(whole, tmp_path):
    """Its weights, its width; and a run that begins with another file is another run."""
    plan = tiny_plan(init=str(whole / "last.safetensors"), hidden=64)
    network = training._learner(plan).network
    for name, array in checkpoint.load(whole / "last.safetensors").tensors.items():
        assert (network.state_dict()[name].numpy() == array).all()
    again = tiny_plan(init=plan.init)
    with pytest.raises(EdgeGymInputError, match="'init' differs"):
        TrainingFolder(whole, again.identity(), resume=True, overwrite=False)


def test_nothing_global_is_touched(tmp_path):
    """REP-09: neither the generators nor torch's settings differ afterwards, and what they were does not matter."""

    def settings():
        return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()

    def state():
        legacy = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global generator is what this is about
        generators = random.getstate(), legacy, torch.get_rng_state().tolist()
        return settings(), generators

    runs = []
    for k in range(2):
        random.seed(k)
        np.random.seed(k)  # noqa: NPY002
        torch.manual_seed(k)
        torch.set_num_threads(2 - k)
        before = state()
        training.train(tiny_plan(steps=256, algo="recurrent_ppo"), tmp_path / str(k))
        assert state() == before
        runs.append(outcome(tmp_path / str(k)))
    same(*runs)


def test_training_and_validation_seeds_are_apart():
    """BAD-56: the worlds of training draw their seeds from 2**40 up, those of validation are 500 ... 999."""
    plan = tiny_plan(validation=500)
    learner = training._learner(plan)
    assert learner.worlds.batches[0].roots.min() >= FIRST_SEED > max(plan.validation_seeds)
    assert plan.validation_seeds == range(500, 1000)


# Going on


def test_resume_is_exact(whole, tmp_path):
    """RUN-15: stopped after every update and put together from its saved state, a run ends as if it had not been."""
    plan, ends = tiny_plan(), []
    for k in range(5):
        calls = iter([False, True])
        ends.append(training.train(plan, tmp_path / "run", resume=k > 0, stop=lambda c=calls: next(c)).end)
        assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is (k == 4)
    assert ends == ["stopped"] * 4 + ["steps"]
    same(outcome(whole), outcome(tmp_path / "run"))


@pytest.mark.parametrize(
    ("algo", "settings"),
    [
        ("recurrent_ppo", {"rollout_steps": 16, "anchor_kl": 0.1}),
        ("dqn", {"capacity": 512, "learning_starts": 100, "learning_rate": 0.01}),
    ],
)
def test_resume_is_exact_for_other_learners(algo, settings, tmp_path):
    """RUN-15, with memories, a replay, several threads and variants."""
    plan = tiny_plan(algo=algo, settings=settings, threads=2, randomise=2, validation=0)
    training.train(plan, tmp_path / "whole")
    calls = iter([False] * 3 + [True])
    assert training.train(plan, tmp_path / "run", stop=lambda: next(calls)).end == "stopped"
    training.train(plan, tmp_path / "run", resume=True)
    weights = [checkpoint.load(tmp_path / name / "last.safetensors").tensors for name in ("whole", "run")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert (tmp_path / "whole" / "progress.csv").read_text() == (tmp_path / "run" / "progress.csv").read_text()
    first = training._learner(plan).network.state_dict()
    assert any((first[name].numpy() != weights[0][name]).any() for name in first), "nothing was learned"


def test_resume_of_a_finished_run_changes_nothing(whole, capsys):
    before = outcome(whole)
    assert training.train(tiny_plan(), whole, resume=True).end == "steps"
    same(before, outcome(whole))


def test_resume_as_something_else(whole, capsys):
    for more, name in (
        (["--steps", "641"], "steps"),
        (["--hyper", "clip=0.3"], "settings.clip"),
        (["--seed", "1"], "seed"),
    ):
        code, _, err = run(capsys, *TINY, "--out", whole, "--resume", *more)
        assert code == 2 and f"'{name}' differs" in err


def test_folder_of_another(whole, capsys, tmp_path):
    """BAD-54, RUN-20: a folder with a run in it, or with something else, or in use, is refused and stays as it is."""
    before = outcome(whole)
    code, _, err = run(capsys, *TINY, "--out", whole)
    assert code == 2 and "--resume or --overwrite" in err
    with lock(whole / ".lock"):
        code, _, err = run(capsys, *TINY, "--out", whole, "--resume")
        assert code == 2 and "no other run is using" in err
    same(before, outcome(whole))
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = run(capsys, *TINY, "--out", tmp_path, "--overwrite")
    assert code == 2 and "an earlier training" in err and os.listdir(tmp_path) == ["mine.txt"]


def test_overwrite(whole, tmp_path):
    """Nothing is left of the older run, so that none of it can be mistaken for the new one's."""
    folder = tmp_path / "run"
    training.train(tiny_plan(seed=1, steps=200), folder)
    (folder / TrainingFolder.CURVES).mkdir(exist_ok=True)
    with TrainingFolder(folder, {}, resume=False, overwrite=True) as claimed:
        assert os.listdir(folder) == [".lock"]
        claimed.write_manifest({}, finished=False)
    training.train(tiny_plan(), folder, overwrite=True)
    same(outcome(whole), outcome(folder))


def test_damaged_state(whole, tmp_path):
    """RUN-16: if the newest state is damaged, the run goes on from the one before it; if all are, it says so."""
    folder, plan = tmp_path / "run", tiny_plan()
    for k in range(2):
        calls = iter([False, True])
        training.train(plan, folder, resume=k > 0, stop=lambda c=calls: next(c))
    newest = folder / TrainingFolder.STATE
    newest.write_bytes(newest.read_bytes()[:-100])
    training.train(plan, folder, resume=True)
    same(outcome(whole), outcome(folder))
    for name in (TrainingFolder.STATE, TrainingFolder.PREVIOUS):
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(EdgeGymInputError, match="a whole saved state"):
        training.train(plan, folder, resume=True)


KILLER = """
import os, random, signal, sys, threading, time
import torch
from edge_agents import train as training
from test_train import longer_plan, tiny_plan
from edge_agents.training_folder import TrainingFolder

torch.set_num_threads(1)  # nothing may run beside this thread when it forks
folder, draws, killed, saved = sys.argv[1], random.Random(5), 0, 0
training.train(tiny_plan(), folder + "-warm")  # what is loaded once need not be loaded again by each child
state = os.path.join(folder, TrainingFolder.STATE)

def stamp():
    try:
        return os.stat(state).st_mtime_ns
    except FileNotFoundError:  # not yet, or just now while it is being replaced
        return 0

def kill(saves, delay):
    for _ in range(saves):
        before = stamp()
        while stamp() in (0, before):
            time.sleep(0.001)
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)

for k in range(8):
    when = draws.randrange(4), draws.uniform(0.0, 0.05)  # so many times that the state was saved, and seconds after it
    child = os.fork()
    if child == 0:
        if k < 7:
            threading.Thread(target=kill, args=when, daemon=True).start()
        training.train(longer_plan(), folder, resume=True, save_every_s=0.0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    killed += status != 0
    saved += status != 0 and stamp() > 0
print(killed, saved, status)
"""


def longer_plan():
    """Some thirty updates."""
    return tiny_plan(steps=4000, validate_every=500)


@pytest.mark.slow
def test_kill_9(tmp_path):
    """RUN-16: killed at random moments while the state is saved all the time, the run still ends as if never killed."""
    training.train(longer_plan(), tmp_path / "whole")
    words = [sys.executable, "-c", KILLER, str(tmp_path / "run")]
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    killed, saved, status = map(int, done.stdout.split())
    assert killed >= 3 and saved >= 2 and status == 0, "the kills came too early or too late to mean anything"
    same(outcome(tmp_path / "whole"), outcome(tmp_path / "run"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(number, code, tmp_path):
    """RUN-17: a signal saves the run and ends it soon (ten seconds, if nobody else is busy); it can be resumed."""
    # A test run in the background of a shell ignores Ctrl-C, and its children would too.
    heed = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    words = [sys.executable, "-m", "edge_gym", *TINY, "--steps", "100000000", "--out", str(tmp_path / "run")]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heed)
    deadline = time.monotonic() + 100
    table = tmp_path / "run" / "progress.csv"
    while not (table.exists() and len(table.read_text().splitlines()) > 2) and time.monotonic() < deadline:
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.02)
    began = time.monotonic()
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code and time.monotonic() - began < 30
    assert "--resume" in err and "Traceback" not in err
    state = from_bytes((tmp_path / "run" / TrainingFolder.STATE).read_bytes())
    assert state["drive"]["table"] == table.read_text()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is False


@pytest.mark.parametrize("again", [True, False])
def test_signals_that_are_not_heeded(again, monkeypatch):
    """RUN-17: a second signal, or the end of the time of grace, breaks off what is going on."""
    monkeypatch.setattr(command, "GRACE_S", 60.0 if again else 0.2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), command._Signals() as signals:
            signal.raise_signal(signal.SIGINT)
            assert signals.number == signal.SIGINT
            if again:
                signal.raise_signal(signal.SIGINT)
            time.sleep(10.0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


# The drive itself, with learners that do nothing


@dataclass(frozen=True)
class StillConfig:
    """Settings of a learner without any."""

    diverge: bool = False


class Still:
    """A learner whose network never changes."""

    reward_scale = 1.0

    def __init__(self, config, network, worlds, seed):
        self.config, self.network, self.env_steps = config, network, 0

    def update(self):
        self.env_steps += 100
        return {"loss/nothing": float("nan") if self.config.diverge else 0.0}

    def get_state(self):
        return {"steps": self.env_steps}

    def set_state(self, state):
        self.env_steps = state["steps"]


@pytest.fixture
def still(monkeypatch):
    kinds = ("deepsets", "mlp")
    here = Algorithm(learner=f"{__name__}:Still", config=f"{__name__}:StillConfig", networks=kinds, summary="still")
    monkeypatch.setitem(ALGORITHMS, "still", here)


def test_patience(still, tmp_path):
    """The first validation is the best; two more are waited for."""
    found = training.train(tiny_plan(algo="still", settings={}, patience=2), tmp_path / "run")
    assert (found.end, found.env_steps) == ("patience", 600) and found.path.name == "best.safetensors"


def test_the_best_is_kept(monkeypatch, tmp_path):
    """That of the least ratio, with its weights."""
    ratios = iter([1.2, 1.0, 1.1])
    monkeypatch.setattr(training, "validate", lambda *arguments: {"validation/ratio": next(ratios)})
    found = training.train(tiny_plan(), tmp_path / "run")
    best, last = (checkpoint.load(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert found.validation == best.about["validation"] == {"validation/ratio": 1.0}
    assert (best.about["env_steps"], last.about["env_steps"]) == (512, 640)
    assert (best.tensors["embed.weight"] != last.tensors["embed.weight"]).any()


def test_without_validation(still, tmp_path):
    found = training.train(tiny_plan(algo="still", settings={}, validation=0), tmp_path / "run")
    assert found.path.name == "last.safetensors" and found.validation == {} and found.env_steps == 700
    assert Learned(found.path).tasks == ("routing",) and not (tmp_path / "run" / "best.safetensors").exists()


def test_divergence(still, capsys, tmp_path):
    """RUN-07: figures that are not finite end the run, in one line; what was saved stays."""
    arguments = ["train", "--algo", "still", "--worlds", "8", "--validate", "0", "--out", tmp_path / "run"]
    code, _, err = run(capsys, *arguments, "--hyper", "diverge=true")
    assert code == 1 and "loss/nothing is nan in update 1" in err and len(err.splitlines()) == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is False
