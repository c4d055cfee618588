"""Scenarios: strict checks with useful messages (BAD-xx of the reliability list), overrides, cross-checks, presets."""

import dataclasses
import math
import pickle

import pytest
from processor_time import takes_at_most

from edge_gym.errors import MISSING, EdgeGymInputError, InputErrors, nearest, show
from edge_gym.fields import type_hints
from edge_gym.kernel.build import World
from edge_gym.scenario import (
    Arrivals,
    Change,
    Law,
    Pool,
    RewardWeights,
    Scenario,
    Telemetry,
    Topology,
    Workload,
)
from edge_gym.scenario.io import fingerprint
from edge_gym.scenario.presets import PRESETS, preset, resolve

TOY = preset("toy2")


@pytest.mark.parametrize(
    ("override", "field", "words"),
    [
        pytest.param({"horizon_s": 0}, "horizon_s", "> 0 and <= 3.15e+09", id="BAD-14-zero"),
        pytest.param({"horizon_s": math.inf}, "horizon_s", "finite", id="BAD-14-inf"),
        pytest.param({"horizon_s": math.nan}, "horizon_s", "finite", id="BAD-14-nan"),
        pytest.param({"horizon_s": 10**400}, "horizon_s", "finite", id="BAD-14-huge"),
        pytest.param({"topology_seed": -1}, "seed", ">= 0", id="BAD-13-negative"),
        pytest.param({"topology_seed": 1.5}, "seed", "an integer", id="BAD-13-fraction"),
        pytest.param({"topology_seed": True}, "seed", "found bool", id="BAD-13-bool"),
        pytest.param({"topology_seed": "010"}, "seed", "leading zeros", id="BAD-13-octal"),
        pytest.param({"topology_seed": 2**63}, "seed", ">= 0", id="BAD-13-large"),
        pytest.param({"rate_per_s": -3}, "rate_per_s", ">= 1e-09 and <= 1e+06", id="BAD-15-negative"),
        pytest.param({"rate_per_s": "10/s"}, "rate_per_s", "found str", id="BAD-15-string"),
        pytest.param({"rate_per_s": 1e12}, "rate_per_s", "1e+06", id="BAD-15-large"),
        pytest.param({"rate_per_s": 1e6, "horizon_s": 1e9, "n_requests": None}, "horizon_s", "1e+15", id="BAD-16"),
        pytest.param({"device_types": []}, "device_types", "1 to", id="BAD-17"),
        pytest.param({"n_nodes": 100_001}, "n_nodes", "<= 100000", id="BAD-18"),
        pytest.param({"name": "../../etc"}, "name", "[A-Za-z0-9_.-]", id="BAD-20-path"),
        pytest.param({"name": "<script>"}, "name", "[A-Za-z0-9_.-]", id="BAD-20-html"),
        pytest.param({"name": ""}, "name", "[A-Za-z0-9_.-]", id="BAD-20-empty"),
        pytest.param({"name": "a\n"}, "name", "printable", id="BAD-20-newline"),
        pytest.param({"name": "x" * 10_000}, "name", "at most", id="BAD-20-long"),
        pytest.param({"name": "\N{GRINNING FACE}"}, "name", "[A-Za-z0-9_.-]", id="BAD-20-emoji"),
        pytest.param({"device_types": ["fast", "slwo"]}, "pool.device_types[1]", "did you mean 'slow'", id="BAD-25"),
        pytest.param({"link_bandwidth_bytes_per_s": 0}, "link_bandwidth_bytes_per_s", ">= 1 ", id="BAD-27-bandwidth"),
        pytest.param({"link_delay_s": -1e-9}, "link_delay_s", ">= 0", id="BAD-27-delay"),
        pytest.param({"n_sites": 0}, "n_sites", ">= 1", id="BAD-29"),
        pytest.param({"device_types": ["l4"]}, "workloads[0].model", "serves", id="BAD-32-unserved"),
        pytest.param({"queue_capacity": -1}, "queue_capacity", ">= 0 and <= 1e+06", id="BAD-35-negative"),
        pytest.param({"queue_capacity": 10**18}, "queue_capacity", "<= 1e+06", id="BAD-35-large"),
        pytest.param({"slots": 0}, "slots", ">= 1", id="BAD-36-zero"),
        pytest.param({"slots": 1.5}, "slots", "an integer", id="BAD-36-fraction"),
        pytest.param({"latency": 0}, "", "> 0 in at least one of latency, slo_miss", id="BAD-46-all-zero"),
        pytest.param({"energy": math.nan}, "energy", "finite", id="BAD-46-nan"),
        pytest.param({"latancy": 1}, "latancy", "did you mean 'latency'", id="BAD-46-unknown"),
        pytest.param({"load": 0.7, "rate_per_s": 1.0}, "load", "not both", id="BAD-15-both"),
        pytest.param({"arrivals_kind": "trace"}, "trace_path", "path of a trace", id="BAD-41-no-path"),
        pytest.param(
            {"kind": "mmpp"}, "kind", "arrivals_kind or mobility_kind or topology_kind", id="BAD-10-ambiguous"
        ),
        pytest.param({"seed": 3}, "seed", "topology_seed", id="BAD-10-seed"),
        pytest.param({"n_node": 3}, "n_node", "did you mean 'n_nodes'", id="BAD-10-unknown"),
        pytest.param({"pool": None}, "pool", "a Pool", id="BAD-11-null"),
        pytest.param({"pool": {"n_nodes": 3}}, "pool", "a Pool", id="BAD-11-dict"),
        pytest.param({"pool": 3, "n_nodes": 3}, "pool", "set a field of it by pool.FIELD=VALUE", id="BAD-11-both"),
        pytest.param({"churn": 3}, "churn", "by churn.FIELD=VALUE, as in churn.", id="BAD-11-part"),
        pytest.param({"drift.foo": 1}, "drift.foo", "one of drift.gap_mean_s, drift.hold", id="BAD-10-part"),
        pytest.param({"drift.shar": 1}, "drift.shar", "did you mean 'drift.share'?", id="BAD-10-part-near"),
        pytest.param({"device_types": ["l5"]}, "pool.device_types[0]", "see edge-gym list devices", id="BAD-25-far"),
        pytest.param({"version": 99}, "version", "1", id="BAD-12"),
    ],
)
def test_bad_override(override, field, words):
    with pytest.raises(EdgeGymInputError) as caught:
        TOY.with_overrides(**override)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        pytest.param(lambda: Law(kind="lognormal", mean=0), "> 0 for kind lognormal", id="BAD-33-mean"),
        pytest.param(lambda: Law(kind="lognormal", mean=5, cv=-1), ">= 0 and <= 30", id="BAD-33-sd"),
        pytest.param(lambda: Law(kind="lognormal", mean=5, cv=1e9), "<= 30", id="BAD-33-cv"),
        pytest.param(lambda: Law(kind="uniform", low=5, high=3), "<= high = 3", id="BAD-33-bounds"),
        pytest.param(lambda: Law(minimum=5, maximum=3), "<= maximum = 3", id="BAD-33-clip"),
        pytest.param(lambda: Law(kind="empirical"), "ascending", id="BAD-33-empty"),
        pytest.param(lambda: Law(kind="empirical", values=(3, 1)), "ascending", id="BAD-33-order"),
        pytest.param(lambda: Law(kind="empirical", values=(1, math.nan)), "values[1]", id="BAD-33-nan"),
        pytest.param(lambda: Law(kind="gauss"), "one of constant", id="BAD-33-kind"),
        pytest.param(lambda: workload(deadline_s=0), "deadline_s = 0: must be >= 1e-06", id="BAD-34"),
        pytest.param(lambda: workload(units=Law(mean=0)), "at least 1 unit", id="BAD-33-units"),
        pytest.param(lambda: workload(share=0), "share = 0: must be > 0", id="BAD-33-share"),
        pytest.param(lambda: Change(time_s=1, node=0, what="speed", value=0), ">= 0.001", id="BAD-40-zero"),
        pytest.param(lambda: Change(time_s=1, node=0, what="speed", value=-1), ">= 0", id="BAD-40-negative"),
        pytest.param(lambda: Change(time_s=1, node=0, what="alive", value=0.5), "0 or 1", id="BAD-40-alive"),
        pytest.param(lambda: Change(time_s=1, node=0, what="sped", value=1), "did you mean 'speed'", id="BAD-40-what"),
        pytest.param(lambda: Change(time_s=-1, node=0, what="speed", value=1), ">= 0", id="BAD-38-negative"),
        pytest.param(lambda: Telemetry(age_s=61), "<= 60", id="BAD-27-age"),
        pytest.param(lambda: Telemetry(ewma=0), "> 0 and <= 1", id="BAD-27-ewma"),
        pytest.param(lambda: Topology(kind="graphml"), "path of a file", id="BAD-31-no-path"),
        pytest.param(lambda: Topology(kind="star", path="x"), "null unless", id="BAD-31-path"),
        pytest.param(lambda: Arrivals(load=1, trace_path="x"), "null unless", id="BAD-41-path"),
        pytest.param(lambda: Arrivals(load=1, burst_share=1.0), "> 0 and < 1", id="BAD-24-share"),
        pytest.param(lambda: Arrivals(load=1, amplitude=1.0), ">= 0 and < 1", id="BAD-24-amplitude"),
        pytest.param(lambda: RewardWeights(latency=-1), ">= 0", id="BAD-46-negative"),
    ],
)
def test_bad_part(build, words):
    with pytest.raises(EdgeGymInputError) as caught:
        build()
    assert words in str(caught.value)


def workload(**changes):
    return dataclasses.replace(TOY.workloads[0], **changes)


def bad_scenario(**changes):
    with pytest.raises(EdgeGymInputError) as caught:
        dataclasses.replace(TOY, **changes)
    return str(caught.value)


def test_bad_22_model_fits_nowhere():
    large = dataclasses.replace(TOY.models[0], weights_bytes=10**10)
    assert "fits into some node" in bad_scenario(models=(large,))


def test_bad_19_two_devices_of_one_name_up_to_case():
    twin = dataclasses.replace(TOY.devices[0], name="FAST")
    message = bad_scenario(devices=(*TOY.devices, twin))
    assert "devices[2] = 'FAST'" in message and "devices[0]" in message


def test_bad_19_shipped_names_keep_their_meaning():
    assert "shipped" in bad_scenario(devices=(*TOY.devices, dataclasses.replace(TOY.devices[0], name="l4")))


def test_bad_25_service_of_unknown_device():
    stray = dataclasses.replace(TOY.services[0], device="fastt")
    assert "services[2].device = 'fastt'" in bad_scenario(services=(*TOY.services, stray))


def test_bad_38_timeline_order_horizon_and_node():
    def change(time_s, node=0):
        return Change(time_s=time_s, node=node, what="speed", value=0.5)

    assert "timeline[1].time_s = 1.0: must be >= 2" in bad_scenario(timeline=(change(2), change(1)))
    assert "<= horizon_s = 3600" in bad_scenario(timeline=(change(3601),))
    assert "timeline[0].node = 2: must be < pool.n_nodes = 2" in bad_scenario(timeline=(change(1, node=2),))


def test_mis_07_scenarios_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TOY.name = "other"


def test_numbers_and_sequences_have_one_form():
    pool = Pool(device_types=["l4"], n_nodes=3)
    assert pool.device_types == ("l4",)
    assert type(Telemetry(age_s=1).age_s) is float
    assert math.copysign(1, Telemetry(age_s=-0.0).age_s) == 1
    assert fingerprint(TOY.with_overrides(age_s=1)) == fingerprint(TOY.with_overrides(age_s=1.0))


def test_overrides_by_short_and_long_names():
    base = preset("stationary")
    changed = base.with_overrides(n_nodes=32, rate_per_s=5, telemetry_age_s=1.0, **{"arrivals.kind": "mmpp"})
    assert changed.pool == dataclasses.replace(base.pool, n_nodes=32)
    assert (changed.arrivals.load, changed.arrivals.rate_per_s, changed.arrivals.kind) == (None, 5.0, "mmpp")
    assert changed.telemetry.age_s == 1.0
    assert changed.with_overrides(load=0.5).arrivals.rate_per_s is None
    whole = base.with_overrides(arrivals=Arrivals(rate_per_s=1), burst_ratio=9)
    assert (whole.arrivals.rate_per_s, whole.arrivals.burst_ratio) == (1.0, 9.0)
    assert base == preset("stationary")


def test_overrides_do_not_depend_on_their_order():
    changes = {"n_nodes": 4, "load": 0.5, "horizon_s": 10, "arrivals_kind": "diurnal"}
    backwards = dict(reversed(changes.items()))
    assert TOY.with_overrides(**changes) == TOY.with_overrides(**backwards)


def test_own_service_figures_replace_shipped_ones():
    base = preset("stationary")
    own = dataclasses.replace(base.service("l4", "sdxl"), per_unit_s=9.0)
    assert dataclasses.replace(base, services=(own,)).service("l4", "sdxl").per_unit_s == 9.0
    assert base.service("sima_mlsoc", "sdxl") is None


def test_default_workloads_have_the_measured_means():
    chat = Workload.default("llama3.1-8b")
    assert (chat.prompt_tokens.kind, chat.prompt_tokens.mean, chat.units.mean) == ("lognormal", 800.0, 128.0)
    image = Workload.default("sdxl")
    assert (image.units.kind, image.units.mean, image.prompt_tokens.mean) == ("constant", 20.0, 0.0)
    with pytest.raises(EdgeGymInputError, match="did you mean 'sdxl'"):
        Workload.default("sdx")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_and_are_named_after_their_key(name):
    scenario = preset(name)
    assert f"{scenario.task}/{scenario.name}" == name
    task = scenario.task
    assert resolve(name, task) == resolve(scenario.name, task) == resolve(scenario, task) == scenario


def test_bad_58_unknown_preset_names_the_nearest():
    with pytest.raises(EdgeGymInputError, match="did you mean 'stationary'"):
        resolve("stationery")
    with pytest.raises(EdgeGymInputError, match="a Scenario, the name"):
        resolve(3)


def test_every_field_documents_itself():
    parts = [Law, Workload, Arrivals, Pool, Topology, Telemetry, RewardWeights, Change, Scenario]
    for cls in parts:
        for field in dataclasses.fields(cls):
            assert field.metadata["help"], (cls, field.name)
            if type_hints(cls)[field.name] in (int, float, int | None, float | None):
                assert field.metadata["unit"] and field.metadata["low"] < math.inf, (cls, field.name)


def test_errors_survive_pickling_and_odd_values():
    error = EdgeGymInputError("a.b", MISSING, "given", "file:3", "hint")
    copy = pickle.loads(pickle.dumps(InputErrors([error, error])))
    assert str(copy) == "file:3: a.b: must be given (hint)\nfile:3: a.b: must be given (hint)"
    assert copy.errors[0].value is MISSING

    class Rude:
        def __repr__(self):
            raise KeyError("no")

    assert show(Rude()).startswith("<Rude")
    assert len(show("\x1b[31m\u202e" * 1000)) <= 80 and show("\x1b\u202e").isprintable()
    assert show(10**5000).startswith("<")
    assert nearest("x" * 10**6, ["n_nodes"]) == ""


def test_bad_35_tables_beyond_any_memory_are_refused_by_name():
    world = World(resolve("stationary", "routing", queue_capacity=1_000_000, n_nodes=1000, n_requests=None))
    with pytest.raises(EdgeGymInputError, match=r"queue_capacity.* = 1000000: must be small enough for 64 GiB"):
        world.allocate(8)


def test_sec_14_a_hundred_thousand_nodes_are_built_in_seconds():
    with takes_at_most(60):
        few, many = (World(resolve("stationary", "routing", n_nodes=n)) for n in (1000, 100_000))
        assert many.capacity_per_s == pytest.approx(100 * few.capacity_per_s, rel=1e-9)
