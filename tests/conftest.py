"""What a light or installed edge_gym cannot show is skipped: tests that need an extra, or that read the sources."""

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# The same cases every time, on a machine as busy as it likes.
settings.register_profile("edge_gym", derandomize=True, deadline=None, database=None)
settings.load_profile("edge_gym")
# Nor does it matter what whoever runs them has set for language models.
for name in [name for name in os.environ if name.startswith("EDGE_GYM_LLM_")]:
    del os.environ[name]

SOURCES = (Path(__file__).resolve().parent.parent / "edge_gym").is_dir()
OF_EXTRAS = "torch|stable_baselines3|sb3_contrib|tensorboard|onnx|openai|httpx2|pydantic|agentscope|matplotlib|PIL"
MISSING = re.compile(rf"No module named \\?['\"]({OF_EXTRAS})\b|needs the package (matplotlib)")
# They read the sources when they are imported; others are marked `sources`.
collect_ignore = [] if SOURCES else ["test_docs.py", "test_imports.py", "test_planted_defects.py", "test_release.py"]


def missing_extra(text: str) -> str | None:
    """The package for want of which something failed; one that is there is not to blame."""
    found = {one or other for one, other in MISSING.findall(text)}
    return next((name for name in sorted(found) if find_spec(name) is None), None)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """A file that cannot be imported for want of an extra counts as skipped."""
    report = yield
    if report.failed and (name := missing_extra(str(report.longrepr))):
        report.outcome, report.result = "skipped", []
        report.longrepr = (str(collector.path), 0, f"Skipped: {name} is not installed")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """So does a test."""
    report = yield
    if report.failed and (name := missing_extra(str(report.longrepr))):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {name} is not installed")
    return report


def pytest_collection_modifyitems(items):
    """Without the sources there is nothing to read in them."""
    for item in items:
        if not SOURCES and item.get_closest_marker("sources"):
            item.add_marker(pytest.mark.skip("reads the sources: an installed wheel is being tested"))


@pytest.fixture(scope="session")
def run_before(tmp_path_factory):
    """The folder of a small finished run, which nobody changes."""
    from refusals import finished_run

    return finished_run(tmp_path_factory.mktemp("before") / "earlier")


@pytest.fixture
def place(run_before, tmp_path):
    """A folder with a copy of a run of the past, `earlier`."""
    shutil.copytree(run_before, tmp_path / "earlier")
    return tmp_path
