"""Evolution strategies, and the controller of the fast path that is learned by them."""

import copy

import numpy as np
import pytest
import torch
from edge_agents.configs import EvolutionConfig, ImitationConfig
from edge_agents.evolution import Evolution, shape
from edge_agents.imitation import Imitation
from edge_agents.teachers import PolicyChoices
from edge_agents.worlds import WAKE_S, Step, Worlds
from edge_baselines.e3.rules import Rules
from learner_toys import network

import edge_gym
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.observe_control import COLUMNS
from edge_gym.scenario.presets import resolve

N_ROWS = 5


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Guess:
    """One row of five is marked, the others carry noise; choosing it is rewarded. Episodes of 10, the same in a group.

    Some worlds end early, so that they must stand still until the others have ended.
    """

    def __init__(self, n_groups=4, group=16):
        self.group, self.n_worlds = group, n_groups * group
        self.obs = np.zeros((self.n_worlds, N_ROWS, 3), np.float32)
        self.mask = np.ones((self.n_worlds, N_ROWS), bool)
        self.length = np.where(np.arange(self.n_worlds) % 3 == 0, 5, 10)

    def begin(self, episode=0):
        self.draws, self.age = np.random.default_rng(episode), np.zeros(self.n_worlds, int)
        self.show()

    def show(self):
        n_groups = self.n_worlds // self.group
        self.right = np.repeat(self.draws.integers(0, N_ROWS, n_groups), self.group)
        noise = self.draws.random((n_groups, N_ROWS))
        self.obs[:, :, 0] = np.arange(N_ROWS) == self.right[:, None]
        self.obs[:, :, 1] = np.repeat(noise, self.group, 0)
        self.obs[:, :, 2] = 1.0

    def step(self, actions, skip=None):
        skip = np.zeros(self.n_worlds, bool) if skip is None else skip
        reward = np.where(skip, 0.0, actions == self.right)
        self.age += ~skip
        done = (self.age >= self.length) & ~skip
        self.show()
        return Step(reward, np.ones(self.n_worlds), done)

    def share_right(self, net):
        self.begin(10**6)
        best = net(torch.from_numpy(self.obs), torch.from_numpy(self.mask)).logits.argmax(1).numpy()
        return (best == self.right).mean()


def meta_worlds(n_each=4, group=4, seed=3, **more):
    return Worlds("metacontrol", [resolve("mixed", "routing", n_requests=60, n_nodes=4, **more)], n_each, seed, group)


def meta_network(**more):
    return network("deepsets", n_features=len(COLUMNS), n_rows=5, columns=9, **more)


# The learner ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deepsets", "attention", "mlp"])
def test_evolution_chooses_what_is_marked(kind):
    worlds = Guess(n_groups=16)
    nets = (network(kind, seed=seed, n_features=3, n_rows=N_ROWS) for seed in range(20))
    net = next(net for net in nets if worlds.share_right(net) < 0.4)
    learner = Evolution(EvolutionConfig(sigma=0.1, learning_rate=0.05, total_steps=10**6), net, worlds, 0)
    for _ in range(60):
        learner.update()
    assert Guess(n_groups=64).share_right(net) > 0.95


def test_evolution_counts_the_decisions_that_were_made():
    worlds = Guess()
    learner = Evolution(EvolutionConfig(), network("deepsets", n_features=3), worlds, 0)
    learner.update()
    assert learner.env_steps == worlds.length.sum()


def test_evolution_ranks():
    """Worst -0.5, best 0.5, equals share; what a world is like in itself does not matter."""
    found = shape(np.array([[-3.0, -1.0, -2.0, -10.0, -0.5]]))
    assert found.tolist() == [[-0.25, 0.25, 0.0, -0.5, 0.5]]
    assert shape(np.array([[1.0, 1.0, 1.0], [5.0, 5.0, 7.0]])).tolist() == [[0.0, 0.0, 0.0], [-0.25, -0.25, 0.5]]
    returns = np.random.default_rng(0).normal(size=(3, 8))
    assert (shape(returns) == shape(returns * 100.0 - 7.0)).all()


def test_evolution_plays_each_copy_in_its_own_world():
    """Copy p decides in world p of every group, exactly as a network with its weights would."""
    worlds, net = meta_worlds(n_each=8), meta_network()
    learner = Evolution(EvolutionConfig(), net, worlds, 0)
    weights = {name: torch.randn(4, *p.shape) for name, p in learner._trained.items()}
    worlds.begin()
    for _ in range(20):
        found = learner._choose(weights)
        for p in range(4):
            alone = copy.deepcopy(net)
            alone.load_state_dict({name: table[p] for name, table in weights.items()}, strict=False)
            obs, mask = torch.from_numpy(worlds.obs[p::4]), torch.from_numpy(worlds.mask[p::4])
            assert (alone(obs, mask).logits.argmax(1).numpy() == found[p::4]).all()
        worlds.step(found)


def test_evolution_goes_on_exactly():
    config = EvolutionConfig(total_steps=5000)

    def fresh(seed):
        return Evolution(config, meta_network(seed=seed), meta_worlds(), 3)

    whole, first, second = fresh(0), fresh(0), fresh(1)
    for learner in (whole, whole, whole, first):
        learner.update()
    second.set_state(copy.deepcopy(first.get_state()))
    rows = [second.update(), second.update()]
    assert second.env_steps == whole.env_steps and rows[1]["return/spread"] >= 0.0
    for mine, theirs in zip(second.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_evolution_leaves_torch_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    Evolution(EvolutionConfig(), meta_network(), meta_worlds(), 3).update()
    assert torch.equal(before, torch.get_rng_state())


def test_evolution_needs_pairs():
    with pytest.raises(EdgeGymInputError, match="group.*even"):
        Evolution(EvolutionConfig(), meta_network(), meta_worlds(n_each=3, group=3), 0)


# The worlds ----------------------------------------------------------------------------------------------------------


def test_worlds_that_are_skipped_stand_still():
    """What the others do is the same as ever."""
    worlds, ever = meta_worlds(), meta_worlds()
    for each in (worlds, ever):
        each.begin()
    skip = np.array([False, True, False, True])
    finish = np.full(4, worlds.batches[0].noop)
    before = worlds.obs.copy()
    for _ in range(3):
        out, same = worlds.step(finish, skip), ever.step(finish)
        assert (out.reward[skip] == 0.0).all() and (out.reward[~skip] == same.reward[~skip]).all()
    assert (worlds.obs[skip] == before[skip]).all() and (worlds.obs[~skip] == ever.obs[~skip]).all()
    assert (worlds.obs[~skip] != before[~skip]).any()


def test_worlds_begin_with_any_episode():
    worlds = meta_worlds()
    worlds.begin(1)
    second = worlds.obs.copy(), worlds.batches[0].state.world["seed"].copy()
    worlds.begin()
    assert (worlds.batches[0].state.world["seed"] != second[1]).all()
    while not worlds.step(np.full(4, worlds.batches[0].noop)).done.any():
        pass
    assert (worlds.batches[0].state.world["seed"] == second[1]).all() and (worlds.obs == second[0]).all()


def test_a_learned_controller_is_asked_often():
    worlds = meta_worlds()
    worlds.begin()
    longest = max(worlds.step(np.full(4, worlds.batches[0].noop)).dt_s.max() for _ in range(10))
    assert longest == pytest.approx(WAKE_S)


# The teacher ---------------------------------------------------------------------------------------------------------


def test_rules_advise_who_does_something_else(monkeypatch):
    """A learner that finishes every turn at once: the rules hear every message, and plan each turn anew."""
    worlds, heard, plans = meta_worlds(tick_s=1.0), [], []
    listen, plan = Rules.listen, Rules.plan

    def overhear(self, belief, surface, events, now_s):
        heard.extend(events)
        listen(self, belief, surface, events, now_s)

    monkeypatch.setattr(Rules, "listen", overhear)
    monkeypatch.setattr(Rules, "plan", lambda self, *given: plans.append(1) or plan(self, *given))
    teacher = PolicyChoices(worlds, "e3_rules", 0)
    worlds.begin()
    begun, said, steps = np.ones(4, bool), 0, 120
    batch = worlds.batches[0]
    for _ in range(steps):
        said += sum(len(batch.events(b)) for b in range(4))
        costs = teacher.costs(0, batch, worlds.obs, begun)
        assert (np.nanmin(costs, 1) == 0.0).all()
        begun = worlds.step(np.full(4, batch.noop)).done.copy()
    assert said > 10 and len(heard) == said and len(plans) == 4 * steps


def test_clone_of_the_rules():
    """A network that has watched the rules makes their calls."""
    config = ImitationConfig(
        teacher="e3_rules", loss="choice", guided=1.0, guided_until=1e9, explore=0.0, steps=16, keep=20_000,
        minibatch=256, minibatches=24, learning_rate=3e-3, total_steps=30_000,
    )  # fmt: skip
    learner = Imitation(config, meta_network(hidden=32), meta_worlds(n_each=32, group=1), 0)
    while learner.env_steps < config.total_steps:
        learner.update()
    worlds = meta_worlds(n_each=32, group=1, seed=9)
    teacher = PolicyChoices(worlds, "e3_rules", 0)
    worlds.begin()
    begun, same = np.ones(32, bool), []
    for _ in range(100):
        wanted = np.nanargmin(teacher.costs(0, worlds.batches[0], worlds.obs, begun), 1)
        with torch.inference_mode():
            scores = learner.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).logits
        same.append(scores.argmax(1).numpy() == wanted)
        begun = worlds.step(wanted).done.copy()
    assert np.mean(same) > 0.95


# What is shipped -----------------------------------------------------------------------------------------------------


def test_shipped_meta_controller():
    """It plays its own task, by tools that the guards let pass, and does better than tools drawn at random."""
    given = "routing", "mixed", range(540, 556)
    rows, random = (
        edge_gym.evaluate(name, *given, n_requests=800).rows for name in ("learned_meta", "e3_random_tools")
    )
    assert all(row["tool_calls"] > 0 and row["interventions"] == 0 for row in rows)
    mine, theirs = (np.mean([row["latency_mean_s"] for row in found]) for found in (rows, random))
    assert mine < 0.9 * theirs
