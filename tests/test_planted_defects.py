"""VAL-27: the planted defects fit the sources; `python scripts/planted_defects.py` counts those that tests notice."""

import ast
import json
from pathlib import Path

import pytest
from script_loader import load_script

ROOT = Path(__file__).resolve().parent.parent


script = load_script("planted_defects")
DEFECTS = script.read_defects()


def test_val_27_there_are_many_of_every_kind():
    assert len(DEFECTS) >= 100 and len({one.name for one in DEFECTS}) == len(DEFECTS)
    assert {one.group for one in DEFECTS} == {"requests", "control", "agents", "reading", "figures"}
    assert sum(one.file.startswith(script.KERNEL) for one in DEFECTS) >= 60


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name.replace(" ", "_"))
def test_val_27_a_defect_fits_where_it_is_planted(defect, tmp_path):
    """Its text stands there once, what comes of it is still Python, and its tests are there."""
    source = (ROOT / defect.file).read_text()
    (tmp_path / defect.file).parent.mkdir(parents=True)
    (tmp_path / defect.file).write_text(source)
    script.plant(tmp_path, defect)
    planted = (tmp_path / defect.file).read_text()
    assert planted != source and ast.dump(ast.parse(planted)) != ast.dump(ast.parse(source))
    assert defect.stages, "no tests"
    for _, arguments in defect.stages:
        files = [word for word in arguments if word.startswith("tests/")]
        assert files and all((ROOT / word).is_file() for word in files)


def test_val_27_a_defect_that_is_not_found_is_an_error(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    defect = DEFECTS[0]._replace(file="a.py", old="x = 1", new="x = 2")
    with pytest.raises(ValueError, match="stands 2 times in a.py"):
        script.plant(tmp_path, defect)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs git to list what belongs to the project")
def test_val_27_what_is_killed_survives_or_was_run_before(tmp_path, capsys):
    """A defect that a test notices, one that none does, and a second run that runs nothing."""
    holm = next(one for one in DEFECTS if one.name == "Bonferroni for Holm")
    blind = holm._replace(name="nobody looks", stages=((True, ("tests/test_stats.py", "-k", "no_such_test")),))
    killed = holm._replace(stages=((True, ("tests/test_stats_independent.py", "-k", "holm")),))
    out = tmp_path / "out.jsonl"
    known = script.run_all([killed, blind], out, 2, str(tmp_path / "cache"), 250.0)
    assert script.print_table([killed, blind], known) == 1
    printed = capsys.readouterr().out
    assert "1 of 2 killed (50.0 %)" in printed and "test_stats_independent.py::" in printed
    before = out.read_bytes()
    script.run_all([killed, blind], out, 1, "", 250.0)
    assert out.read_bytes() == before and len([json.loads(line) for line in before.splitlines()]) == 2
