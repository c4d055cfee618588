"""Without an extra, the test files that need it are skipped: so a light installation is tested, too."""

import re

import pytest

OF_EXTRAS = "torch|stable_baselines3|sb3_contrib|tensorboard|onnx|openai|httpx2|pydantic|agentscope|matplotlib"
MISSING = re.compile(rf"ModuleNotFoundError: No module named '({OF_EXTRAS})(\.[^']*)?'")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """A file that cannot be imported for want of an extra counts as skipped."""
    report = yield
    if report.failed and (found := MISSING.search(str(report.longrepr))):
        report.outcome, report.result = "skipped", []
        report.longrepr = (str(collector.path), 0, f"Skipped: {found[1]} is not installed")
    return report
