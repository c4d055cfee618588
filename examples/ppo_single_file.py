"""Proximal policy optimisation in one file: python ppo_single_file.py [--steps 300000] [--scenario stationary] ...

It needs PyTorch and the public interface of edge_gym, nothing else; take it as the start of your own algorithm.

* The network scores each row of the observation with shared weights, so it decides for any number of nodes.
* Steps are unevenly spaced: what comes `dt` simulated seconds later counts exp(-dt / horizon).
* With "same_step", `obs` and the mask already belong to the next episode where an episode has just ended. Its end is
  taken as terminal: the world is empty then, and the last reward holds all that was still to come.
"""

import argparse
import time
from dataclasses import dataclass, fields

import gymnasium as gym
import numpy as np
import rich
import torch
from torch import nn

import edge_gym


@dataclass
class Args:
    """The settings; each is an option of the command."""

    scenario: str = "stationary"
    n_requests: int = 200  # of an episode
    seed: int = 0
    steps: int = 300_000  # decisions of all worlds together
    num_envs: int = 32
    rollout: int = 200  # decisions of each world between two updates; whole episodes, as all begin together
    horizon_s: float = 5.0
    gae_lambda: float = 0.95
    learning_rate: float = 2e-3  # falls to 0
    epochs: int = 4
    minibatch: int = 640
    clip: float = 0.2
    entropy: float = 0.003
    hidden: int = 32
    episodes: int = 20  # of the comparison at the end

    @classmethod
    def parse(cls) -> "Args":
        """From the command line."""
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        for field in fields(cls):
            parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
        return cls(**vars(parser.parse_args()))


class Net(nn.Module):
    """A score for each row, which is seen beside the mean of all legal ones, and a value of the whole."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.embed, self.mix = nn.Linear(features, hidden), nn.Linear(hidden, hidden)
        self.context, self.score = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, 1)
        self.value = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def standardise(self, obs: torch.Tensor) -> None:
        """Fix the scales of the features (K, F): a doubling of a time is only 1/28 in the observation."""
        self.mean.copy_(obs.mean(0))
        std = obs.std(0)
        self.scale.copy_(torch.where(std > 1e-3, 1.0 / std, torch.ones_like(std)))

    def forward(self, obs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.distributions.Categorical, torch.Tensor]:
        """From (B, A, F) and (B, A) to the chances of the choices and the values (B,)."""
        rows = self.embed((obs - self.mean) * self.scale).relu()
        share = (mask / mask.sum(1, keepdim=True)).unsqueeze(1)  # (B, 1, A)
        mean = share @ rows
        rows = (self.mix(rows) + self.context(mean)).relu()
        scores = self.score(rows).squeeze(2).masked_fill(~mask, -1e9)
        chances = torch.distributions.Categorical(logits=scores, validate_args=False)
        return chances, self.value(share @ rows).flatten()


class Trained:
    """The network as a policy of `edge_gym.evaluate`: the choice with the best score."""

    name = "ppo"

    def __init__(self, net: Net) -> None:
        self.net = net

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: object) -> np.ndarray:
        """From (B, A, F) observations and (B, A) masks to (B,) choices."""
        return self.net(torch.from_numpy(obs), torch.from_numpy(action_mask))[0].logits.argmax(1).numpy()


def learn(args: Args) -> Net:
    """Train a network; prints how it goes."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # a network so small is slower on more
    envs = gym.make_vec(
        "edge_gym:edge_gym/Routing-v0",
        num_envs=args.num_envs,
        scenario=args.scenario,
        n_requests=args.n_requests,
        autoreset_mode="same_step",
    )
    obs, info = envs.reset(seed=args.seed)
    net = Net(obs.shape[2], args.hidden)
    adam = torch.optim.Adam(net.parameters(), args.learning_rate, eps=1e-5)
    shape = args.rollout, args.num_envs
    kept = torch.zeros(*shape, *obs.shape[1:])
    masks, choices = torch.zeros(*shape, obs.shape[1], dtype=torch.bool), torch.zeros(shape, dtype=torch.int64)
    logs, values = torch.zeros(shape), torch.zeros(args.rollout + 1, args.num_envs)
    rewards, carried = np.zeros(shape), np.zeros(shape)
    running, ended, scale, began = np.zeros(args.num_envs), [], 1.0, time.perf_counter()
    updates = max(2, args.steps // (args.rollout * args.num_envs))
    for update in range(updates):
        for t in range(args.rollout):
            kept[t], masks[t] = torch.from_numpy(obs), torch.from_numpy(info["action_mask"])
            with torch.no_grad():
                chances, values[t] = net(kept[t], masks[t])
            choices[t] = chances.sample()
            logs[t] = chances.log_prob(choices[t])
            obs, rewards[t], terminated, truncated, info = envs.step(choices[t].numpy())
            done = terminated | truncated
            carried[t] = np.where(done, 0.0, np.exp(-info["dt_s"] / args.horizon_s))
            running += rewards[t]
            ended += running[done].tolist()
            running[done] = 0.0
        if update == 0:  # the first rollout is only looked at: for the scales of features and rewards
            net.standardise(kept[masks])
            scale = np.abs(rewards).mean() / max(1.0 - carried.mean(), 1e-3)
            continue
        with torch.no_grad():
            values[-1] = net(torch.from_numpy(obs), torch.from_numpy(info["action_mask"]))[1]
        gains = advantages(rewards / scale, carried, values.numpy(), args.gae_lambda)
        flat = [
            kept.flatten(0, 1), masks.flatten(0, 1), choices.flatten(), logs.flatten(),
            torch.from_numpy(gains).float().flatten(), (torch.from_numpy(gains) + values[:-1]).float().flatten(),
        ]  # fmt: skip
        adam.param_groups[0]["lr"] = args.learning_rate * (1.0 - update / updates)
        for _ in range(args.epochs):
            for part in torch.randperm(choices.numel()).split(args.minibatch):
                descend(net, adam, [column[part] for column in flat], args)
        if (update + 1) % max(1, updates // 10) == 0 or update + 1 == updates:
            steps = (update + 1) * choices.numel()
            rate = steps / (time.perf_counter() - began)
            latency = -np.mean(ended[-args.num_envs :]) / args.n_requests if ended else float("nan")
            print(f"{steps:9,d} steps, {rate:8,.0f} steps/s, mean latency {latency:7.2f} s in the last episodes")
    envs.close()
    return net


def advantages(reward: np.ndarray, carried: np.ndarray, value: np.ndarray, gae_lambda: float) -> np.ndarray:
    """Generalised advantage estimation; (T, B), (T, B) discounts with 0 at an end, (T + 1, B) -> (T, B)."""
    error, later = reward + carried * value[1:] - value[:-1], 0.0
    gains = np.zeros_like(error)
    for t in reversed(range(len(error))):
        gains[t] = later = error[t] + carried[t] * gae_lambda * later
    return gains


def descend(net: Net, adam: torch.optim.Adam, sample: list[torch.Tensor], args: Args) -> None:
    """One step of the optimiser."""
    obs, mask, choice, log_before, gain, target = sample
    chances, value = net(obs, mask)
    ratio = (chances.log_prob(choice) - log_before).exp()
    gain = (gain - gain.mean()) / (gain.std() + 1e-8)
    surrogate = torch.minimum(ratio * gain, ratio.clamp(1.0 - args.clip, 1.0 + args.clip) * gain)
    loss = -surrogate.mean() - args.entropy * chances.entropy().mean()
    loss = loss + 0.5 * nn.functional.smooth_l1_loss(value, target)
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    adam.step()


if __name__ == "__main__":
    args = Args.parse()
    results = edge_gym.evaluate(
        ["random", "sect_static", Trained(learn(args)), "oracle"],
        "routing",
        args.scenario,
        range(1000, 1000 + args.episodes),
        n_requests=args.n_requests,
    )
    rich.print(results.table())
