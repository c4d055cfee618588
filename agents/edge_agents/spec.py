"""What a network is made of, in plain values: what a checkpoint says, and what both torch and numpy build from."""

from __future__ import annotations

from dataclasses import dataclass

from edge_gym.errors import EdgeGymInputError
from edge_gym.fields import REQUIRED, check, choice, number, series

KIND_NAMES = ("deepsets", "attention", "graph", "recurrent", "mlp")
NEVER_CHOSEN = -1e9  # score of an illegal choice


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What a network is made of: with its weights, all that is needed to run it.

    Attributes:
        kind: One of `KIND_NAMES`.
        n_features: F, the columns of an observation.
        hidden: Width.
        columns: C, how many choices each row has: 1, or the columns of a control surface.
        heads: Of the attention.
        anchor: Columns of the observation whose sum is a scaled cost; minus `anchor_scale` times it is where the
            score of a row begins, so an untrained network decides by that cost. Empty: none.
        anchor_scale: See `anchor`; it is trained too.
        rows: A, the rows of the observation for kind "mlp", which knows one size only; 0 for every other.

    Raises:
        EdgeGymInputError: Unknown kind, a number out of range, or numbers that do not fit together.
    """

    kind: str = choice("deepsets", KIND_NAMES, "how rows see each other")
    n_features: int = number(REQUIRED, 1, 1024, "columns", "of an observation")
    hidden: int = number(64, 1, 1024, "", "width")
    columns: int = number(1, 1, 1024, "choices", "of each row")
    heads: int = number(4, 1, 64, "", "of the attention")
    anchor: tuple[int, ...] = series(0, 1023, "column", "summed to a scaled cost", 64)
    anchor_scale: float = number(100.0, -10_000.0, 10_000.0, "", "of the cost in the score")
    rows: int = number(0, 0, 100_001, "rows", "of an observation, for kind 'mlp'")

    def __post_init__(self) -> None:
        check(self)
        if self.hidden % self.heads:
            raise EdgeGymInputError("hidden", self.hidden, f"a multiple of heads ({self.heads})", "NetworkSpec")
        if len(set(self.anchor)) < len(self.anchor) or max(self.anchor, default=0) >= self.n_features:
            allowed = f"different columns of {self.n_features}"
            raise EdgeGymInputError("anchor", self.anchor, allowed, "NetworkSpec")
        if (self.kind == "mlp") != (self.rows > 0):
            allowed = "the number of rows" if self.kind == "mlp" else "0: any number of rows will do"
            raise EdgeGymInputError("rows", self.rows, f"{allowed} for a network of kind '{self.kind}'", "NetworkSpec")


def shapes(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network, as `RowNetwork.state_dict()` has them."""
    f, h, c = spec.n_features, spec.hidden, spec.columns
    found: dict[str, tuple[int, ...]] = {"mean": (f,), "scale": (f,), "anchor_scale": ()}
    if spec.kind == "mlp":
        layers = {"flat": (h, spec.rows * f), "hidden": (h, h), "all_scores": (spec.rows * c, h), "value": (1, h)}
        return found | _with_biases(layers)
    layers = {"embed": (h, f), "score": (c, h), "value": (1, 2 * h), "mix": (h, h)}
    if spec.kind in ("attention", "graph"):
        layers["join"] = (h, h)
        found |= {f"{name}.weight": (h, h) for name in ("query", "key", "worth")}
    else:
        found["context.weight"] = (h, 2 * h)
    if spec.kind == "graph":
        found["taste"] = (spec.heads,)
    if spec.kind == "recurrent":
        found |= {"unit.weight_ih": (3 * h, h), "unit.weight_hh": (3 * h, h)}
        found |= {"unit.bias_ih": (3 * h,), "unit.bias_hh": (3 * h,)}
    return found | _with_biases(layers)


def _with_biases(layers: dict[str, tuple[int, int]]) -> dict[str, tuple[int, ...]]:
    weights: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in layers.items()}
    return weights | {f"{name}.bias": (shape[0],) for name, shape in layers.items()}
