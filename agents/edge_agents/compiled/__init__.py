"""Compiled functions for learners: what is too slow in Python and none of the world's business."""

from pathlib import Path

from edge_gym.kernel._jit import compiler_for

compiled = compiler_for(Path(__file__).parent)
