"""Without any extra every baseline, bound and shipped policy plays."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLAY = """
import sys
for name in {modules!r}:
    sys.modules[name] = None
sys.path.insert(0, {scripts!r})
import play_every_policy
sys.exit(play_every_policy.main([]))
"""
OF_EXTRAS = (
    "torch", "stable_baselines3", "sb3_contrib", "tensorboard", "matplotlib", "onnx", "onnxruntime", "openai", "httpx2",
    "pydantic", "agentscope", "ray", "imageio_ffmpeg", "safetensors",
)  # fmt: skip


@pytest.mark.slow
def test_every_policy_plays_without_any_extra():
    code = PLAY.format(modules=OF_EXTRAS, scripts=str(ROOT / "scripts"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) > 65 and lines[-1] == "0 failed" and all(line.endswith("played") for line in lines[:-1])
