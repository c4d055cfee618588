"""The shipped device figures: equal to the measured document, complete, and usable."""

import io
import math
import re
from collections import Counter
from dataclasses import fields

import pytest

from edge_gym.cli import listing
from edge_gym.devices import (
    FIRST_SHARE_AT_800,
    ORIGINS,
    SLOPE_RATIO_BEYOND_2048,
    device_type,
    device_types,
    model_type,
    model_types,
    services,
    table_rows,
)
from edge_gym.errors import EdgeGymInputError

SERVICES = services()
ROWS = table_rows("services")
# cells typed from the priors by hand: (device, model, metric): (value, origin)
CELLS = {
    ("arc_pro_b60", "llama3.1-8b", "ttft_s"): (0.175, "measured"),
    ("arc_pro_b60", "llama3.1-8b", "tpot_s"): (0.0253, "measured"),
    ("jetson_agx_thor", "llama3.1-8b", "ttft_s"): (1.39, "measured_open"),
    ("jetson_agx_orin", "gptj-6b", "tpot_s"): (0.0382, "converted"),
    ("dgx_spark", "qwen3.6-27b", "ttft_s"): (1.15, "measured"),
    ("rtx_4090", "llama3.1-8b", "tpot_s"): (0.00744, "roofline"),
    ("snapdragon_8_elite", "llama3.1-8b", "tpot_s"): (0.065, "roofline"),
    ("jetson_agx_orin", "resnet50", "item_s"): (0.000633, "measured"),
    ("jetson_xavier_nx", "rnnt", "item_s"): (0.334, "measured"),
    ("l40s", "sdxl", "item_s"): (1.97, "measured"),
    ("rtx_4090", "sdxl", "item_s"): (1.42, "measured_open"),
    ("cloud_ai_100", "sdxl", "item_s"): (13.1, "converted"),
    ("raspberry_pi_4", "retinanet", "item_s"): (16.9, "roofline"),
    ("rtx_4090", "resnet50", "gain"): (10.1, "measured"),
    ("a2", "rnnt", "gain"): (123.0, "measured"),
    ("l4", "gptj-6b", "gain"): (3.6, "converted"),
    ("jetson_agx_orin", "bert-large", "energy_j"): (0.21, "measured"),
    ("rtx_4090", "gptj-6b", "energy_j"): (349.0, "measured"),
}


@pytest.mark.parametrize("key", CELLS, ids="-".join)
def test_cell_equals_the_document(key):
    (row,) = [r for r in ROWS if (r["device"], r["model"], r["metric"]) == key]
    assert (float(row["value"]), row["origin"]) == CELLS[key]


def test_as_many_timed_cells_as_the_document_counts():
    # its sections A and B; the SiMa row was added here from the same results
    timed = [r for r in ROWS if r["metric"] in ("ttft_s", "tpot_s", "item_s") and r["device"] != "sima_mlsoc"]
    count = Counter(r["origin"].removesuffix("_open") for r in timed)
    assert count == {"measured": 69, "converted": 14, "roofline": 93}


def test_no_cell_is_given_twice_and_every_cell_has_a_source():
    keys = Counter((r["device"], r["model"], r["metric"]) for r in ROWS)
    assert max(keys.values()) == 1
    assert all(r["source"] and r["origin"] in ORIGINS for r in ROWS)


def test_units_follow_from_metrics():
    allowed = {"ttft_s": {"s"}, "tpot_s": {"s/token"}, "item_s": {"s/item"}, "gain": {"1"}}
    allowed["energy_j"] = {"J/item", "J/request"}
    assert all(r["unit"] in allowed[r["metric"]] for r in ROWS)


def test_every_cell_is_positive_and_finite():
    assert all(0 < float(r["value"]) < math.inf for r in ROWS)


def test_every_service_names_a_known_device_and_model_and_fits_there():
    for device, model in SERVICES:
        assert device_type(device).memory_bytes > model_type(model).weights_bytes


def test_every_device_serves_something_and_every_model_is_served():
    assert {device for device, _ in SERVICES} == set(device_types())
    assert {model for _, model in SERVICES} == set(model_types())


def test_work_grows_with_prompt_and_output():
    for service in SERVICES.values():
        coefficients = (service.first_s, service.per_prompt_token_s, service.beyond_2048_s)
        assert service.per_unit_s > 0 and service.gain >= 1
        is_llm = model_type(service.model).kind == "llm"
        assert all(c > 0 if is_llm else c == 0 for c in coefficients)


def test_time_to_first_token_at_800_tokens_is_the_cell():
    for row in ROWS:
        if row["metric"] == "ttft_s":
            service = SERVICES[row["device"], row["model"]]
            ttft_s = service.first_s + 800 * service.per_prompt_token_s
            assert ttft_s == pytest.approx(float(row["value"]), rel=1e-9)


def test_split_of_the_first_token_fits_the_measured_series():
    series_ms = {128: 65, 512: 93, 1024: 154, 2048: 274, 4096: 661, 8192: 1550}
    slope = (1 - FIRST_SHARE_AT_800) / 800
    shape = {p: FIRST_SHARE_AT_800 + slope * (p + (SLOPE_RATIO_BEYOND_2048 - 1) * max(0, p - 2048)) for p in series_ms}
    # one free scale, as each device has: a weighted least-squares fit of relative errors
    ratios = [shape[p] / ms for p, ms in series_ms.items()]
    scale = sum(ratios) / sum(r * r for r in ratios)
    assert all(abs(scale * r - 1) < 0.09 for r in ratios)


def test_a_diffusion_cell_is_split_over_its_steps():
    assert SERVICES["l4", "sdxl"].per_unit_s == pytest.approx(5.3 / 20)
    assert model_type("sdxl").units_mean == 20


def test_gain_is_the_measured_one_where_there_is_one():
    assert SERVICES["rtx_4090", "resnet50"].gain == 10.1
    assert SERVICES["dgx_spark", "resnet50"].gain == model_type("resnet50").gain == 4.5


def test_default_gain_is_the_median_of_the_measured_ones():
    for row in table_rows("model_types"):
        cells = sorted(float(r["value"]) for r in ROWS if r["metric"] == "gain" and r["model"] == row["name"])
        if cells:
            assert float(row["default_gain"]) == cells[len(cells) // 2]
        else:
            assert row["gain_origin"] == "assumed"


def test_a_service_has_the_origin_of_its_worst_cell():
    assert SERVICES["rtx_pro_4500", "llama3.1-8b"].origin == "roofline"  # TTFT roofline, TPOT converted
    assert SERVICES["jetson_agx_thor", "llama3.1-8b"].origin == "measured_open"


def test_devices_are_plausible():
    for device in device_types().values():
        assert re.fullmatch("[a-z0-9_.-]+", device.name)
        assert 0 < device.power_idle_w < device.power_max_w
        assert device.slots >= 1 and device.price_usd_per_hour > 0


def test_price_is_purchase_over_three_years_and_energy():
    for row in table_rows("device_types"):
        power_kw = (float(row["power_idle_w"]) + float(row["power_max_w"])) / 2 / 1000
        expected = float(row["purchase_usd"]) / (3 * 365 * 24) + 0.25 * power_kw
        assert float(row["price_usd_per_hour"]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("table", ["device_types", "model_types"])
def test_every_figure_has_a_known_origin(table):
    for row in table_rows(table):
        origins = {value for column, value in row.items() if column.endswith("_origin")}
        assert origins <= set(listing.MARKS)


def test_every_field_of_a_device_type_but_its_names_has_an_origin_column():
    columns = set(table_rows("device_types")[0])
    names = {f.name for f in fields(device_type("l4"))} - {"name", "title"}
    assert {f"{name}_origin" for name in names} <= columns


@pytest.mark.parametrize(
    ("lookup", "wrong", "right"), [(device_type, "rtx_4900", "rtx_4090"), (model_type, "sdxll", "sdxl")]
)
def test_an_unknown_name_is_refused_with_the_nearest_one(lookup, wrong, right):
    with pytest.raises(EdgeGymInputError) as caught:
        lookup(wrong)
    assert caught.value.value == wrong
    assert right in caught.value.hint


@pytest.mark.parametrize("table", [listing.device_table, listing.model_table, listing.service_table])
def test_listing_shows_every_row_with_marks(table):
    from rich.console import Console

    made = table()
    console = Console(file=io.StringIO(), width=250)
    console.print(made)
    shown = console.file.getvalue()
    names = model_types() if table is listing.model_table else device_types()
    assert made.row_count == len(names)
    assert all(name in shown for name in names)
    assert " M" in shown and " A" in shown
