"""The image of a world: the map on the left, the nodes one by one on the right. Only `render.frame` uses it.

Matplotlib is used through its objects alone (no pyplot), so nothing outside the figure changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gym.kernel.build import World
from edge_gym.kernel.tables import LOADING, RESIDENT
from edge_gym.render import Snapshot, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edge_gym.network.topology import Network

SIZE_IN, DPI = (12.8, 7.2), 100
MAX_ROWS = 24  # nodes in the panel
MAX_MODELS = 8  # models with a colour of their own in the key
SITE_RADIUS = (0.022, 0.035)  # where it is not the nodes that need the room
MAX_LABELLED_SITES, MAX_NUMBERED_NODES, MAX_QUEUE_BARS = 32, 64, 100
INK, GREY, RIM, AWAY = "#22303c", "#8d9aa5", "#5d6f7e", "#b4bcc2"
LINK, PLACE, PLACE_RIM = "#c2cdd6", "#f8f9fa", "#e2e7eb"
SITE, SITE_RIM, ASKING, ASKING_RIM = "#e6eff6", "#c5d7e5", "#fff0c4", "#f2a900"
TRACK, QUEUE = "#e9eef2", "#d03434"
LOADS = ("#ffffff", "#b9dce3", "#4f9fb5", "#175676")  # no load to full
MODELS = ("#3b6fb6", "#e08a2c", "#3f9b6c", "#8e5ea8", "#b5495b", "#5aa9b8", "#8a7a4f", "#707884")


def draw(world: World, now: Snapshot) -> np.ndarray:
    """The image, (720, 1280, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    title = f"{clean(world.scenario.name, 40)}   t = {now.time_s:.2f} s"
    _text(figure, 0.02, 0.955, title, fontsize=16, fontweight="bold")
    _text(figure, 0.985, 0.955, "   ".join(f"{n} {number}" for n, number in now.counts.items()), ha="right")
    _text(figure, 0.02, 0.912, f"request: {now.request}", fontsize=9.5, color="#8a5a00" if now.site >= 0 else GREY)
    _draw_map(figure.add_axes((0.005, 0.075, 0.545, 0.81)), world, now)
    _draw_panel(figure.add_axes((0.66, 0.075, 0.335, 0.785)), now)
    _draw_key(figure, now)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _text(where: Figure | Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Text in a shipped font, never read as mathematics; characters the font lacks become question marks."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    drawable = "".join(c if font.get_char_index(ord(c)) else "?" for c in text)
    known: dict[str, Any] = {"color": INK, "va": "center", "fontfamily": "DejaVu Sans", "fontsize": 10}
    where.text(x, y, drawable, parse_math=False, **(known | style))


def _discs(axes: Axes, xy: np.ndarray, radius: Any, **style: Any) -> None:
    from matplotlib.collections import EllipseCollection

    size = np.broadcast_to(2.0 * np.asarray(radius), len(xy))
    axes.add_collection(
        EllipseCollection(
            size, size, np.zeros(len(xy)), units="x", offsets=xy, offset_transform=axes.transData, **style
        )
    )


def _draw_map(axes: Axes, world: World, now: Snapshot) -> None:
    """Links, places, and nodes: area by slots, colour by load, a red rim and bar for a queue."""
    from matplotlib.collections import LineCollection

    plan = world.network.plan
    axes.set(xlim=(-0.16, 1.16), ylim=(-0.09, 1.09), aspect="equal")
    axes.axis("off")
    if len(plan.link_u):
        width = 1.0 + np.log10(np.maximum(plan.link_bandwidth / plan.link_bandwidth.min(), 1.0))
        ends = np.stack([plan.xy[plan.link_u], plan.xy[plan.link_v]], axis=1)
        opacity = max(min(1.0, 300 / len(ends)), 0.2)
        axes.add_collection(LineCollection(list(ends), linewidths=width, colors=LINK, alpha=opacity, zorder=1))
    room = _room(world.network)
    _draw_places(axes, world.network, room, now.site)
    xy = _node_xy(world.network, room)
    radius = _node_radius(xy, now.slots)
    faces = np.where(now.alive[:, None], _load_colours(now.load), 1.0)
    rims = np.where(now.alive, np.where(now.queued > 0, QUEUE, RIM), AWAY)
    line = 1.1 if world.n_nodes <= MAX_QUEUE_BARS else 0.5
    _discs(axes, xy, radius, facecolors=faces, edgecolors=rims, linewidths=line, zorder=4)
    if world.n_nodes <= MAX_QUEUE_BARS:
        high = np.minimum(now.queued / max(8, now.queued.max()), 1.0)[:, None] * [0.0, 0.06]
        foot = xy + np.c_[radius + 0.006, -radius]
        bars = np.stack([foot, foot + high], axis=1)[now.queued > 0]
        axes.add_collection(LineCollection(list(bars), linewidths=3.5, colors=QUEUE, capstyle="butt", zorder=5))
    for n in np.flatnonzero(radius > 0.011) if world.n_nodes <= MAX_NUMBERED_NODES else ():
        colour = AWAY if not now.alive[n] else "white" if now.load[n] > 0.55 else INK
        _text(axes, xy[n, 0], xy[n, 1] - 0.001, str(n), fontsize=6.5, ha="center", zorder=6, color=colour)


def _draw_places(axes: Axes, network: Network, room: np.ndarray, pending: int) -> None:
    """A disc for each site and for each other place with several nodes; names of the sites."""
    plan, xy = network.plan, network.site_xy
    shared = np.bincount(plan.node_place, minlength=len(plan.names)) > 1
    crowded = shared[plan.site_place]
    shared[plan.site_place] = False
    _discs(axes, plan.xy[shared], room[shared], facecolors=PLACE, edgecolors=PLACE_RIM, linewidths=1.0, zorder=2)
    asks = np.arange(len(xy)) == pending
    radius = np.clip(room[plan.site_place], *SITE_RADIUS)
    radius = np.where(crowded, np.maximum(room[plan.site_place], SITE_RADIUS[0]), radius)
    for which, face, rim, above in ((~asks, SITE, SITE_RIM, 2), (asks, ASKING, ASKING_RIM, 3)):
        _discs(axes, xy[which], radius[which], facecolors=face, edgecolors=rim, linewidths=1.4, zorder=above)
    for s in np.arange(len(xy)) if len(xy) <= MAX_LABELLED_SITES else np.flatnonzero(asks):
        away = xy[s] - 0.5
        away = away / np.hypot(*away) if np.hypot(*away) > 0.05 else np.array([0.0, 1.0])
        x, y = xy[s] + away * (radius[s] + 0.012)
        ha = "center" if abs(away[0]) < 0.4 else "left" if away[0] > 0 else "right"
        va = "center" if abs(away[1]) < 0.4 else "bottom" if away[1] > 0 else "top"
        weight = "bold" if asks[s] else "normal"
        _text(axes, x, y, clean(network.site_names[s], 14), fontsize=8, ha=ha, va=va, fontweight=weight, zorder=6)


def _gap(xy: np.ndarray, most: float) -> np.ndarray:
    """Distance of each point to the next one, at most `most`; points at the same place do not count."""
    from scipy.spatial import cKDTree

    places = np.unique(np.round(xy, 6), axis=0)
    if len(places) < 2:
        return np.full(len(xy), most)
    return np.minimum(cKDTree(places).query(xy, k=2)[0][:, 1], most)


def _room(network: Network) -> np.ndarray:
    """Radius around each place that is its own."""
    plan = network.plan
    used = np.union1d(plan.node_place, plan.site_place)
    room = np.zeros(len(plan.names))
    room[used] = 0.48 * _gap(plan.xy[used], 0.2)
    return room


def _node_xy(network: Network, room: np.ndarray) -> np.ndarray:
    """Positions of the nodes, those at the same place spread over its room."""
    plan = network.plan
    offset = network.node_xy - plan.xy[plan.node_place]
    reach = np.hypot(*offset.T).max()
    return plan.xy[plan.node_place] + offset * (0.78 * room[plan.node_place] / max(reach, 1e-9))[:, None]


def _node_radius(xy: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Area by slots, but not below what can be seen; small enough that hardly any two discs touch."""
    largest = 0.47 * float(np.quantile(_gap(xy, 0.075), 0.1))
    return np.maximum(largest * np.sqrt(slots / slots.max()), max(0.45 * largest, 0.003))


def _load_colours(load: np.ndarray) -> np.ndarray:
    """(N, 4) colours of loads 0 ... 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("load", LOADS)(np.clip(load, 0.0, 1.0))


def _draw_panel(axes: Axes, now: Snapshot) -> None:
    """A row for each node: busy slots by model, queue, and which models it holds."""
    shown = now.busiest(MAX_ROWS)
    rows = np.arange(len(shown))
    axes.set(xlim=(0, 2.2), ylim=(max(len(rows), 14) - 0.4, -0.9))
    axes.axis("off")
    running, slots, queued = now.running[shown], now.slots[shown], now.queued[shown]
    axes.barh(rows, np.where(now.alive[shown], 1.0, 0.0), height=0.62, color=TRACK)
    start = np.zeros(len(rows))
    for m in range(len(now.models)):
        axes.barh(rows, running[:, m] / slots, left=start, height=0.62, color=MODELS[m % len(MODELS)])
        start += running[:, m] / slots
    reach = max(8, now.queued.max())
    axes.barh(rows, 0.4 * queued / reach, left=1.22, height=0.62, color=QUEUE)
    for head, x in (("busy slots, by model", 0.0), ("queue", 1.22), ("models held", 1.8)):
        _text(axes, x, -0.8, head, fontsize=8, color=GREY)
    for row, n in enumerate(shown):
        alive = bool(now.alive[n])
        colour = INK if alive else AWAY
        label = f"{clean(now.types[n], 18)}  {n}"
        if alive and now.speed[n] != 1.0:
            label, colour = f"{clean(now.types[n], 13)} x {now.speed[n]:.2g}  {n}", QUEUE
        _text(axes, -0.02, row, label, fontsize=8, ha="right", color=colour)
        note = "away" if not alive else f"{running[row].sum()}/{slots[row]}"
        _text(axes, 1.02 if alive else 0.02, row, note, fontsize=7.5, color=INK if alive else AWAY)
        if queued[row]:
            _text(axes, 1.24 + 0.4 * queued[row] / reach, row, str(queued[row]), fontsize=7.5, color=QUEUE)
    _draw_residency(axes, now.residency[shown])
    if len(shown) < len(now.slots):
        _text(axes, 0.0, len(rows) - 0.2, f"the {len(shown)} busiest of {len(now.slots)} nodes", fontsize=8, color=GREY)


def _draw_residency(axes: Axes, residency: np.ndarray) -> None:
    """A square for each model: full if resident, hollow while it loads."""
    for m in range(min(residency.shape[1], MAX_MODELS)):
        for state, face in ((RESIDENT, MODELS[m]), (LOADING, "white")):
            rows = np.flatnonzero(residency[:, m] == state)
            style = {"marker": "s", "s": 30, "facecolors": face, "edgecolors": MODELS[m], "linewidths": 1.2}
            axes.scatter(np.full(len(rows), 1.82 + 0.055 * m), rows, **style)


def _draw_key(figure: Figure, now: Snapshot) -> None:
    """What the colours mean, along the lower edge."""
    axes = figure.add_axes((0.0, 0.0, 1.0, 0.06))
    axes.set(xlim=(0, 1280), ylim=(0, 43))
    axes.axis("off")
    _text(axes, 26, 21, "busy slots 0", fontsize=8)
    axes.imshow(_load_colours(np.linspace(0, 1, 64))[None], extent=(102, 202, 15, 27), aspect="auto", zorder=1)
    _text(axes, 208, 21, "100 %     disc area: slots     red: queue     gold: where the request is", fontsize=8)
    axes.set(xlim=(0, 1280), ylim=(0, 43))
    x = 700.0
    for m, name in enumerate(now.models[:MAX_MODELS]):
        axes.scatter([x], [21], marker="s", s=40, color=MODELS[m])
        label = clean(name, 18) if m + 1 < MAX_MODELS or len(now.models) == MAX_MODELS else "and more"
        _text(axes, x + 9, 21, label, fontsize=8)
        x += 32 + 6.4 * len(label)
