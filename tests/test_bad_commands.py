"""BAD-47 to BAD-62: wrong arguments, folders, settings and variables. Nothing is written, earlier runs stay."""

import errno
import os
import pathlib
import subprocess
import sys

import gymnasium
import pytest
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.placement import Ants
from refusals import BENCH, refused, snapshot

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError

TOY = ("--scenario", "toy2")
KEY = "sk-0123456789abcdef"


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([*BENCH, "--policies", "jqs"], "policy = 'jqs': must be one of", id="BAD-47"),
        pytest.param([*BENCH, "--policies", "jqs"], "did you mean 'jsq'?", id="BAD-47-nearest"),
        pytest.param([*BENCH, "--policies", ""], "--policies", id="BAD-47-empty"),
        pytest.param([*BENCH, "--policies", "jsq:x"], "without a colon", id="BAD-47-argument"),
        pytest.param([*BENCH, "--policies", "greedy"], "a policy that decides routing", id="BAD-47-task"),
        pytest.param([*BENCH, "--policies", "os:system"], "policy = 'os:system': must be one of", id="SEC-06-import"),
        pytest.param([*BENCH, "--policies", "edge_gym.errors"], "must be one of", id="SEC-06-module"),
        pytest.param([*BENCH, "--engine", "rya"], "did you mean 'ray'?", id="BAD-47-engine"),
        pytest.param([*BENCH, "--task", "roting"], "did you mean 'routing'?", id="BAD-58-task"),
        pytest.param([*BENCH, "--scenario", "toy"], "did you mean 'toy2'?", id="BAD-58-scenario"),
        pytest.param(["bench", "--suite", "quik"], "did you mean 'quick'?", id="BAD-58-suite"),
        pytest.param(["benhc"], "did you mean 'bench'?", id="BAD-58-command"),
        pytest.param([*BENCH, "--epsiodes", "3"], "did you mean '--episodes'?", id="BAD-58-flag"),
        pytest.param(["report", "earlier", "--fromat", "md"], "did you mean '--format'?", id="BAD-58-report"),
        pytest.param(["report", "earlier", "--format", "pdf"], "--format = 'pdf': must be one of html",
                     id="BAD-58-format"),
        pytest.param(["data", "inspct", "x"], "did you mean 'inspect'?", id="BAD-58-data"),
        *(
            pytest.param([*BENCH, flag, value], f"{flag} = {value!r}: must be a whole number in {span}",
                         id=f"BAD-57{flag}={value}")
            for flag, values, span in (
                ("--seed", ("5-1", "-1", "1.5", "abc", "1e3", "0x10", str(2**63), "\u0663"), f"0 ... {2**63 - 1}"),
                ("--episodes", ("0", "-1", "1000001", "\u0663", "3.0", "1_0"), "1 ... 1000000"),
                ("--workers", ("0", "-1", "10000", "two"), "1 ... 1024"),
                ("--batch-size", ("0", "-3", "x"), "1 ... 1000000"),
                ("--shard-timeout", ("0", "-3", "inf"), "1 ... 1000000000"),
            )
            for value in values
        ),
        *(
            pytest.param([*command, flag, ""], flag, id=f"BAD-57-empty{flag}")
            for command, flag in (
                (BENCH, "--episodes"), (BENCH, "--seed"), (BENCH, "--workers"), (BENCH, "--policies"),
                (BENCH, "--scenario"), (["replay", "earlier"], "--out"), (["replay", "earlier"], "--video"),
                (["report", "earlier"], "--format"),
            )
        ),
        pytest.param([*BENCH, "--task", ""], "task", id="BAD-57-empty--task"),
        pytest.param(["report", "earlier", "--recordings", "101"], "--recordings = '101'", id="BAD-57-recordings"),
        pytest.param(["replay", "earlier", "--episode", "-1"], "--episode = '-1'", id="BAD-57-episode"),
        pytest.param(["replay", "earlier", "--episode", "6"], "episode = 6: must be in 0 ... 5",
                     id="BAD-57-no-episode"),
        pytest.param(["replay", "earlier", "--seed", "7"], "the nearest is 1000", id="BAD-57-no-seed"),
        pytest.param(["stub-llm", "--port", "70000"], "port = '70000': must be a number from 0 to 65535",
                     id="BAD-57-port"),
        pytest.param(["testbed", "--repeats", "0"], "--repeats = '0'", id="BAD-57-testbed"),
        pytest.param(["prompt", "--turn", "0"], "--turn = '0'", id="BAD-57-turn"),
        pytest.param(["train", "--out", "run", "--worlds", "0"], "--worlds = '0'", id="BAD-49-worlds"),
        *(
            pytest.param(["train", "--out", "run", "--steps", "100", "--hyper", setting], words, id=f"BAD-49-{setting}")
            for setting, words in (
                ("learning_rate=-1e-4", "learning_rate = -0.0001: must be >= 0 and <= 1"),
                ('learning_rate="1e-4"', "write the number without quotes"),
                ("learning_rate=.nan", "must be a finite number >= 0 and <= 1"),
                ("gae_lambda=1.2", "gae_lambda = 1.2: must be >= 0 and <= 1"),
                ("minibatch=0", "minibatch = 0: must be >= 1"),
                ("epochs=1.5", "epochs = 1.5: must be an integer"),
            )
        ),
        pytest.param(["train", "--out", "run", "--algo", "dqn", "--hyper", "minibatch=500", "--hyper", "capacity=100"],
                     "capacity = 100: must be >= 10000 for 256 worlds", id="BAD-49-batch-and-buffer"),
        pytest.param([*BENCH, *TOY, "--policies", "learned:earlier/manifest.json"], "header length",
                     id="BAD-52-other-file"),
        pytest.param([*BENCH, *TOY, "--policies", "learned_routing", "--seed", "509"], "seeds = 509: must be a seed "
                     "that 'learned_routing' has not seen", id="BAD-56"),
        pytest.param([*BENCH, *TOY, "--set", f"api_key={KEY}"], "api_key: must be a field", id="BAD-51-set"),
        pytest.param([*BENCH, *TOY, f"--llm-api-key={KEY}"], "argument", id="BAD-51-flag"),
        *(
            pytest.param([*BENCH, *TOY, "--out", name], ": must be a folder name of 1 to 100 letters", id=f"BAD-53-{k}")
            for k, name in enumerate(("..", ".", "CON", "nul.txt", "x" * 300, "a<b", "a|b", "a:b", "\u202eabc", "~"))
        ),
        pytest.param([*BENCH, *TOY, "--out=-rf"], "out = '-rf': must be a folder name", id="BAD-53-dash"),
        pytest.param([*BENCH, *TOY, "--out", "a\0b"], "out", id="BAD-53-zero"),
        pytest.param([*BENCH, *TOY, "--out", "earlier"], "out = 'earlier': must be a new or empty folder", id="BAD-54"),
        pytest.param([*BENCH, *TOY, "--out", "earlier"], "give another name, or --resume or --overwrite",
                     id="BAD-54-hint"),
        pytest.param([*BENCH, *TOY, "--set", "n_requests=4", "--out", "earlier", "--resume"], "'policies' differs",
                     id="BAD-54-resume"),
        pytest.param([*BENCH, *TOY, "--out", "earlier/shards", "--overwrite"], "an earlier evaluation",
                     id="BAD-54-other"),
        pytest.param(["replay", "earlier", "--out", "earlier/report.html"], "--out", id="BAD-54-replay"),
        pytest.param([*BENCH, *TOY, "--out", "/proc/run"], "out = '/proc/run': must be a folder that can be written",
                     id="BAD-55-read-only"),
        pytest.param([*BENCH, *TOY, "--out", "/dev/null/run"], "/dev/null/run", id="BAD-55-no-folder"),
        pytest.param([*BENCH, *TOY, "--out", "earlier/manifest.json"], "must be a folder", id="BAD-55-file"),
        pytest.param(["report", "earlier", "--out", "nowhere/r.html"], "must be a file in a folder that exists",
                     id="BAD-55-report"),
        pytest.param(["replay", "earlier", "--out", "nowhere/r.html"], "must be in a folder that exists",
                     id="BAD-55-replay"),
        pytest.param(["data", "convert", "eua", "a", "b", "--out", "earlier/manifest.json"], "must be a new file",
                     id="BAD-54-convert"),
        pytest.param(["data", "inspect", "x" * 300], "File name too long", id="BAD-55-long-name"),
        pytest.param(["report", "x" * 300], "the folder of an evaluation", id="BAD-55-long-folder"),
        pytest.param([*BENCH, *TOY, "--set", "device_types=[\udcec]"], "must be valid Unicode", id="BAD-02-argument"),
        pytest.param(["export", "earlier/manifest.json", "earlier/manifest.json"], "OUT", id="BAD-54-export"),
    ],
)  # fmt: skip
def test_arguments(arguments, words, place, capsys):
    err = refused(capsys, place, *arguments)
    assert words in err and KEY not in err, err


def test_BAD_55_a_folder_that_leads_nowhere(place, capsys):
    (place / "link").symlink_to("/nowhere/at/all")
    assert "out = 'link'" in refused(capsys, place, *BENCH, *TOY, "--out", "link")


def test_BAD_55_a_full_disk(place, capsys, monkeypatch):
    """Path or cause are named, and the file that was there is whole."""
    before = snapshot(place)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["report", str(place / "earlier"), "--recordings", "0"]) == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err and "Traceback" not in err and snapshot(place) == before


def test_BAD_57_the_command_as_a_process(place):
    """Some of the same through a real process."""
    for words, expected in (
        (["bench", "--epsiodes", "3"], "--episodes"),
        (["bench", "--seed", "5-1", "--out", "run"], "--seed = '5-1'"),
        (["report", "nowhere"], "the folder of an evaluation"),
    ):
        command = [sys.executable, "-m", "edge_gym", *words]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stdout) == (2, "") and expected in done.stderr
        assert len(done.stderr.splitlines()) <= 10 and "Traceback" not in done.stderr
    assert os.listdir(place) == ["earlier"]


def test_BAD_58_a_misspelt_environment_names_the_nearest():
    with pytest.raises(gymnasium.error.NameNotFound, match="Routing"):
        gymnasium.make("edge_gym/Rooting-v0")


@pytest.mark.parametrize(
    ("package", "arguments", "words"),
    [
        ("openai", ["--policies", "e3_llm", "--llm", "live"], "pip install -c constraints.txt -e '.[llm]'"),
        ("agentscope", ["--policies", "e3_agentscope", "--llm", "live", "--allow-unpriced"], "agentscope"),
        ("ray", ["--engine", "ray"], "ray"),
    ],
)
def test_BAD_47_a_package_that_is_missing(package, arguments, words, place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("EDGE_GYM_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("EDGE_GYM_LLM_MODEL", "m")
    err = refused(capsys, place, *BENCH, "--scenario", "semantic", "--set", "n_requests=5", *arguments)
    assert words in err and "install" in err


# ---- settings that only Python takes


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_ants": 0}, "n_ants = 0: must be >= 1"),
        ({"n_ants": 1.5}, "n_ants = 1.5: must be an integer"),
        ({"rho": -0.1}, "rho = -0.1: must be >= 0 and <= 1"),
        ({"rho": 1.5}, "rho = 1.5: must be >= 0 and <= 1"),
        ({"q0": float("nan")}, "q0 = nan: must be a finite number"),
        ({"xi": 2}, "xi = 2: must be >= 0 and <= 1"),
        ({"spread": 0}, "spread = 0: must be"),
        ({"rule": "as"}, "rule = 'as': must be one of acs, mmas"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_BAD_48_ant_colony(settings, words):
    with pytest.raises(EdgeGymInputError) as caught:
        Ants(**settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "127.0.0.1:8000"}, "base_url: must be http://host[:port]/path"),
        ({"base_url": "file:///etc/passwd"}, "base_url: must be http://host[:port]/path"),
        ({"base_url": "http://"}, "base_url: must be"),
        ({"base_url": f"https://h/v1?key={KEY}"}, "the key belongs into EDGE_GYM_LLM_API_KEY"),
        ({"temperature": 9}, "temperature = 9: must be >= 0 and <= 2"),
        ({"temperature": "0"}, "temperature = '0': must be a finite number"),
        ({"max_tokens": 0}, "max_tokens = 0: must be >= 1"),
        ({"deadline_s": 0}, "deadline_s = 0: must be > 0"),
        ({"retries": -1}, "retries = -1: must be >= 0"),
        ({"price_in": -1}, "price_in = -1: must be >= 0"),
    ],
    ids=lambda value: str(next(iter(value.items())))[:40] if isinstance(value, dict) else "",
)
def test_BAD_50_language_model(settings, words):
    with pytest.raises(EdgeGymInputError) as caught:
        LlmSettings(**settings)
    assert words in str(caught.value) and KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "EDGE_GYM_LLM_BASE_URL"),
        ({"BASE_URL": "http://127.0.0.1:9/v1"}, "EDGE_GYM_LLM_MODEL"),
        ({"BASE_URL": "http://example.org/v1", "MODEL": "m", "API_KEY": KEY}, "an https address"),
        ({"BASE_URL": "file:///etc/passwd", "MODEL": "m"}, "EDGE_GYM_LLM_BASE_URL: must be http://host"),
        ({"BASE_URL": "http://127.0.0.1:9/v1", "MODEL": "m"}, "price"),
        ({"TEMPERATURE": "9"}, "EDGE_GYM_LLM_TEMPERATURE = 9: must be >= 0 and <= 2"),
        ({"DOLLARS": "-1"}, "EDGE_GYM_LLM_DOLLARS = -1: must be >= 0"),
        ({"CALLS": "many"}, "EDGE_GYM_LLM_CALLS = 'many': must be an integer"),
        ({"STREAM": "maybe"}, "EDGE_GYM_LLM_STREAM = 'maybe': must be a bool"),
        ({"DEADLINE_S": "nan"}, "EDGE_GYM_LLM_DEADLINE_S = 'nan': must be a finite number"),
        ({"RETRIES": "1.5"}, "EDGE_GYM_LLM_RETRIES = 1.5: must be an integer"),
        ({"SEED": "010"}, "EDGE_GYM_LLM_SEED = '010': must be an integer"),
        ({"TOKEN_LIMIT": "max"}, "EDGE_GYM_LLM_TOKEN_LIMIT = 'max': must be one of max_tokens"),
        ({"GAP_S": "soon"}, "EDGE_GYM_LLM_GAP_S = 'soon': must be a finite number"),
        ({"APIKEY": KEY}, "EDGE_GYM_LLM_APIKEY: must be the name of a setting (did you mean 'EDGE_GYM_LLM_"),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else "",
)
def test_BAD_50_BAD_62_variables_of_the_environment(variables, words, place, capsys, monkeypatch):
    """Found before anything is asked or written; the variable is named, and no key is echoed."""
    pytest.importorskip("openai")
    for name, value in variables.items():
        monkeypatch.setenv(f"EDGE_GYM_LLM_{name}", value)
    asks = ["--scenario", "semantic", "--set", "n_requests=5", "--policies", "e3_llm", "--llm", "live"]
    err = refused(capsys, place, *BENCH, *asks)
    assert words in err and KEY not in err, err


def test_BAD_62_a_flag_is_named_where_a_flag_was_wrong(place, capsys):
    asks = ["--scenario", "semantic", "--policies", "e3_llm", "--llm", "replay"]
    for more, words in (
        (["--transcript", "t", "--llm-calls", "x"], "--llm-calls = 'x': must be an integer"),
        (["--transcript", "t", "--llm-thinking", "-1"], "--llm-thinking = -1: must be >= 0"),
        ([], "--transcript FOLDER, or EDGE_GYM_LLM_TRANSCRIPT"),
        (["--transcript", "a\x1bb"], "--transcript"),
    ):
        assert words in refused(capsys, place, *BENCH, *asks, *more)
    assert not [name for name in os.environ if name.startswith("EDGE_GYM_LLM_")]


@pytest.mark.parametrize("value", ["/dev/null", "/proc/none", "\n", "x" * 5000])
def test_BAD_62_a_cache_folder_that_cannot_be(value, tmp_path):
    """It is passed over: another folder does, or every start compiles (`edge-gym doctor` says so)."""
    environment = {**os.environ, "EDGE_GYM_CACHE_DIR": value, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    code = "from edge_gym.kernel._jit import CACHE_DIR; print(CACHE_DIR)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stderr == ""
    folder = tmp_path / done.stdout.removesuffix("\n")
    assert folder.is_dir() and folder.is_relative_to(tmp_path)


# ---- the check itself


def wrong_code(_):
    return 1


def writes(_):
    pathlib.Path("new").touch()
    return fine(_)


def spoils(_):
    with open("earlier/summary.json", "a") as file:
        file.write(" ")
    return fine(_)


def says_much(_):
    print("edge-gym: it must be right\n" * 11, file=sys.stderr, end="")
    return 2


def shows_a_traceback(_):
    print("edge-gym: it must be right\nTraceback (most recent call last):", file=sys.stderr)
    return 2


def says_nothing_allowed(_):
    print("edge-gym: wrong", file=sys.stderr)
    return 2


def prints(_):
    print("done")
    return fine(_)


def fine(_):
    print("edge-gym: it must be right", file=sys.stderr)
    return 2


@pytest.mark.parametrize(
    "command", [wrong_code, writes, spoils, says_much, shows_a_traceback, says_nothing_allowed, prints]
)
def test_the_check_sees_what_it_is_there_for(command, place, capsys, monkeypatch):
    monkeypatch.setattr("refusals.main", fine)
    refused(capsys, place)
    monkeypatch.setattr("refusals.main", command)
    with pytest.raises(AssertionError):
        refused(capsys, place)
