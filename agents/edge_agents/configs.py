"""The settings of the learners, checked when they are made; ranges, units and meanings stand with each field."""

from __future__ import annotations

from dataclasses import dataclass

from edge_gym.fields import check, choice, flag, number, text

_HORIZON = "what comes so much later counts 1/e"


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig:
    """Of `PPO`.

    Raises:
        EdgeGymInputError: A value of another type, or out of range.
    """

    total_steps: int = number(2_000_000, 1, 1e12, "decisions", "at which the learning rate has reached its end")
    rollout_steps: int = number(64, 1, 100_000, "decisions", "of each world between two updates")
    horizon_s: float = number(30.0, 0.0, 1e9, "s", _HORIZON, low_open=True)
    gae_lambda: float = number(0.95, 0.0, 1.0, "", "generalised advantage estimation: 0 trusts the value, 1 the return")
    learning_rate: float = number(3e-4, 0.0, 1.0, "", "of Adam at the start")
    final_rate: float = number(0.05, 0.0, 1.0, "", "share of the learning rate that is left at the end")
    epochs: int = number(2, 1, 1000, "", "how often every decision of a rollout is learned from")
    minibatch: int = number(2048, 1, 1e9, "decisions", "in one step of the optimiser")
    clip: float = number(0.2, 0.0, 10.0, "", "by how much the ratio of probabilities may gain", low_open=True)
    value_weight: float = number(0.5, 0.0, 1e6, "", "of the value's loss (Huber)")
    entropy_weight: float = number(0.005, 0.0, 1e6, "", "of the bonus for staying undecided")
    max_gradient_norm: float = number(0.5, 0.0, 1e9, "", "longer gradients are cut to this", low_open=True)
    target_kl: float = number(0.03, 0.0, 1e9, "nats", "an update ends when the policy has moved so far; 0: never")
    warmup_updates: int = number(0, 0, 1e9, "", "first updates that train the value alone: for a cloned network")
    anchor_kl: float = number(0.0, 0.0, 1e9, "", "weight of the divergence from the policy at the start")
    sequence: int = number(16, 1, 100_000, "decisions", "a recurrent network is trained through; divides rollout_steps")
    settle_rollouts: int = number(
        1, 1, 10_000, "rollouts", "only looked at, for the scales of features and rewards, before anything is learned"
    )
    threads: int = number(1, 1, 1024, "", "that play and learn at the same time; results do not depend on it")
    reward_scale: float = number(0.0, 0.0, 1e12, "", "what rewards are divided by; 0: found while settling")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNConfig:
    """Of `DQN`.

    Raises:
        EdgeGymInputError: A value of another type, or out of range.
    """

    total_steps: int = number(1_000_000, 1, 1e12, "decisions", "at which the learning rate has reached its end")
    rollout_steps: int = number(4, 1, 100_000, "decisions", "of each world between two updates")
    descents: int = number(4, 1, 100_000, "", "steps of the optimiser in an update")
    horizon_s: float = number(30.0, 0.0, 1e9, "s", _HORIZON, low_open=True)
    n_step: int = number(
        3, 1, 1000, "decisions", "whose rewards are summed before a value is trusted; those at random count too"
    )
    learning_rate: float = number(5e-4, 0.0, 1.0, "", "of Adam at the start")
    final_rate: float = number(0.05, 0.0, 1.0, "", "share of the learning rate that is left at the end")
    minibatch: int = number(512, 1, 1e9, "decisions", "in one step of the optimiser")
    capacity: int = number(100_000, 2, 1e10, "decisions", "that are remembered")
    learning_starts: int = number(10_000, 1, 1e10, "decisions", "taken at random before anything is learned")
    epsilon_first: float = number(1.0, 0.0, 1.0, "", "share of decisions at random at the start")
    epsilon_last: float = number(0.05, 0.0, 1.0, "", "share of decisions at random in the end")
    epsilon_share: float = number(0.3, 0.0, 1.0, "", "of the training until then", low_open=True)
    target_every: int = number(250, 1, 1e9, "", "steps of the optimiser between copies of the network for the targets")
    max_gradient_norm: float = number(10.0, 0.0, 1e9, "", "longer gradients are cut to this", low_open=True)
    half_precision: bool = flag(True, "observations are remembered in two bytes instead of four")
    threads: int = number(1, 1, 1024, "", "that learn at the same time; results do not depend on it")
    reward_scale: float = number(0.0, 0.0, 1e12, "", "what rewards are divided by; 0: found before learning starts")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionConfig:
    """Of `Evolution`; how many copies of the network are compared is the size of a group of worlds.

    Raises:
        EdgeGymInputError: A value of another type, or out of range.
    """

    total_steps: int = number(1_000_000, 1, 1e12, "decisions", "at which the learning rate has reached its end")
    sigma: float = number(0.05, 0.0, 100.0, "", "standard deviation of the perturbation of each weight", low_open=True)
    learning_rate: float = number(0.01, 0.0, 10.0, "", "of Adam at the start")
    final_rate: float = number(0.1, 0.0, 1.0, "", "share of the learning rate that is left at the end")
    most_steps: int = number(10_000, 1, 1e9, "decisions", "of each world in an update, where its episode is longer")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskablePPOConfig:
    """Of `MaskablePPOLearner`.

    Raises:
        EdgeGymInputError: A value of another type, or out of range.
    """

    total_steps: int = number(2_000_000, 1, 1e12, "decisions", "at which the learning rate has reached its end")
    rollout_steps: int = number(64, 1, 100_000, "decisions", "of each world between two updates")
    horizon_s: float = number(30.0, 0.0, 1e9, "s", _HORIZON, low_open=True)
    gae_lambda: float = number(0.95, 0.0, 1.0, "", "generalised advantage estimation: 0 trusts the value, 1 the return")
    learning_rate: float = number(3e-4, 0.0, 1.0, "", "of Adam at the start")
    final_rate: float = number(0.05, 0.0, 1.0, "", "share of the learning rate that is left at the end")
    epochs: int = number(2, 1, 1000, "", "how often every decision of a rollout is learned from")
    minibatch: int = number(2048, 2, 1e9, "decisions", "in one step of the optimiser")
    clip: float = number(0.2, 0.0, 10.0, "", "by how much the ratio of probabilities may gain", low_open=True)
    value_weight: float = number(0.5, 0.0, 1e6, "", "of the value's loss (squares)")
    entropy_weight: float = number(0.005, 0.0, 1e6, "", "of the bonus for staying undecided")
    max_gradient_norm: float = number(0.5, 0.0, 1e9, "", "longer gradients are cut to this", low_open=True)
    target_kl: float = number(0.0, 0.0, 1e9, "nats", "an update ends when the policy has moved so far; 0: never")
    reward_scale: float = number(0.0, 0.0, 1e12, "", "what rewards are divided by; 0: found in the first rollout")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImitationConfig:
    """Of `Imitation`.

    Raises:
        EdgeGymInputError: A value of another type, or out of range.
    """

    total_steps: int = number(2_500_000, 1, 1e12, "decisions", "at which the learning rate has reached its end")
    teacher: str = text("oracle_costs", "who is learned from: oracle_costs (routing), or the name of a policy")
    weight: float = number(6.0, 0.0, 1e6, "", "of the delay inflicted on others, for oracle_costs")
    loss: str = choice("regret", ("regret", "choice"), "expected cost above the least, or cross-entropy with the best")
    most_regret: float = number(60.0, 0.0, 1e9, "cost", "larger differences of cost count as this", low_open=True)
    steps: int = number(8, 1, 100_000, "decisions", "of every world in an update about which the teacher is asked")
    every: int = number(1, 1, 100_000, "decisions", "from one of these to the next: more where the teacher is slow")
    keep: int = number(60_000, 1, 1e9, "samples", "that are kept: those of the last updates")
    minibatch: int = number(1024, 1, 1e9, "samples", "of a step of the optimiser")
    minibatches: int = number(8, 1, 100_000, "", "steps of the optimiser in an update")
    learning_rate: float = number(1e-3, 0.0, 1.0, "", "of Adam at the start; it falls along a half cosine")
    final_rate: float = number(0.02, 0.0, 1.0, "", "share of the learning rate that is left at the end")
    explore: float = number(0.3, 0.0, 1.0, "", "share of the learner's decisions drawn from its scores, not its best")
    guided: float = number(0.0, 0.0, 1.0, "", "share of decisions that the teacher takes at the start")
    guided_until: float = number(0.5, 0.0, 1e9, "", "share of the training at which it has fallen to 0", low_open=True)
    sharpness: float = number(1.0, 0.0, 1e6, "", "of scores, before choices are drawn by them", low_open=True)
    max_gradient_norm: float = number(1.0, 0.0, 1e9, "", "longer gradients are cut to this", low_open=True)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HindsightConfig(ImitationConfig):
    """Of `Hindsight`, beside those of `Imitation`: an update of the second part remembers `moments` moments."""

    taught: float = number(0.15, 0.0, 1.0, "", "share of the training in which the teacher is learned from")
    ahead: int = number(150, 1, 100_000, "requests", "that arrive in a trial before the world empties")
    apart: int = number(3, 1, 100_000, "decisions", "from one moment that is remembered to the next")
    moments: int = number(48, 1, 100_000, "", "that are remembered in an update")
    trials: int = number(64, 1, 100_000, "", "steps of the optimiser in an update of the second part")
    best: int = number(3, 1, 1000, "choices", "that are tried: those that the network likes best")
    random: int = number(1, 0, 1000, "choices", "that are tried too: drawn from the legal ones")
    follow: float = number(0.5, 0.0, 1.0, "", "share of trials whose later decisions stay as they were made")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementHindsightConfig(ImitationConfig):
    """Of `PlacementHindsight`, beside those of `Imitation`; a cost of 1 is that of an average agent."""

    total_steps: int = number(400_000, 1, 1e12, "decisions", "at which the learning rate has reached its end")
    teacher: str = choice("", ("",), "nobody: costs are known afterwards")
    most_regret: float = number(3.0, 0.0, 1e9, "cost", "larger differences of cost count as this", low_open=True)
    steps: int = number(40, 1, 100_000, "decisions", "of every world in an update")
    keep: int = number(20_000, 1, 1e9, "samples", "that are kept: those of the last updates")
    minibatch: int = number(256, 1, 1e9, "samples", "of a step of the optimiser")
    minibatches: int = number(48, 1, 100_000, "", "steps of the optimiser in an update")
    learning_rate: float = number(2e-3, 0.0, 1.0, "", "of Adam at the start; it falls along a half cosine")
    explore: float = number(0.25, 0.0, 1.0, "", "share of the learner's decisions drawn from its scores, not its best")
    sharpness: float = number(20.0, 0.0, 1e6, "", "of scores, before choices are drawn by them", low_open=True)
    n_rounds: int = number(1, 0, 1000, "", "how often those who came later are looked at again beside a choice")
