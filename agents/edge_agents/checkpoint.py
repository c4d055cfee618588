"""Trained networks as files: tensors and one JSON text in the safetensors format, which is read here without any
library, so that every byte is checked and nothing in a stranger's file can run.

The format (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header; the header, with the
type, shape and place of each tensor by name and texts under `__metadata__`; the numbers. Ours has two texts there:
`edge_gym`, again JSON (format, network, task, features, and whatever else is known of the training), and `sha256`, of
that text and the numbers, so that no flipped bit goes unseen.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edge_agents.spec import NetworkSpec, shapes
from edge_gym.errors import MISSING, EdgeGymInputError, nearest
from edge_gym.evaluation.provenance import about_run
from edge_gym.files import atomic_write, decode_utf8, read_bytes
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint
from edge_gym.scenario.parse import parse
from edge_gym.tasks import get_task

if TYPE_CHECKING:
    from edge_agents.networks import RowNetwork

FORMAT = 1  # of the JSON text
KEY = "edge_gym"
MAX_BYTES = 64 * 2**20
MAX_HEADER = 2**20
MAX_WEIGHT = 1e4  # training gives nothing near it: the file is damaged, or the training went astray
LENGTH = 8  # bytes of the header's length
NOT_OURS = ((b"PK", "a zip file, as torch.save makes"), (b"\x80", "a pickle"), (b"\x1f\x8b", "gzip"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes:
        spec: What the network is made of.
        tensors: Its weights by name, float32, in the shapes of `edge_agents.spec.shapes`.
        about: Plain values: `task`; `features`, names of the columns in the order of the network's inputs; `scalings`
            of these; `reward_scale`; and whatever else was said when it was saved.
    """

    spec: NetworkSpec
    tensors: dict[str, np.ndarray]
    about: dict[str, Any]

    @property
    def task(self) -> str:
        """Name of the task it decides."""
        return self.about["task"]

    @property
    def columns(self) -> list[int]:
        """(F,) which column of the task's observation each feature is."""
        names = [column.name for column in get_task(self.task).columns]
        return [names.index(name) for name in self.about["features"]]


def describe(task: str, scenarios: Sequence[Scenario], reward_scale: float = 1.0, **more: Any) -> dict[str, Any]:
    """What is worth knowing of a training: for `save`.

    Args:
        task: Name of the task.
        scenarios: It was trained on.
        reward_scale: By which rewards were multiplied.
        **more: Plain values: seeds, settings, seconds, decisions seen.
    """
    run = about_run([])
    return {
        "task": task,
        "scenarios": {one.name: fingerprint(one) for one in scenarios},
        "models": {one.name: [workload.model for workload in one.workloads] for one in scenarios},
        "reward_scale": reward_scale,
        **{name: run[name] for name in ("versions", "git", "platform", "command")},
        **more,
    }


def save(path: str | os.PathLike, network: RowNetwork, about: Mapping[str, Any]) -> None:
    """Write a network as a whole file, or leave the old one as it was.

    Args:
        path: Where to; its folder must exist.
        network: What was trained.
        about: Plain values as from `describe`: `task` at least. `features`, names of the task's columns in the order
            of the network's inputs, are all of them unless given.

    Raises:
        EdgeGymInputError: `about` is not plain or lacks something, or a weight is not finite or is too large.
    """
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    write(path, Checkpoint(spec=network.spec, tensors=tensors, about=dict(about)))


def write(path: str | os.PathLike, checkpoint: Checkpoint) -> None:
    """As `save`, for arrays."""
    data = encode(checkpoint)
    decode(data, str(path))  # whatever could not be loaded is not written
    atomic_write(path, data)


def load(path: str | os.PathLike) -> Checkpoint:
    """Read and check a file; no code in it is ever run.

    Raises:
        EdgeGymInputError: Not a regular file, too large, damaged, of another format, or for other features than the
            task has.
    """
    return decode(read_bytes(path, MAX_BYTES), str(path))


def encode(checkpoint: Checkpoint) -> bytes:
    """The bytes of a file."""
    about = dict(checkpoint.about)
    columns = get_task(str(about.get("task"))).columns
    about.setdefault("features", [column.name for column in columns])
    about.setdefault("reward_scale", 1.0)
    scaling = {column.name: column.scaling for column in columns}
    about["scalings"] = [scaling.get(name) for name in about["features"]]
    text = _dump({"format": FORMAT, "network": dataclasses.asdict(checkpoint.spec), **about})
    header: dict[str, Any] = {}
    blocks, at = [], 0
    for name, tensor in sorted(checkpoint.tensors.items()):
        block = np.ascontiguousarray(tensor, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(np.shape(tensor)), "data_offsets": [at, at + len(block)]}
        blocks.append(block)
        at += len(block)
    body = b"".join(blocks)
    header["__metadata__"] = {KEY: text, "sha256": _digest(text, body)}
    raw = _dump(header).encode()
    raw += b" " * (-len(raw) % LENGTH)  # the numbers begin at a multiple of eight
    return len(raw).to_bytes(LENGTH, "little") + raw + body


def _digest(text: str, body: bytes) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass") + body).hexdigest()


def _dump(plain: Any) -> str:
    try:
        return json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise EdgeGymInputError("about", MISSING, "plain finite values", "checkpoint", str(error)) from None


def decode(data: bytes, where: str) -> Checkpoint:
    """What the bytes of a file mean.

    Args:
        data: All of it.
        where: Name of the file, for messages.

    Raises:
        EdgeGymInputError: See `load`.
    """
    header, body = _split(data, where)
    texts = header.pop("__metadata__", None)
    texts = texts if isinstance(texts, dict) else {}
    text = texts.get(KEY)
    if not isinstance(text, str):
        _refuse(where, f"__metadata__.{KEY}", MISSING, "a text, as in a checkpoint of edge_gym")
    if texts.get("sha256") != _digest(text, body):
        _refuse(where, "__metadata__.sha256", texts.get("sha256"), "that of the file", "the file is damaged")
    about = parse(text, "json", where)[0]
    spec = _spec(about, where)
    _check_about(about, spec, where)
    return Checkpoint(spec=spec, tensors=_tensors(header, body, spec, where), about=about)


def _refuse(where: str, field: str, value: Any, allowed: str, hint: str = "") -> NoReturn:
    raise EdgeGymInputError(field, value, allowed, where, hint)


def _split(data: bytes, where: str) -> tuple[dict[str, Any], bytes]:
    """The header, and the numbers."""
    found = next((word for magic, word in NOT_OURS if data.startswith(magic)), "")
    length = int.from_bytes(data[:LENGTH], "little")
    if not 0 < length <= min(MAX_HEADER, len(data) - LENGTH):
        hint = f"found {found}" if found else "not a safetensors file, or it is cut off"
        _refuse(where, "header length", length, f"> 0, <= {MAX_HEADER} and within the file's {len(data)} bytes", hint)
    header = parse(decode_utf8(data[LENGTH : LENGTH + length], where), "json", where)[0]
    if not isinstance(header, dict):
        _refuse(where, "header", MISSING, "a JSON object")
    return header, data[LENGTH + length :]


def _spec(about: Any, where: str) -> NetworkSpec:
    """Takes format and network out of the text."""
    if not isinstance(about, dict):
        _refuse(where, KEY, MISSING, "a JSON object")
    version = about.pop("format", MISSING)
    if version != FORMAT or type(version) is not int:
        _refuse(where, "format", version, f"{FORMAT}", "the supported version of the format")
    network = about.pop("network", MISSING)
    names = [field.name for field in dataclasses.fields(NetworkSpec)]
    if not isinstance(network, dict) or set(network) != set(names):
        _refuse(where, "network", network, f"an object with {', '.join(names)}")
    try:
        return NetworkSpec(**network)
    except EdgeGymInputError as error:
        raise error.moved("network", where) from None


def _check_about(about: dict[str, Any], spec: NetworkSpec, where: str) -> None:
    """The features must be the task's columns, in any order, and mean what they meant."""
    try:
        task = get_task(str(about.get("task")))
    except EdgeGymInputError as error:
        raise error.moved(where=where) from None
    if spec.columns > 1 and not task.control:
        _refuse(where, "network.columns", spec.columns, f"1 in a network for {task.name}")
    scale = about.get("reward_scale")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0:
        _refuse(where, "reward_scale", scale, "a number > 0")
    features, scalings = (about.get(name) for name in ("features", "scalings"))
    if not isinstance(features, list) or not isinstance(scalings, list) or len(features) != len(scalings):
        _refuse(where, "features", features, "a list of names, and scalings as many")
    if len(features) != spec.n_features:
        _refuse(where, "features", features, f"{spec.n_features} names, one for each of network.n_features")
    known = {column.name: column.scaling for column in task.columns}
    for k, (name, scaling) in enumerate(zip(features, scalings, strict=True)):
        if not isinstance(name, str) or name not in known or name in features[:k]:
            _refuse(where, f"features[{k}]", name, f"another column of {task.name}", nearest(str(name), known))
        if scaling != known[name]:
            _refuse(where, f"scalings[{k}]", scaling, f"'{known[name]}', as column {name} is scaled in this version")


def _tensors(header: dict[str, Any], body: bytes, spec: NetworkSpec, where: str) -> dict[str, np.ndarray]:
    """Exactly the tensors of the network, one after the other without gaps, every number finite and sane."""
    wanted = shapes(spec)
    for name in sorted(set(wanted) ^ set(header)):
        allowed = "given" if name in wanted else f"a tensor of a network of kind '{spec.kind}'"
        _refuse(where, name, MISSING, allowed)
    found, at = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _begin(*item, where)):
        shape, begin, end = list(wanted[name]), *entry["data_offsets"]
        if entry.get("dtype") != "F32" or entry.get("shape") != shape:
            _refuse(where, name, [entry.get("dtype"), entry.get("shape")], f"F32 of shape {shape}")
        size = 4 * int(np.prod(shape))
        if (begin, end) != (at, at + size) or end > len(body):
            _refuse(where, f"{name}.data_offsets", [begin, end], f"[{at}, {at + size}] in {len(body)} bytes")
        found[name] = np.frombuffer(body[begin:end], "<f4").reshape(shape).astype(np.float32)
        if not (np.abs(found[name]) <= MAX_WEIGHT).all():  # not a number is not <= either
            _refuse(where, name, float(np.abs(found[name]).max()), f"finite numbers of at most {MAX_WEIGHT:g}")
        at = end
    if at != len(body):
        _refuse(where, "size", len(body), f"{at} bytes of numbers")
    return found


def _begin(name: str, entry: Any, where: str) -> int:
    """Where a tensor begins."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
        _refuse(where, f"{name}.data_offsets", offsets, "two integers")
    return offsets[0]
