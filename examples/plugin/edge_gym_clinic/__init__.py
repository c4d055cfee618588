"""A hospital ward for edge_gym: importing this package registers its names; edge_gym imports it when it needs one."""

from dataclasses import replace
from pathlib import Path

from edge_gym import register_policy, register_scenario, register_task
from edge_gym.tasks import get_task

register_scenario("routing/clinic-ward", Path(__file__).parent / "ward.yaml")
register_policy("clinic_policy", "edge_gym_clinic.policy:InTime")
register_task(
    replace(
        get_task("routing"),
        name="ward",
        id="clinic/Ward-v0",
        variant_of="routing",
        scenario="clinic-ward",
        policies=("clinic_policy", "jsq", "sect_static", "oracle"),
    )
)
