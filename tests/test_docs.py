"""The documentation says what the code does: pages, headings, info keys, columns, and the README's examples."""

import json
import re
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from script_loader import load_script

from edge_gym.policy import POLICIES
from edge_gym.scenario.presets import PRESETS
from edge_gym.tasks import TASKS, get_task

ROOT = Path(__file__).resolve().parent.parent
HEADINGS = [
    "Description", "Time Step", "Action Space", "Observation Space", "Action Mask", "Rewards", "Starting State",
    "Episode End", "Information", "Arguments", "Version History",
]  # fmt: skip
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


make_docs = load_script("make_docs")


def section(page, heading):
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL).group(1)


def cells(text, width):
    """Rows of the Markdown tables with `width` columns, without heads and rules."""
    rows = [[c.strip() for c in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]
    rows = [row for row in rows if len(row) == width and set(row[0]) - set("-")]
    return rows[1:]


@pytest.mark.parametrize("name", make_docs.pages())
def test_page_is_up_to_date(name):
    path = make_docs.DOCS / name
    assert path.is_file() and path.read_text(encoding="utf-8") == make_docs.pages()[name], "run scripts/make_docs.py"


def test_check_finds_a_page_that_differs(tmp_path, capsys):
    arguments = ["--docs", str(tmp_path)]
    assert make_docs.main([*arguments, "--check"]) == 1 and not list(tmp_path.iterdir())
    assert make_docs.main(arguments) == 0
    assert make_docs.main([*arguments, "--check"]) == 0
    page = tmp_path / "presets.md"
    page.write_bytes(page.read_bytes() + b"\n")
    assert make_docs.main([*arguments, "--check"]) == 1
    assert "docs/presets.md is out of date" in capsys.readouterr().err


@pytest.mark.parametrize("task", TASKS)
def test_headings_in_order(task):
    page = get_task(task).page
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS
    assert page.startswith("# ") and all(section(page, heading).strip() for heading in HEADINGS)
    assert page.count("{columns}") == 1 and "{columns}" in section(page, "Observation Space")


@pytest.mark.parametrize("task", TASKS)
def test_info_keys(task):
    documented = [row[0].strip("`") for row in cells(section(get_task(task).page, "Information"), 3)]
    by_reset = [key for key in documented if key != "invalid_action"]
    for illegal, by_step in (("raise", by_reset), ("decline", documented)):
        env = gym.make(get_task(task).id, n_requests=5, illegal=illegal)
        _, info = env.reset(seed=0)
        assert list(info) == by_reset
        noop = env.unwrapped.batch.noop
        assert list(env.step(noop)[4]) == by_step
        vector = gym.make_vec(get_task(task).id, 2, n_requests=5, illegal=illegal)
        _, info = vector.reset(seed=0)
        assert set(info) == {mark + key for key in by_reset for mark in ("", "_")}
        assert set(vector.step(np.full(2, noop))[4]) == {mark + key for key in by_step for mark in ("", "_")}


@pytest.mark.parametrize("task", TASKS)
def test_reward_terms(task):
    text = section(get_task(task).page, "Rewards")
    if text.strip().startswith("As in Routing"):
        text = section(get_task("routing").page, "Rewards")
    terms = [row[0].strip("`") for row in cells(text, 3)]
    _, info = gym.make(get_task(task).id).reset(seed=0)
    assert list(info["reward_terms"]) == terms


@pytest.mark.parametrize("task", TASKS)
def test_columns_match_the_space(task):
    page = make_docs.pages()[f"tasks/{task}.md"]
    rows = cells(section(page, "Observation Space"), 6)
    space = gym.make(get_task(task).id).observation_space
    assert [int(row[0]) for row in rows] == list(range(space.shape[1]))
    names = [row[1].strip("`") for row in rows]
    assert names == [column.name for column in get_task(task).columns] and len(set(names)) == len(names)
    for k, row in enumerate(rows):
        low, high = map(float, row[4].strip("[]").split(","))
        assert (space.low[:, k] == low).all() and (space.high[:, k] == high).all()


def test_every_preset_is_listed():
    rows = cells(make_docs.pages()["presets.md"], 9)
    assert [row[0].strip("`") for row in rows if row[0] != "name"] == list(PRESETS)
    assert all(row[-1] for row in rows), "a preset without a docstring"


def run_blocks(text, folder, monkeypatch):
    """Runs the Python blocks of a page one after the other, each for itself; returns how many there were."""
    monkeypatch.chdir(folder)
    blocks = BLOCK.findall(text)
    for k, block in enumerate(blocks):
        exec(compile(block, f"README block {k}", "exec"), {"__name__": "__main__"})
    return len(blocks)


def test_readme_blocks_run(tmp_path, monkeypatch):
    assert run_blocks((ROOT / "README.md").read_text(encoding="utf-8"), tmp_path, monkeypatch) > 0


def test_language_model_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("pydantic")
    assert run_blocks((ROOT / "docs" / "llm.md").read_text(encoding="utf-8"), tmp_path, monkeypatch) == 1


@pytest.mark.parametrize("page", ["start.md", "reproduce.md", "adding.md"])
def test_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    assert run_blocks((ROOT / "docs" / page).read_text(encoding="utf-8"), tmp_path, monkeypatch) == 1


def test_every_controller_is_in_the_gallery():
    rows = cells(make_docs.pages()["gallery.md"], 5 + make_docs.COSTS.is_file())
    names = [row[0].strip("`").removesuffix(":...") for row in rows]
    known = [name for name, target in POLICIES.items() if str(target).startswith("edge_")]  # not what a test registers
    assert sorted(name for name in names if name != "name") == sorted(known) and len(known) > 60
    assert all(row[1] for row in rows), "a controller without a docstring"
    privileged = {row[0].strip("`") for row in rows if row[2] == "**privileged**"}
    assert privileged == {"oracle", "lookahead", "e3_informed"}


def test_cost_of_a_decision_comes_from_runs(tmp_path, monkeypatch):
    rows = [
        {"policy": "jsq", "task": "routing", "scenario": "churn", "decide_s": 0.001, "decisions": 1000},
        {"policy": "jsq", "task": "routing", "scenario": "drift", "decide_s": 0.005, "decisions": 1000},
        {"policy": "sect_blind", "task": "routing", "scenario": "drift", "decide_s": 0.0, "decisions": 0},
    ]
    (tmp_path / "timing.json").write_text(json.dumps({"rows": rows}))
    costs = make_docs.decision_costs([tmp_path])
    assert costs["us"] == {"jsq": {"routing": 3.0}, "sect_blind": {}}
    gallery = sys.modules["docs_gallery"]
    monkeypatch.setattr(gallery, "COSTS", tmp_path / "us.json")
    gallery.COSTS.write_text(json.dumps(costs))
    found = {row[0]: row[5] for row in cells(gallery.gallery_page(), 6)}
    assert found["`jsq`"] == "3 (routing)" and found["`sect_blind`"] == found["`oracle`"] == "-"


def test_ids_are_found_where_they_stand(tmp_path):
    """By families that no real test has, as this file is read for ids, too."""
    (tmp_path / "test_a.py").write_text(
        '''"""Rows QA-01 to QA-03."""
CASES = [1]  # QB-07
# --- QC-08, QC-09
def test_qc_07_copies():
    pass
def test_looking():
    """Also QD-05."""
    return CASES
'''
    )
    found = sys.modules["docs_checked"].carried(tmp_path, ("QA", "QB", "QC", "QD"))
    assert {one: files["test_a"] for one, files in found.items()} == {
        "QA-01": [""], "QA-02": [""], "QA-03": [""], "QC-07": ["test_qc_07_copies"],
        "QC-08": ["test_looking"], "QC-09": ["test_looking"], "QD-05": ["test_looking"], "QB-07": ["test_looking"],
    }  # fmt: skip
    (tmp_path / "test_b.py").write_text(f'"""{"REP"}-99."""\n')
    with pytest.raises(ValueError, match=r"REP.99"):
        make_docs.checked_page(tmp_path)


def test_blocks_are_found(tmp_path, monkeypatch):
    page = "a\n```python\nx = 1\nassert x\n```\n```sh\nfalse\n```\n```python\nopen('made', 'w').close()\n```\n"
    assert run_blocks(page, tmp_path, monkeypatch) == 2 and (tmp_path / "made").exists()
    with pytest.raises(ZeroDivisionError):
        run_blocks("```python\n1 / 0\n```\n", tmp_path, monkeypatch)
