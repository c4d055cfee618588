"""Measures how long learned controllers think: the policy that runs a checkpoint by numpy, beside the network in torch.

    python scripts/benchmark_decisions.py [--nodes 16] [--worlds 1024] [--calls 1000]

Microseconds a decision: `alone` one world at a time, all of `act`; `batch` many worlds at a time, a world's share.
torch does no more than the forward pass and the choice, its inputs being tensors already. One thread each; medians over
calls of the thread's own time, which a busy machine disturbs less; the two take turns of ten calls. The weights are
random: time does not depend on them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from edge_agents.checkpoint import save
from edge_agents.learned import Learned
from edge_agents.networks import KINDS, RowNetwork, build
from edge_agents.spec import NetworkSpec

from edge_gym.policy import Context
from edge_gym.tasks import get_task

TASK = "routing"
TURN = 10
FEWER = 20  # times fewer calls for many worlds


def made(kind: str, hidden: int, n_nodes: int, folder: Path) -> tuple[RowNetwork, Learned]:
    """A network, and the policy that runs its checkpoint."""
    rows = n_nodes + 1 if kind == "mlp" else 0
    network = build(NetworkSpec(kind=kind, n_features=len(get_task(TASK).columns), hidden=hidden, rows=rows))
    path = folder / f"{kind}{hidden}.safetensors"
    save(path, network, {"task": TASK})
    return network.eval(), Learned(path)


def calls(network: RowNetwork, policy: Learned, n_worlds: int, n_nodes: int) -> list[Callable[[], object]]:
    """One decision of each, on the same observations."""
    rng, rows = np.random.default_rng(0), n_nodes + 1
    obs = rng.random((n_worlds, rows, network.spec.n_features), dtype=np.float32)
    mask = rng.random((n_worlds, rows)) < 0.8
    mask[:, -1] = True
    links = rng.random((rows, rows), dtype=np.float32)
    false, zero = np.zeros(n_worlds, bool), np.zeros(n_worlds)
    context = Context(
        time_s=zero, dt_s=zero, begun=false, active=~false, ended_row=zero[:0], ended=zero[:0], links=links
    )
    tensors = [torch.from_numpy(table) for table in (obs, mask, np.broadcast_to(links, (n_worlds, rows, rows)).copy())]
    memory = torch.zeros(n_worlds, rows, network.spec.hidden)
    policy.reset(n_worlds, 0)

    def by_torch() -> torch.Tensor:
        with torch.inference_mode():
            return network(*tensors, memory).logits.argmax(1)

    return [lambda: policy.act(obs, mask, context), by_torch]


def measure(ways: list[Callable[[], object]], n_worlds: int, count: int) -> list[float]:
    """Microseconds a decision of each."""
    spent: list[list[float]] = [[] for _ in ways]
    for turn in range(-1, max(1, count // TURN)):  # the first turn allocates
        for k, way in enumerate(ways):
            for _ in range(TURN):
                began = time.thread_time()
                way()
                if turn >= 0:
                    spent[k].append(time.thread_time() - began)
    return [statistics.median(seconds) / n_worlds * 1e6 for seconds in spent]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--worlds", type=int, default=1024, help="of a batch")
    parser.add_argument("--calls", type=int, default=1000, help="for one world; for many a twentieth of it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| network | hidden | numpy alone | torch alone | numpy batch | torch batch |")
    print("|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for hidden in (32, 64):
                network, policy = made(kind, hidden, options.nodes, Path(folder))
                cells = []
                for n_worlds, count in ((1, options.calls), (options.worlds, options.calls // FEWER)):
                    cells += measure(calls(network, policy, n_worlds, options.nodes), n_worlds, count)
                print(f"| `{kind}` | {hidden} |", " | ".join(f"{cell:.3g}" for cell in cells), "|", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
