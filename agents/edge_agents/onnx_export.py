"""A trained network as an ONNX file, for whoever serves it with another runtime."""

from __future__ import annotations

import json
import logging
import os
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from edge_agents.checkpoint import Checkpoint, load
from edge_agents.networks import restore
from edge_gym.errors import EdgeGymInputError, install_extra
from edge_gym.files import atomic_write
from edge_gym.tasks import get_task

NEEDS = ("onnx", "onnxscript")
EXAMPLE = 2, 3  # worlds and nodes of the example that is traced; any but 1, which torch would take for fixed


def export(checkpoint_path: str | os.PathLike, onnx_path: str | os.PathLike) -> None:
    """Write a network as an ONNX model for any number of worlds and nodes (kind "mlp": its own number of nodes).

    Inputs are `obs` (B, A, F) float32 with all columns of the task, `legal` (B, A * C) bool; for kind "graph" `links`
    (B, A, A) float32; for kind "recurrent" `memory` (B, A, H) float32, zeros when an episode begins. Outputs are
    `logits` (B, A * C), the choice being the largest, and `next_memory`. What is known of the training is in the
    model's metadata, as JSON under `edge_gym`.

    Raises:
        EdgeGymInputError: The checkpoint is not acceptable, or a package is missing.
    """
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        needed = "installed to write ONNX files"
        raise EdgeGymInputError("packages", ", ".join(missing), needed, hint=install_extra("rl,onnx"))
    atomic_write(onnx_path, to_onnx(load(checkpoint_path)))


def to_onnx(checkpoint: Checkpoint) -> bytes:
    """The content of the ONNX file."""
    spec = checkpoint.spec
    n_worlds, n_nodes = EXAMPLE
    rows = spec.rows or n_nodes + 1
    either = torch.export.Dim.DYNAMIC
    n_columns = len(get_task(checkpoint.task).columns)
    inputs = {
        "obs": torch.zeros(n_worlds, rows, n_columns),
        "legal": torch.ones(n_worlds, rows * spec.columns, dtype=torch.bool),
    }
    sizes = {name: {0: either} if spec.rows else {0: either, 1: either} for name in inputs}
    outputs = ["logits"]
    if spec.kind == "graph":
        inputs["links"], sizes["links"] = torch.zeros(n_worlds, rows, rows), {0: either, 1: either, 2: either}
    if spec.kind == "recurrent":
        inputs["memory"], sizes["memory"] = torch.zeros(n_worlds, rows, spec.hidden), {0: either, 1: either}
        outputs.append("next_memory")
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # it misses torchvision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own code
        program = torch.onnx.export(
            _Chooser(checkpoint).eval(),
            kwargs=inputs,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=sizes,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props["edge_gym"] = json.dumps(checkpoint.about)
    return program.model_proto.SerializeToString()


class _Chooser(nn.Module):
    """The network with the task's columns before it, and without the value, which nobody needs to decide."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network, self.columns = restore(checkpoint.spec, checkpoint.tensors), checkpoint.columns

    def forward(
        self, obs: Tensor, legal: Tensor, links: Tensor | None = None, memory: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Scores, and the memory if there is one."""
        scores = self.network(obs[:, :, self.columns], legal, links, memory)
        return (scores.logits,) if scores.memory is None else (scores.logits, scores.memory)
