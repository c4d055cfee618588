"""Writes edge_gym/data/sample_azure_trace.csv: a small MADE-UP trace in the format of the Azure LLM trace 2023.

No row of it was measured. Gaps are hyperexponential (many short, few long), lengths are log-normal, all drawn from a
fixed seed. For real figures take the published trace and set `trace_path`.
"""

import math
import random
from datetime import datetime, timedelta
from pathlib import Path

TARGET = Path(__file__).parent.parent / "edge_gym" / "data" / "sample_azure_trace.csv"
N_ROWS = 2000
SEED = 20231116
MEAN_GAP_S = 0.5


def sample_text(n_rows: int = N_ROWS, seed: int = SEED) -> str:
    """Returns the whole file as text."""
    rng = random.Random(seed)
    start, elapsed_s = datetime(2023, 11, 16, 18, 0, 0), 0.0
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for _ in range(n_rows):
        # 1 gap in 10 is long: coefficient of variation about 1.7, the mean stays MEAN_GAP_S
        mean_s = MEAN_GAP_S * (4.6 if rng.random() < 0.1 else 0.6)
        elapsed_s += rng.expovariate(1.0 / mean_s)
        ticks = round(elapsed_s * 10_000_000)
        stamp = start + timedelta(seconds=ticks // 10_000_000)
        prompt, units = length(rng, 800, 0.8, 8000), length(rng, 128, 0.8, 1000)
        lines.append(f"{stamp:%Y-%m-%d %H:%M:%S}.{ticks % 10_000_000:07d},{prompt},{units}")
    return "\n".join(lines) + "\n"


def length(rng: random.Random, mean: float, cv: float, maximum: int) -> int:
    """Draws a log-normal token count in [1, maximum]."""
    sigma = math.sqrt(math.log(1 + cv**2))
    return max(1, min(maximum, round(rng.lognormvariate(math.log(mean) - sigma**2 / 2, sigma))))


if __name__ == "__main__":
    TARGET.write_text(sample_text(), encoding="utf-8", newline="\n")
    print(f"{TARGET.name}: {N_ROWS} made-up rows")
