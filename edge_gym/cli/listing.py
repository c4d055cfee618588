"""Tables for `edge-gym list`: the shipped figures, each marked by its origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge_gym.devices import Service, model_types, services, table_rows

if TYPE_CHECKING:
    from rich.table import Table

# origin: (mark, style)
MARKS = {
    "measured": ("M", "green"),
    "measured_open": ("Mo", "cyan"),
    "converted": ("C", "yellow"),
    "roofline": ("R", "magenta"),
    "datasheet": ("D", "blue"),
    "assumed": ("A", "dim"),
}
LEGEND = "  ".join(f"[{style}]{mark}[/] {origin.replace('_', ' ')}" for origin, (mark, style) in MARKS.items())

# column of the table: (heading, divisor); a figure is marked by the column "<name>_origin" unless named in ORIGIN_OF
DEVICE_COLUMNS = {
    "memory_bytes": ("memory GB", 1e9),
    "storage_bytes_per_s": ("storage MB/s", 1e6),
    "nic_bytes_per_s": ("NIC MB/s", 1e6),
    "power_idle_w": ("idle W", 1),
    "power_max_w": ("max W", 1),
    "price_usd_per_hour": ("USD/h", 1),
    "slots": ("slots", 1),
}
MODEL_COLUMNS = {
    "weights_bytes": ("weights GB", 1e9),
    "startup_s": ("start-up s", 1),
    "default_gain": ("gain", 1),
    "prompt_tokens_mean": ("mean prompt", 1),
    "units_mean": ("mean units", 1),
    "upload_bytes": ("up kB", 1e3),
    "download_bytes": ("down kB", 1e3),
}
ORIGIN_OF = {
    "weights_bytes": "weights_origin",
    "startup_s": "startup_origin",
    "default_gain": "gain_origin",
    "prompt_tokens_mean": "lengths_origin",
    "units_mean": "lengths_origin",
    "upload_bytes": "payload_origin",
    "download_bytes": "payload_origin",
}


def device_table() -> Table:
    """Returns the shipped device types as a rich table."""
    return _figures_table("Device types", "device_types", ("class",), DEVICE_COLUMNS)


def model_table() -> Table:
    """Returns the shipped models as a rich table."""
    return _figures_table("Models", "model_types", ("kind", "unit"), MODEL_COLUMNS)


def service_table() -> Table:
    """Returns the seconds of a default request (mean prompt, mean output), unloaded, by device and model.

    A figure carries the mark of its worst founded part.
    """
    from rich.table import Table

    table = Table(title="Seconds of a mean request, alone on a nominal node", caption=LEGEND)
    table.add_column("device")
    for model in model_types():
        table.add_column(model, justify="right")
    known = services()
    for row in table_rows("device_types"):
        device = row["name"]
        table.add_row(device, *(_seconds(known.get((device, model))) for model in model_types()))
    return table


def _figures_table(title: str, name: str, words: tuple[str, ...], columns: Mapping[str, tuple[str, float]]) -> Table:
    from rich.table import Table

    table = Table(title=title, caption=LEGEND)
    for word in ("name", *words):
        table.add_column(word)
    for heading, _ in columns.values():
        table.add_column(heading, justify="right")
    for row in table_rows(name):
        figures = (_figure(row, column, divisor) for column, (_, divisor) in columns.items())
        table.add_row(row["name"], *(row[word] for word in words), *figures)
    return table


def _figure(row: Mapping[str, str], column: str, divisor: float) -> str:
    return _marked(float(row[column]) / divisor, row[ORIGIN_OF.get(column, f"{column}_origin")])


def _seconds(service: Service | None) -> str:
    if service is None:
        return "-"
    model = model_types()[service.model]
    # the mean prompts lie below 2,048 tokens, so the third term of the service law is zero here
    prompt_s = service.first_s + service.per_prompt_token_s * model.prompt_tokens_mean
    return _marked(prompt_s + service.per_unit_s * model.units_mean, service.origin)


def _marked(value: float, origin: str) -> str:
    mark, style = MARKS[origin]
    return f"{value:.4g} [{style}]{mark}[/]"
