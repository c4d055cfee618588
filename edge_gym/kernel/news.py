"""Messages about nodes: which phrase was chosen, and what the shipped parser makes of it.

The world draws numbers; Python puts them into words (`edge_gym.events`). Each phrase was read by the parser once, when
the tables were built, so the observation shows what that parser would say of every text without running it.
"""

from ._jit import jit_row
from .nodes import to_ns
from .tables import AHEAD, CHATTER, NEVER, NOW, SECOND

UNSAID_S = 60.0  # how long the parser's reader believes in an event of which nobody says how long it lasts
MILD, STRONG = 0.5, 0.2  # speed factors above which an event is called mild, strong; else severe


@jit_row
def forget_news(row, n):
    """Nothing has been said of node `n`."""
    node = row.node[n]
    node["heard"] = 0
    node["heard_foreground"] = 0
    node["heard_slowdown"] = 1.0
    node["heard_ns"] = -1
    node["heard_from_ns"] = NEVER
    node["heard_until_ns"] = NEVER


@jit_row
def say(params, row, n, regime, stage, activity, onset_s, duration_s, speed, u):
    """Somebody says something about node `n`; nothing happens where the scenario has no words for it.

    Args:
        params: The scenario's tables.
        row: The world.
        n: Node.
        regime: SEMANTIC_NEWS, DRIFT_NEWS or CHURN_NEWS.
        stage: AHEAD, NOW, OVER, CANCELLED or CHATTER.
        activity: What is going on.
        onset_s: Seconds until it begins.
        duration_s: How long it then lasts.
        speed: Factor of the node's speed meanwhile.
        u: Uniform draw that picks the phrase.
    """
    world, run = row.world[0], params.run[regime, stage, activity]
    if run["count"] == 0:
        return
    k = run["first"] + int(u * run["count"])
    world["stir"] = 1
    if world["news_count"] < row.news.shape[0]:
        entry = row.news[world["news_count"]]
        world["news_count"] += 1
        entry["time_ns"] = world["now_ns"]
        entry["onset_s"] = onset_s
        entry["duration_s"] = duration_s
        entry["speed"] = speed
        entry["node"] = n
        entry["phrase"] = k
    read(params.phrase[k], row.node[n], world["now_ns"], onset_s, duration_s, speed)


@jit_row
def read(phrase, node, now, onset_s, duration_s, speed):
    """Note what the parser makes of the message."""
    stage = phrase["stage"]
    if phrase["names_node"] == 0 or stage == CHATTER:
        return
    node["heard_ns"] = now
    if stage != AHEAD and stage != NOW:
        node["heard"] = 0
        return
    node["heard"] = 1
    node["heard_foreground"] = phrase["foreground"]
    severity = 0 if speed > MILD else (1 if speed > STRONG else 2)
    node["heard_slowdown"] = 1.0 / speed if phrase["says_speed"] == 1 else phrase["slowdown"][severity]
    node["heard_from_ns"] = now
    if stage == AHEAD and phrase["says_onset"] == 1:
        node["heard_from_ns"] = now + to_ns(onset_s)
    lasts_s = duration_s if phrase["says_duration"] == 1 else UNSAID_S
    node["heard_until_ns"] = node["heard_from_ns"] + to_ns(lasts_s)


@jit_row
def believed(node, now):
    """What the messages say of a node now.

    Returns:
        0 nothing is on, 0.5 something is coming, 1 something is on; slow-down while it lasts; 1.0 if its user is in the
        foreground; seconds until it begins or, if it has, ends.
    """
    if node["heard"] == 0 or now >= node["heard_until_ns"]:
        return 0.0, 1.0, 0.0, 0.0
    foreground = float(node["heard_foreground"])
    if now < node["heard_from_ns"]:
        return 0.5, node["heard_slowdown"], foreground, (node["heard_from_ns"] - now) / SECOND
    return 1.0, node["heard_slowdown"], foreground, (node["heard_until_ns"] - now) / SECOND
