"""Steps a vector environment for a long time and prints how much memory the process holds: it must not grow.

python scripts/soak_memory.py            # 10 million environment steps
python scripts/soak_memory.py --steps 1e6 --num-envs 16
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from pathlib import Path

import numpy as np

from edge_gym.envs.vector import EdgeVectorEnv


def resident_mib() -> float:
    """Memory the process holds now; where the system does not tell, the most it has held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=float, default=1e7, help="environment steps (default 1e7)")
    parser.add_argument("--every", type=float, default=1e6, help="environment steps between two lines (default 1e6)")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--scenario", default="stationary", help="its episodes end and begin again on the way")
    args = parser.parse_args()

    env = EdgeVectorEnv(args.num_envs, scenario=args.scenario)
    _, info = env.reset(seed=0)
    n_choices, shift = env.world.n_nodes + 1, 0
    turns = [(shift + np.arange(n_choices)) % n_choices for shift in range(n_choices)]
    done, episodes, began = 0, 0, time.perf_counter()
    points: list[tuple[float, float]] = []
    next_line = args.every
    print(f"{'steps':>12} {'RSS MiB':>9} {'episodes':>9} {'seconds':>8}", flush=True)
    while done < args.steps:
        turn = turns[shift]
        shift = (shift + 1) % n_choices
        _, _, _, over, info = env.step(turn[info["action_mask"][:, turn].argmax(axis=1)])
        done += args.num_envs
        episodes += int(over.sum())
        if done >= next_line:
            next_line += args.every
            gc.collect()
            points.append((done, resident_mib()))
            elapsed = time.perf_counter() - began
            print(f"{done:>12} {points[-1][1]:>9.1f} {episodes:>9} {elapsed:>8.1f}", flush=True)
    if len(points) >= 3:
        # The first line is left out: pages are touched for the first time until then.
        x, y = np.array(points[1:]).T
        slope = np.polyfit(x / 1e6, y, 1)[0] if len(x) > 1 else 0.0
        print(f"rss_slope {slope:.4f} MiB/1e6_steps (without the first line)")


if __name__ == "__main__":
    main()
