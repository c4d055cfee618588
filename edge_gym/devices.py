"""Device types, models, and how fast one serves the other: measured figures with their origin.

The figures are three tables in `edge_gym/data/` (device_types, model_types, services), each with origin and source.
A request of `p` prompt tokens and `u` units (output tokens, diffusion steps, items) needs, alone on a nominal node,

    work = first_s + per_prompt_token_s * p + beyond_2048_s * max(0, p - 2048) + per_unit_s * u    [s]
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import TypeVar

from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.fields import NAME_PATTERN, REQUIRED, check, choice, number, text, type_hints

KINDS = ("llm", "diffusion", "item")
# From the best to the worst founded; `services` gives a row the origin of its worst cell.
ORIGINS = ("measured", "measured_open", "converted", "roofline", "assumed")

# A measured time to first token is one number at one prompt length. How it splits into a constant and a slope is
# taken from a measured series (A100, TP8: 65, 93, 154, 274, 661, 1550 ms at 128, 512, 1k, 2k, 4k, 8k tokens). Least
# squares on the relative errors of a + b p + c max(0, p - 2048) gives a = 48.7 ms, b = 0.1024 ms, c = 0.1026 ms, and
# errors below 9 %.
FIRST_SHARE_AT_800 = 0.3731  # a / (a + 800 b)
SLOPE_RATIO_BEYOND_2048 = 2.002  # (b + c) / b


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceType:
    """A kind of node."""

    name: str = text(REQUIRED, "short id", NAME_PATTERN)
    title: str = text("", "name for people")
    memory_bytes: int = number(REQUIRED, 1, 1e15, "bytes", "memory for models")
    storage_bytes: float = number(2.56e11, 1, 1e16, "bytes", "storage for the images of agents")
    storage_bytes_per_s: float = number(REQUIRED, 1, 1e13, "bytes/s", "rate at which weights are read")
    nic_bytes_per_s: float = number(REQUIRED, 1, 1e13, "bytes/s", "bandwidth of the network interface")
    power_idle_w: float = number(0.0, 0, 1e6, "W", "wall power when nothing runs")
    power_max_w: float = number(0.0, 0, 1e6, "W", "wall power when all slots are busy")
    price_usd_per_hour: float = number(0.0, 0, 1e6, "USD/h", "purchase over three years, and energy")
    slots: int = number(1, 1, 100_000, "requests", "requests served at once")

    def __post_init__(self):
        check(self)
        if self.power_max_w < self.power_idle_w:
            raise EdgeGymInputError(
                "power_max_w", self.power_max_w, f">= power_idle_w = {self.power_idle_w:g}", "DeviceType"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelType:
    """A model, the size of its weights and messages, and how long its requests are by default."""

    name: str = text(REQUIRED, "short id", NAME_PATTERN)
    title: str = text("", "name for people")
    kind: str = choice("item", KINDS, "what a unit is: an output token, a denoising step, or an item")
    weights_bytes: int = number(REQUIRED, 0, 1e15, "bytes", "memory taken while resident, and bytes read to load it")
    startup_s: float = number(0.0, 0, 1e6, "s", "time to load beyond reading the weights")
    gain: float = number(1.0, 1, 1e6, "ratio", "batching gain where none was measured: capacity over unloaded rate")
    prompt_tokens_mean: float = number(0.0, 0, 1e7, "tokens", "mean prompt")
    units_mean: float = number(1.0, 0, 1e7, "units", "mean output", low_open=True)
    upload_bytes: float = number(0.0, 0, 1e12, "bytes", "request payload, constant part")
    upload_bytes_per_prompt_token: float = number(0.0, 0, 1e9, "bytes/token", "request payload, variable part")
    download_bytes: float = number(0.0, 0, 1e12, "bytes", "response payload, constant part")
    download_bytes_per_unit: float = number(0.0, 0, 1e9, "bytes/unit", "response payload, variable part")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How fast one device type serves one model, unloaded and at nominal speed."""

    device: str = text(REQUIRED, "name of a device type", NAME_PATTERN)
    model: str = text(REQUIRED, "name of a model type", NAME_PATTERN)
    first_s: float = number(0.0, 0, 1e6, "s", "constant part of the work")
    per_prompt_token_s: float = number(0.0, 0, 1e4, "s/token", "work of a prompt token")
    beyond_2048_s: float = number(0.0, 0, 1e4, "s/token", "additional work of a prompt token beyond the 2,048th")
    per_unit_s: float = number(REQUIRED, 1e-9, 1e6, "s/unit", "work of an output token, step or item")
    gain: float = number(1.0, 1, 1e6, "ratio", "batching gain: capacity over unloaded rate")
    origin: str = choice("assumed", ORIGINS, "how the figures were obtained")
    source: str = text("", "where the figures come from")

    def __post_init__(self):
        check(self)


@lru_cache
def table_rows(table: str) -> tuple[dict[str, str], ...]:
    """Returns the rows of a shipped table (`device_types`, `model_types` or `services`), all values as text."""
    text_of_table = (files("edge_gym") / "data" / f"{table}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text_of_table.splitlines()))


@lru_cache
def device_types() -> Mapping[str, DeviceType]:
    """Returns the shipped device types by name."""
    return MappingProxyType({row["name"]: _parse(DeviceType, row) for row in table_rows("device_types")})


@lru_cache
def model_types() -> Mapping[str, ModelType]:
    """Returns the shipped model types by name."""
    rows = table_rows("model_types")
    return MappingProxyType({row["name"]: _parse(ModelType, {**row, "gain": row["default_gain"]}) for row in rows})


@lru_cache
def services() -> Mapping[tuple[str, str], Service]:
    """Returns the shipped service figures by (device, model); a pair that is not there cannot be served."""
    cells: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in table_rows("services"):
        cells.setdefault((row["device"], row["model"]), {})[row["metric"]] = row
    models = {row["name"]: row for row in table_rows("model_types")}
    return MappingProxyType({key: _service(key, by_metric, models[key[1]]) for key, by_metric in cells.items()})


def device_type(name: str) -> DeviceType:
    """Returns a shipped device type.

    Raises:
        EdgeGymInputError: No shipped device type has this name.
    """
    return _known(device_types(), name, "device type")


def model_type(name: str) -> ModelType:
    """Returns a shipped model type.

    Raises:
        EdgeGymInputError: No shipped model has this name.
    """
    return _known(model_types(), name, "model")


T = TypeVar("T")


def _known(table: Mapping[str, T], name: str, what: str) -> T:
    if not isinstance(name, str) or name not in table:
        raise EdgeGymInputError(what, name, f"one of {', '.join(table)}", hint=nearest(name, table))
    return table[name]


def _parse(cls: type[T], row: Mapping[str, str]) -> T:
    """Builds a dataclass out of a row of text by the annotations of its fields."""
    return cls(**{name: kind(row[name]) for name, kind in type_hints(cls).items()})


def _service(key: tuple[str, str], cells: Mapping[str, Mapping[str, str]], model: Mapping[str, str]) -> Service:
    """Builds the service law of one (device, model) out of its measured cells."""
    value = {metric: float(row["value"]) for metric, row in cells.items()}
    timed = [cells[metric] for metric in ("ttft_s", "tpot_s", "item_s") if metric in cells]
    return Service(
        device=key[0],
        model=key[1],
        **_law(value, float(model["prompt_tokens_ref"]), float(model["steps"])),
        gain=value.get("gain", float(model["default_gain"])),
        origin=max((row["origin"] for row in timed), key=ORIGINS.index),
        source="; ".join(dict.fromkeys(row["source"] for row in timed)),
    )


def _law(value: Mapping[str, float], prompt_tokens_ref: float, steps: float) -> dict[str, float]:
    """Returns the coefficients of the service law; the time to first token holds at `prompt_tokens_ref` (< 2,048)."""
    if "item_s" in value:
        return {"per_unit_s": value["item_s"] / steps}
    # the share of the constant part was fitted at 800 tokens and is used at any other reference length as it stands
    slope_s = (1 - FIRST_SHARE_AT_800) * value["ttft_s"] / prompt_tokens_ref
    return {
        "first_s": FIRST_SHARE_AT_800 * value["ttft_s"],
        "per_prompt_token_s": slope_s,
        "beyond_2048_s": (SLOPE_RATIO_BEYOND_2048 - 1) * slope_s,
        "per_unit_s": value["tpot_s"],
    }
