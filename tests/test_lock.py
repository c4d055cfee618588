"""SEC-17: what the core and the light extras stand on is pinned with hashes, and audited for every change."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
EXTRAS = ("plot", "llm", "onnx")  # those of scripts/make_lock.sh
ENTRY = re.compile(r"([a-z0-9][a-z0-9._-]*)==([a-z0-9.]+)((?: --hash=sha256:[0-9a-f]{64})+)")


def pins(text):
    """Version and number of hashes of each package; refuses whatever else stands there."""
    found = {}
    for line in text.replace("\\\n    ", "").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        match = ENTRY.fullmatch(line)
        assert match, f"not a pin with hashes: {line[:80]}"
        found[canonicalize_name(match[1])] = (match[2], match[3].count("sha256:"))
    return found


def missing(wanted, pinned):
    """Requirements that no pin meets."""
    found = [Requirement(text) for text in wanted]
    versions = {name: version for name, (version, _) in pinned.items()}
    return [str(r) for r in found if versions.get(canonicalize_name(r.name), "") not in r.specifier
            or canonicalize_name(r.name) not in versions]  # fmt: skip


def test_SEC_17_every_dependency_is_pinned_with_hashes():
    wanted = [*PROJECT["dependencies"], *(text for name in EXTRAS for text in PROJECT["optional-dependencies"][name])]
    pinned = pins(LOCK)
    assert missing(wanted, pinned) == []
    assert all(hashes >= 1 for _, hashes in pinned.values()) and "torch" not in pinned


def test_SEC_17_the_lock_names_no_index_and_no_file():
    assert not re.search(r"://|file:|--index-url|--extra-index|--find-links|--trusted-host|(?<!#)\s@\s", LOCK)


@pytest.mark.parametrize(
    "planted",
    ["left-pad==1.0\n", "numpy>=2 --hash=sha256:" + "0" * 64 + "\n", "x @ file:///tmp/x\n", "--index-url y\n"],
)
def test_SEC_17_a_planted_line_is_seen(planted):
    with pytest.raises(AssertionError, match="not a pin with hashes"):
        pins(LOCK + planted)


def test_SEC_17_a_dependency_that_is_not_pinned_is_seen():
    assert missing(["numpy>=2.0", "numpy>=99", "left-pad"], pins(LOCK)) == ["numpy>=99", "left-pad"]


def test_SEC_17_the_core_stays_small():
    """The ninth is jinja2, with which a report escapes whatever it is given."""
    assert len(PROJECT["dependencies"]) <= 9


def test_SEC_17_every_change_is_audited():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["locked"]["steps"]]
    assert any(step.startswith("pip-audit") and "-r requirements.lock" in step for step in steps)
    assert any("--require-hashes --only-binary :all: -r requirements.lock" in step for step in steps)
    assert workflow["permissions"] == {"contents": "read"} and "if" not in workflow["jobs"]["locked"]


def test_SEC_17_actions_are_pinned_to_commits():
    """A tag can be moved to something else."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert len(used) > 10 and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one) for one in used)
