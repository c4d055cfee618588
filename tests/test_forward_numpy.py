"""The networks by numpy say what they say in torch."""

import numpy as np
import pytest
import torch
from edge_agents import forward_numpy
from edge_agents.networks import build
from edge_agents.spec import KIND_NAMES, NEVER_CHOSEN, NetworkSpec

from edge_gym.errors import EdgeGymInputError

F = 11


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The work is small, and threads that wait for each other make it slow where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_network(kind, n_nodes, columns=1, size=1.0, seed=0, **more):
    """A network whose every number is drawn, those that begin at zero too."""
    spec = NetworkSpec(
        kind=kind, n_features=F, hidden=32, columns=columns, anchor=(3, 5), anchor_scale=7.0,
        rows=n_nodes + 1 if kind == "mlp" else 0, **more,
    )  # fmt: skip
    network, draw = build(spec), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            width = tensor.shape[-1] if tensor.dim() else 1
            tensor.add_(torch.randn(tensor.shape, generator=draw) * size / width**0.5)
        network.mean.copy_(torch.rand(F, generator=draw))
        network.scale.copy_(1 + 9 * torch.rand(F, generator=draw))
    return network


def by_numpy(network, **more):
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return forward_numpy.KINDS[network.spec.kind](network.spec, tensors, **more)


def random_inputs(rng, n_worlds, n_nodes, columns, n_features=F):
    """Observations, legal choices and links; from everything to only the last choice is legal."""
    rows = n_nodes + 1
    obs = rng.random((n_worlds, rows, n_features), dtype=np.float32)
    legal = rng.random((n_worlds, rows * columns)) < rng.choice([0.0, 0.2, 0.8, 1.0], (n_worlds, 1))
    legal[:, -1] = True
    return obs, legal, rng.random((n_worlds, rows, rows), dtype=np.float32)


@torch.no_grad()
def by_torch(network, obs, legal, links, memory):
    tensors = [None if table is None else torch.from_numpy(table) for table in (obs, legal, links, memory)]
    scores = network(*tensors)
    return scores.logits.numpy(), None if scores.memory is None else scores.memory.numpy()


def test_kinds_are_the_same():
    assert tuple(forward_numpy.KINDS) == KIND_NAMES


@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("columns", [1, 9])
@pytest.mark.parametrize("kind", KIND_NAMES)
def test_same_scores_and_choices_as_torch(kind, columns, size):
    """Of every size, alone and together, over three decisions that a recurrent network remembers."""
    rng = np.random.default_rng(KIND_NAMES.index(kind))
    for n_nodes in (4, 16, 64):
        network = random_network(kind, n_nodes, columns, size, seed=n_nodes)
        mine = by_numpy(network)
        for n_worlds in (1, 64):
            memory = remembered = None
            for _ in range(3):
                obs, legal, links = random_inputs(rng, n_worlds, n_nodes, columns)
                wanted, remembered = by_torch(network, obs, legal, links, remembered)
                found, memory = mine.logits(obs, legal, links, memory)
                assert (found[~legal] == NEVER_CHOSEN).all() and found.dtype == np.float32
                assert np.abs(found - wanted)[legal].max() <= 1e-4 * np.abs(wanted[legal]).max()
                assert (found.argmax(1) == wanted.argmax(1)).all()
            if kind == "recurrent":
                assert memory is not None and np.abs(memory - remembered).max() < 1e-4
            else:
                assert memory is None and remembered is None


@pytest.mark.parametrize("block", [2**18, 1000])
@pytest.mark.parametrize("kind", KIND_NAMES)
def test_no_bit_depends_on_the_other_worlds(kind, block, monkeypatch):
    """All at once, in parts of 3 worlds of 40, alone; also where a world's rows are multiplied in several blocks."""
    monkeypatch.setattr(forward_numpy, "BLOCK", block)
    mine, rng = by_numpy(random_network(kind, 6)), np.random.default_rng(0)
    obs, legal, links = random_inputs(rng, 40, 6, 1)
    memory = rng.random((40, 7, 32), dtype=np.float32)
    for near in (links, links[0]):
        kept, also, alone = memory.copy(), memory.copy(), memory[4:5].copy()
        whole = mine.logits(obs, legal, near, kept)[0]
        with monkeypatch.context() as patch:
            patch.setattr(forward_numpy, "PART_ROWS", 21)
            found = mine.logits(obs, legal, near, also)[0]
        assert np.array_equal(found, whole) and np.array_equal(kept, also)
        assert np.array_equal(kept, memory) == (kind != "recurrent")
        one = mine.logits(obs[4:5], legal[4:5], near[4:5] if near is links else near, alone)[0]
        assert np.array_equal(one[0], whole[4]) and np.array_equal(alone[0], kept[4])


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_columns_are_picked(kind):
    """The network's features are columns 13, 0, 7, ... of a wider observation: the others do not matter."""
    network, rng = random_network(kind, 4), np.random.default_rng(1)
    picked = rng.permutation(15)[:F].tolist()
    obs, legal, links = random_inputs(rng, 5, 4, 1, 15)
    wanted, _ = by_torch(network, obs[:, :, picked].copy(), legal, links, None)
    found, _ = by_numpy(network, columns=picked, n_given=15).logits(obs, legal, links)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in KIND_NAMES if kind != "mlp"])
def test_illegal_rows_and_padding_change_nothing(kind):
    """Whatever an illegal row shows, and however many are added, the legal ones keep their scores."""
    mine, rng = by_numpy(random_network(kind, 4)), np.random.default_rng(2)
    obs, legal, links = random_inputs(rng, 3, 4, 1)
    legal[:] = [True, False, True, False, True]
    wanted = mine.logits(obs, legal, links)[0]
    longer = np.concatenate([obs, np.zeros((3, 3, F), np.float32)], axis=1)
    longer[:, 1] = 1.0
    near = np.zeros((3, 8, 8), np.float32)
    near[:, :5, :5] = links
    found = mine.logits(longer, np.concatenate([legal, np.zeros((3, 3), bool)], axis=1), near)[0]
    assert np.allclose(found[:, :5], wanted, rtol=1e-5, atol=1e-5) and (found[:, 5:] == NEVER_CHOSEN).all()


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_what_was_given_and_what_was_returned_stays(kind):
    mine, rng = by_numpy(random_network(kind, 4)), np.random.default_rng(3)
    given = random_inputs(rng, 3, 4, 1)
    copies = [table.copy() for table in given]
    found = mine.logits(*given)[0]
    before = found.copy()
    mine.logits(*random_inputs(rng, 3, 4, 1))
    assert np.array_equal(found, before)
    assert all(np.array_equal(table, copy) for table, copy in zip(given, copies, strict=True))


def test_graph_networks_see_the_links():
    network, rng = random_network("graph", 4), np.random.default_rng(4)
    obs, legal, links = random_inputs(rng, 1, 4, 1)
    legal[:] = True
    mine = by_numpy(network)
    assert not np.allclose(mine.logits(obs, legal, links)[0], mine.logits(obs, legal, 0 * links)[0], atol=1e-2)
    with pytest.raises(EdgeGymInputError, match="links"):
        mine.logits(obs, legal)


def test_shapes_that_do_not_fit():
    obs, legal, _ = random_inputs(np.random.default_rng(5), 2, 4, 1)
    with pytest.raises(EdgeGymInputError, match=r"obs = \(2, 5, 10\)"):
        by_numpy(random_network("deepsets", 4)).logits(obs[:, :, 1:], legal)
    with pytest.raises(EdgeGymInputError, match="3 choices a row"):
        by_numpy(random_network("deepsets", 4, columns=3)).logits(obs, legal)
    with pytest.raises(EdgeGymInputError, match="n_nodes = 4: must be 7 nodes"):
        by_numpy(random_network("mlp", 7)).logits(obs, legal)


def test_few_buffers_are_kept():
    mine, rng = by_numpy(random_network("deepsets", 4)), np.random.default_rng(6)
    for n_worlds in range(1, 80):
        mine.logits(*random_inputs(rng, n_worlds, 4, 1))
    assert len(mine._rooms) <= forward_numpy.MOST_ROOMS
