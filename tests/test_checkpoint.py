"""Checkpoint files: what is written is read, and no stranger's file does anything but be refused."""

import contextlib
import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_agents import checkpoint as cp
from edge_agents.networks import KINDS, build, restore
from edge_agents.spec import KIND_NAMES, NetworkSpec, shapes
from processor_time import takes_at_most

from edge_gym.errors import EdgeGymInputError
from edge_gym.scenario.presets import resolve
from edge_gym.tasks import get_task

COLUMNS = [column.name for column in get_task("routing").columns]
SMALL = NetworkSpec(n_features=len(COLUMNS), hidden=4, anchor=(COLUMNS.index("router_cost"),))


def small(kind="deepsets", **changes):
    changes = {"rows": 5 if kind == "mlp" else 0, **changes}
    return build(replace(SMALL, kind=kind, **changes))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a file that is fine."""
    path = tmp_path_factory.mktemp("good") / "x.safetensors"
    cp.save(path, small(), {"task": "routing", "seeds": [1, 2]})
    return path.read_bytes()


def parts(data):
    """Header, text and numbers of a file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["edge_gym"]), data[8 + length :]


def forged(header, text, body, digest=True):
    """A file whose hash is right whatever is in it."""
    text = text if isinstance(text, str) else json.dumps(text)
    header["__metadata__"] = {"edge_gym": text, "sha256": cp._digest(text, body) if digest else "0" * 64}
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + body


def refused(data, *words):
    with pytest.raises(EdgeGymInputError) as caught:
        cp.decode(data, "x.safetensors")
    message = str(caught.value)
    assert "x.safetensors" in message and all(word in message for word in words), message
    return message


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_what_is_saved_is_loaded(tmp_path, kind):
    network, path = small(kind), tmp_path / "x.safetensors"
    about = cp.describe("routing", [resolve("toy2", "routing")], reward_scale=0.25, seeds=[7])
    cp.save(path, network, about)
    found = cp.load(path)
    assert found.spec == network.spec and found.task == "routing" and found.columns == list(range(len(COLUMNS)))
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == shapes(network.spec)
    for name, tensor in network.state_dict().items():
        assert found.tensors[name].dtype == np.float32 and np.array_equal(found.tensors[name], tensor.numpy())
    assert found.about["features"] == COLUMNS and found.about["seeds"] == [7] and found.about["reward_scale"] == 0.25
    assert list(found.about["scenarios"]) == ["toy2"] and "edge_gym" in found.about["versions"]
    assert cp.encode(found) == path.read_bytes()


def test_kinds_and_shapes_are_those_of_torch():
    assert tuple(KINDS) == KIND_NAMES
    for kind in KIND_NAMES:
        for columns in (1, 9):
            network = small(kind, hidden=8, columns=columns)
            assert shapes(network.spec) == {name: tuple(t.shape) for name, t in network.state_dict().items()}


def test_restored_networks_leave_the_generator_alone(good):
    found = cp.decode(good, "x")
    before = torch.random.get_rng_state()
    network = restore(found.spec, found.tensors)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(np.array_equal(t.numpy(), found.tensors[name]) for name, t in network.state_dict().items())


def test_the_format_is_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    network, path = small("recurrent"), tmp_path / "x.safetensors"
    cp.save(path, network, {"task": "routing"})
    theirs = safetensors.load_file(path)
    assert theirs.keys() == network.state_dict().keys()
    assert all(np.array_equal(tensor, network.state_dict()[name].numpy()) for name, tensor in theirs.items())


def test_features_may_be_some_columns_in_any_order(tmp_path):
    names = ["router_cost", "busy", "is_decline"]
    network = build(NetworkSpec(n_features=3, hidden=4, anchor=(0,)))
    cp.save(tmp_path / "x.safetensors", network, {"task": "routing", "features": names})
    assert cp.load(tmp_path / "x.safetensors").columns == [COLUMNS.index(name) for name in names]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"format": 2}, ("format = 2", "must be 1"), id="RUN-23-other-version"),
        pytest.param({"format": True}, ("format = True",), id="version-bool"),
        pytest.param({"format": None}, ("format",), id="version-none"),
        pytest.param({"network": {**asdict(SMALL), "kind": "transformer"}}, ("network.kind",), id="BAD-52-kind"),
        pytest.param({"network": {**asdict(SMALL), "hidden": 6}}, ("network.hidden",), id="heads"),
        pytest.param({"network": {**asdict(SMALL), "hidden": 8}}, ("context.weight", "[8, 16]"), id="BAD-52-shape"),
        pytest.param({"network": {**asdict(SMALL), "kind": "mlp", "rows": 3}}, ("all_scores",), id="other-algorithm"),
        pytest.param({"network": {"kind": "deepsets"}}, ("network",), id="network-keys"),
        pytest.param({"network": None}, ("network",), id="network-none"),
        pytest.param({"network": {**asdict(SMALL), "hidden": 4.5}}, ("network.hidden",), id="hidden-float"),
        pytest.param({"network": {**asdict(SMALL), "columns": 9}}, ("network.columns",), id="columns"),
        pytest.param({"network": {**asdict(SMALL), "anchor": [99]}}, ("network.anchor",), id="anchor"),
        pytest.param({"task": "roting"}, ("task", "did you mean 'routing'"), id="task"),
        pytest.param({"task": ["routing"]}, ("task",), id="task-list"),
        pytest.param({"task": "placement"}, ("scalings",), id="BAD-52-other-task"),
        pytest.param({"features": None}, ("features",), id="features-none"),
        pytest.param({"features": COLUMNS[1:], "scalings": [""] * 36}, ("37 names",), id="BAD-52-space"),
        pytest.param({"features": ["modle", *COLUMNS[1:]]}, ("features[0] = 'modle'", "'model'?"), id="name"),
        pytest.param({"features": [*COLUMNS[:-1], "busy"]}, ("features[36] = 'busy'",), id="twice"),
        pytest.param({"features": [*COLUMNS[:-1], 7]}, ("features[36] = 7",), id="no-name"),
        pytest.param({"features": [*COLUMNS[:-1], ["busy"]]}, ("features[36]",), id="list-in-list"),
        pytest.param({"reward_scale": 0}, ("reward_scale = 0",), id="reward-scale"),
        pytest.param({"reward_scale": "1"}, ("reward_scale",), id="reward-scale-text"),
    ],
)  # fmt: skip
def test_BAD_52_what_the_text_says(good, change, words):
    header, text, body = parts(good)
    if change.get("task") == "placement":  # has the same names and more, one of them scaled otherwise
        text["scalings"][3] = "other"
    refused(forged(header, {**text, **change}, body), *words)


def test_the_first_feature_that_differs_is_named_with_its_scaling(good):
    header, text, body = parts(good)
    text["scalings"][5] = "metres"
    refused(forged(header, text, body), "scalings[5] = 'metres'", "r / (r + 1)", "retries")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"format": NaN}', '{"format": 1e999}', "{" * 10_000, '{"a":' * 40 + "1" + "}" * 40,
     '{"format": 1, "format": 1}', "9" * 5000, '"\\ud800"', "\ud800"],
)  # fmt: skip
def test_BAD_52_texts_that_are_not_ours(good, text):
    header, _, body = parts(good)
    refused(forged(header, text, body))


def edited(**changes):
    """What may be wrong with the entry of a tensor."""
    return lambda entry: entry.update(changes)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(edited(dtype="F64"), ("embed.bias", "F32"), id="dtype"),
        pytest.param(edited(dtype="BF16"), ("F32",), id="bfloat"),
        pytest.param(edited(dtype=["F32"]), ("F32",), id="dtype-list"),
        pytest.param(edited(shape=[2, 2]), ("of shape [4]",), id="shape"),
        pytest.param(edited(shape=[4.0, 1]), ("of shape [4]",), id="shape-float"),
        pytest.param(edited(shape=[-4]), ("of shape [4]",), id="negative"),
        pytest.param(edited(shape=[2**70]), ("of shape [4]",), id="huge"),
        pytest.param(edited(data_offsets=[0, 2**62]), ("data_offsets",), id="beyond"),
        pytest.param(edited(data_offsets=[-4, 12]), ("data_offsets",), id="before"),
        pytest.param(edited(data_offsets=[0]), ("two integers",), id="one-offset"),
        pytest.param(edited(data_offsets=[0.0, 16.0]), ("two integers",), id="float-offsets"),
        pytest.param(edited(data_offsets=[8, 24]), ("data_offsets",), id="overlap"),
        pytest.param(lambda entry: entry.clear(), ("two integers",), id="empty"),
        pytest.param(lambda entry: entry.pop("dtype"), ("F32",), id="no-dtype"),
    ],
)
def test_BAD_52_entries(good, edit, words):
    header, text, body = parts(good)
    edit(header["embed.bias"])
    refused(forged(header, text, body), *words)


def test_BAD_52_exactly_the_tensors_of_the_network(good):
    header, text, body = parts(good)
    refused(forged({**header, "more": header["mean"]}, text, body), "more", "deepsets")
    del header["mean"]
    refused(forged(header, text, body), "mean", "given")
    header, text, body = parts(good)
    refused(forged(header, text, body + b"1234"), "bytes of numbers")
    refused(forged({**header, "mean": 3}, text, body), "two integers")
    refused(forged(header, text, body, digest=False), "damaged")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e4])
def test_BAD_52_numbers(good, value, tmp_path):
    header, text, body = parts(good)
    numbers = np.frombuffer(body, np.float32).copy()
    numbers[header["mix.weight"]["data_offsets"][0] // 4 + 2] = value
    refused(forged(header, text, numbers.tobytes()), "mix.weight", "finite")
    network = small()
    with torch.no_grad():
        network.score.weight[0, 1] = value
    with pytest.raises(EdgeGymInputError, match="score.weight"):
        cp.save(tmp_path / "x.safetensors", network, {"task": "routing"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "about",
    [{}, {"task": "routing", "x": object()}, {"task": "routing", "x": float("nan")}, {"task": "routing", "x": {1, 2}},
     {"task": "routing", "features": ["busy"]}, {"task": "routing", "reward_scale": -1.0}],
)  # fmt: skip
def test_nothing_is_saved_that_could_not_be_loaded(tmp_path, about):
    with pytest.raises(EdgeGymInputError):
        cp.save(tmp_path / "x.safetensors", small(), about)
    assert list(tmp_path.iterdir()) == []


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_SEC_01_pickles_and_zips_are_refused_unread(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "x.safetensors"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb(canary)))
    for data, word in ((pickle.dumps(Bomb(canary)), "pickle"), (zipped.getvalue(), "zip")):
        path.write_bytes(data)
        with pytest.raises(EdgeGymInputError, match=word):
            cp.load(path)
    torch.save({"x": torch.zeros(2)}, path)
    with pytest.raises(EdgeGymInputError, match="zip"):
        cp.load(path)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Bomb(canary)))
    assert canary.exists(), "the canary does not sing"


def test_SEC_02_nobody_unpickles():
    texts = [path.read_text() for path in Path(cp.__file__).parent.glob("*.py")]
    words = ("import pickle", "cloudpickle", "weights_only=False")
    assert texts and not any(word in text for text in texts for word in words)


def test_BAD_52_what_is_no_regular_file(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    empty = tmp_path / "empty"
    empty.touch()
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate(cp.MAX_BYTES + 1)
    with takes_at_most(5):
        for path, word in (
            (tmp_path, "folder"), (fifo, "FIFO"), ("/dev/zero", "device"), (tmp_path / "none", "No such file"),
            (large, "<= "), (empty, "header length"), ("a\0b", "readable"),
        ):  # fmt: skip
            with pytest.raises(EdgeGymInputError, match=word):
                cp.load(path)


def test_BAD_52_no_flipped_bit_goes_unseen(good):
    """Every bit of the header, and some of the numbers: refused, or (a blank became a tab) the same."""
    rng, wanted = random.Random(5), cp.decode(good, "x")
    length = int.from_bytes(good[:8], "little")
    places = [*range(8 + length), *rng.sample(range(8 + length, len(good)), 100)]
    for place in places:
        data = bytearray(good)
        data[place] ^= 1 << rng.randrange(8)
        try:
            found = cp.decode(bytes(data), "x")
        except EdgeGymInputError:
            continue
        assert data[place] in b" \t\n\r" and place < 8 + length
        assert found.about == wanted.about and found.spec == wanted.spec
        assert all(np.array_equal(found.tensors[name], tensor) for name, tensor in wanted.tensors.items())


def test_SEC_18_fuzz(good):
    """Cut, doubled, shuffled and overwritten files, half of them with a right hash: refused, fast, in little memory."""
    rng = random.Random(18)
    header, text, body = parts(good)
    plain = json.dumps(text)
    with takes_at_most(60):
        tracemalloc.start()
        for _ in range(2000):
            if rng.random() < 0.5:
                data = mangled(rng, good)
            else:
                entries = {name: header[name] for name in rng.sample(list(header), rng.randrange(len(header)))}
                words = mangled(rng, plain.encode()).decode("latin-1") if rng.random() < 0.7 else plain
                data = forged(rng.choice([header, entries]), words, mangled(rng, body) if rng.random() < 0.7 else body)
            with contextlib.suppress(EdgeGymInputError):
                cp.decode(data, "x")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 50e6


def mangled(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 3, 30])):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[rng.randrange(len(data) + 1) :][:100]
            case 3:
                data[at : at + 2] = rng.choice([b"[[", b"{}", b'"', b"1e999", b"NaN", b"-", b"\0", b"null"])
            case 4:
                del data[at : at + rng.randrange(50)]
    return bytes(data)


WRITER = """
import sys
import numpy as np
from edge_agents import checkpoint as cp
from edge_agents.spec import NetworkSpec, shapes
spec = NetworkSpec(n_features=37, hidden=256)
for k in range(10**9):
    tensors = {name: np.full(shape, k % 100, np.float32) for name, shape in shapes(spec).items()}
    cp.write(sys.argv[1], cp.Checkpoint(spec=spec, tensors=tensors, about={"task": "routing", "k": k}))
    if k == 0:
        print("begun", flush=True)
"""


def test_RUN_16_a_writer_that_is_killed_leaves_a_whole_file(tmp_path):
    path = tmp_path / "x.safetensors"
    for turn in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"begun\n"
        time.sleep(0.03 + 0.01 * turn)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = cp.load(path)
        assert all((tensor == found.about["k"] % 100).all() for tensor in found.tensors.values())
