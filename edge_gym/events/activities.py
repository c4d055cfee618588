"""What can be announced: the stages of an event and the activities that slow a node down."""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("ahead", "now", "over", "cancelled", "chatter")
AHEAD, NOW, OVER, CANCELLED, CHATTER = range(len(STAGES))

ABSENT = 100.0  # slow-down believed of a node that is away: large enough that nobody who compares nodes takes it
FOREGROUND_SLOWDOWN = 3.0  # believed of a foreground activity when nothing is said of its severity


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that slows a node down while it lasts.

    Attributes:
        name: Short name, as the notification level "what" shows it.
        foreground: The user of the node is looking at it, so a request served there makes it stutter.
    """

    name: str
    foreground: bool


# The last two are never drawn as activities of a user or a machine; they announce drift and churn.
ACTIVITIES = (
    Activity("game", True),
    Activity("video_call", True),
    Activity("ar_session", True),
    Activity("photo_editing", True),
    Activity("video_playback", True),
    Activity("live_stream", True),
    Activity("vr_training", True),
    Activity("music_production", True),
    Activity("os_update", False),
    Activity("backup", False),
    Activity("virus_scan", False),
    Activity("indexing", False),
    Activity("thermal", False),
    Activity("battery_saver", False),
    Activity("compile", False),
    Activity("file_sync", False),
    Activity("slowdown", False),
    Activity("presence", False),
)
ACTIVITY_NAMES = tuple(activity.name for activity in ACTIVITIES)
SLOWDOWN, PRESENCE = len(ACTIVITIES) - 2, len(ACTIVITIES) - 1

# Slow-down believed of a background activity when nothing is said of its severity. Assumed, in three grades: a
# trickle of disk work, a capped clock or a steady load, and a load that takes all cores.
BACKGROUND_SLOWDOWN = {
    "os_update": 3.0,
    "backup": 2.0,
    "virus_scan": 2.0,
    "indexing": 1.5,
    "thermal": 2.0,
    "battery_saver": 2.0,
    "compile": 3.0,
    "file_sync": 1.5,
    "slowdown": 3.0,
    "presence": ABSENT,
}


def usual_slowdown(activity: int) -> float:
    """Returns the slow-down, >= 1, believed of `ACTIVITIES[activity]` when its severity is not said."""
    name = ACTIVITIES[activity].name
    return FOREGROUND_SLOWDOWN if ACTIVITIES[activity].foreground else BACKGROUND_SLOWDOWN[name]
