"""How the solvers of this folder are compiled."""

from pathlib import Path

from edge_gym.kernel._jit import compiler_for

compiled = compiler_for(Path(__file__).parent)
