"""What the bound needs to know of an agent's life, as tables; `follow_bound.py` says why each is what it is."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import floyd_warshall

from edge_baselines.agents.follow_bound_path import Between, Course, Points
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import SECOND, TOKENS
from edge_gym.privileged import AgentForeknowledge


class Lives:
    """The agents of one episode.

    Attributes:
        world: The scenario made ready to run.
        known: The future.
        course: The nodes.
        between: From node to node, on the shortest ways.
        first_departure_s: When a node first leaves; inf if none does.
    """

    def __init__(self, world: World, known: AgentForeknowledge) -> None:
        self.world, self.known = world, known
        self.course = _course(world, known)
        cable = world.params.cable
        self.between = Between(
            half_s=_closure(0.5 * cable["rtt_s"]),
            s_per_byte=_closure(cable["s_per_byte"]),
            usd_per_byte=_closure(cable["usd_per_byte"]),
        )
        there = self.course.stay >= 0
        node = np.repeat(np.arange(world.n_nodes), np.diff(self.course.first))
        self._speed, self._bias = np.zeros(world.n_nodes), np.full((world.n_nodes, len(world.params.model)), np.inf)
        np.maximum.at(self._speed, node[there], self.course.speed[there])
        np.minimum.at(self._bias, node[there], self.course.bias[there])
        self._left_s = np.sort(self._departures(node))
        self.first_departure_s = float(self._left_s[0]) if len(self._left_s) else np.inf

    def routed_s(self) -> float:
        """Latency of the requests that are for no agent, each alone on its best node, summed."""
        asked = self.known.asked[self.known.asked["serial"] < 0]
        if not len(asked):
            return 0.0
        charge_s = self._charge_s(asked["model"])
        return float(np.minimum(self._alone_s(*self._service(asked), asked["model"]), charge_s).sum())

    def points(self, agent: np.void, home: int, weight_usd: float) -> Points:
        """The life of one agent.

        Args:
            agent: Row of `known.crew`.
            home: Where it begins; -1: anywhere.
            weight_usd: Of a US dollar.
        """
        asked = self.known.asked[self.known.asked["serial"] == agent["serial"]]
        params = self.world.params
        role, m = params.role[agent["role"]], int(agent["model"])
        ends = np.array([agent["born_ns"], max(agent["gone_ns"], agent["born_ns"])]) / SECOND
        time_s = np.concatenate([ends[:1], asked["arrive_ns"] / SECOND, np.maximum(ends[1:], ends[0])])
        work_s, up_s, down_s = (np.pad(table, ((1, 1), (0, 0))) for table in self._service(asked))
        work_s[-1, params.service[:, m]["supported"] == 0] = np.inf  # it cannot end its life there
        charge_s = float(self._charge_s(m))
        best_s = np.pad(self._alone_s(work_s[1:-1], up_s[1:-1], down_s[1:-1], asked["model"]), 1)
        context, messages = self._grown(time_s, asked, charge_s)
        rules = params.agency[0]
        state = rules["state_bytes"] + rules["bytes_per_message"] * messages + rules["bytes_per_token"] * context
        image = role["image_bytes"]
        sent = state + (image if rules["full"] else 0.0)
        prefill_s, image_s = self._prefill_s(m, context), self._image_s(image)
        written_s = (rules["export_s"] + rules["export_s_per_byte"] * state)[:, None]
        read_s = (rules["import_s"] + rules["import_s_per_byte"] * state)[:, None]
        moved_s = written_s + read_s + prefill_s + (image_s if rules["full"] else 0.0)
        known = messages > 0
        there_s = image_s + np.where(known[:, None], read_s, 0.0) + prefill_s
        started_s = self._started_s(agent, time_s, image + np.where(known, state, 0.0), there_s, moved_s, sent)
        calm, gaps_s = self._calm(time_s, charge_s), np.append(np.diff(time_s), 0.0)
        if home < 0:
            calm[0] = False
        price = agent["need"] * params.need[agent["role"]]["usd_per_s"] + image * rules["usd_per_byte_s"]
        reserved = weight_usd * np.where(calm[:, None], gaps_s[:, None] * price, 0.0)
        serves = params.service[:, m]["supported"] == 1
        return Points(
            time_s=time_s,
            work_s=work_s,
            up_s=up_s,
            down_s=down_s,
            best_s=best_s,
            charge_s=np.pad(np.full(len(asked), charge_s), 1),
            traffic=weight_usd * self._pays(agent, time_s, charge_s) * role["request_bytes"] * rules["usd_per_byte"],
            reserved=reserved,
            reserved_least=reserved[:, serves].min(axis=1) if serves.any() else np.zeros(len(time_s)),
            moved_s=moved_s,
            state_bytes=sent,
            moved_cost=np.where(calm, sent, 0.0),
            started_s=started_s,
        )

    def _service(self, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(J, N) work, inf where a request cannot go, and its way there and back, seconds."""
        params, m = self.world.params, asked["model"].astype(np.int64)
        prompt, units = asked["prompt"][:, None], asked["units"][:, None]
        service, link, model = params.service[:, m].T, params.link[asked["site"]], params.model[m][:, None]
        work = service["first_s"] + service["per_prompt_token_s"] * prompt
        work += service["beyond_2048_s"] * np.maximum(prompt - 2048, 0) + service["per_unit_s"] * units
        work[(service["supported"] == 0) | (link["reachable"] == 0)] = np.inf
        delay_s = link["delay_ns"] / SECOND
        up = delay_s + (model["up_bytes"] + model["up_bytes_per_token"] * prompt) * link["s_per_byte"]
        down = delay_s + (model["down_bytes"] + model["down_bytes_per_unit"] * units) * link["s_per_byte"]
        return work, up, down

    def _alone_s(self, work: np.ndarray, up: np.ndarray, down: np.ndarray, m: np.ndarray) -> np.ndarray:
        """(J,) latency on the best node at the best speed and software factor that it ever has."""
        with np.errstate(divide="ignore"):
            served = work * self._bias[:, m].T / self._speed
        return (up + served + down).min(axis=1, initial=np.inf)

    def _charge_s(self, m: np.ndarray | int) -> np.ndarray:
        params = self.world.params
        return params.rules[0]["drop_charge"] * params.model[m]["deadline_ns"] / SECOND

    def _grown(self, time_s: np.ndarray, asked: np.ndarray, charge_s: float) -> tuple[np.ndarray, np.ndarray]:
        """(P,) tokens of context and messages that the agent has at least at each point."""
        limit = int(self.world.params.agency[0]["context_tokens"])
        tokens = np.append(0, np.cumsum(asked["prompt"].astype(np.int64) + asked["units"]))
        answered = np.searchsorted(time_s[1:-1], time_s - charge_s, side="right")
        halved = tokens[-1] > limit
        context = np.minimum(tokens[answered], (limit + 1) // 2) if halved else tokens[answered]
        return context.astype(float), np.where(halved, np.minimum(answered, 1), 2 * answered).astype(float)

    def _prefill_s(self, m: int, context: np.ndarray) -> np.ndarray:
        """(P, N) least time to prefill the context."""
        service = self.world.params.service[:, m]
        tokens = context[:, None]
        work = service["first_s"] + service["per_prompt_token_s"] * tokens + service["per_unit_s"]
        work = work + service["beyond_2048_s"] * np.maximum(tokens - 2048.0, 0.0)
        if self.world.params.model[m]["kind"] != TOKENS:
            work = np.zeros(work.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            seconds = work * self._bias[:, m] / self._speed
        return np.where((tokens > 0.0) & (work > 0.0), seconds, 0.0)

    def _image_s(self, image: float) -> np.ndarray:
        """(N,) time to put the image on storage and start the process."""
        rules, host = self.world.params.agency[0], self.world.params.host
        return image * host["storage_s_per_byte"] + rules["startup_s"] if image > 0.0 else np.zeros(len(host))

    def _started_s(
        self,
        agent: np.void,
        time_s: np.ndarray,
        sent: np.ndarray,
        there_s: np.ndarray,
        moved_s: np.ndarray,
        moved: np.ndarray,
    ) -> np.ndarray:
        """(P, N) when the agent, lost after a point and before the next, answers again; inf if no node leaves then."""
        link, way = self.world.params.link, self._way(agent)
        found = np.full(there_s.shape, np.inf)
        first = np.searchsorted(self._left_s, time_s[:-1], side="right")
        for i in range(len(time_s) - 1):
            if first[i] == len(self._left_s) or self._left_s[first[i]] > time_s[i + 1]:
                continue
            left_s = self._left_s[first[i]]
            stops = way[np.append(way["time_ns"][1:] / SECOND, np.inf) >= left_s]
            begins_s, links = np.maximum(stops["time_ns"] / SECOND, left_s)[:, None], link[stops["site"]]
            comes_s = begins_s + links["delay_ns"] / SECOND + sent[i] * links["s_per_byte"]
            comes_s = np.where(links["reachable"] == 1, comes_s, np.inf).min(axis=0, initial=np.inf) + there_s[i]
            on = self.between.half_s + moved[i] * self.between.s_per_byte + moved_s[i]
            found[i] = np.minimum(comes_s, (comes_s[:, None] + on).min(axis=0))
        return found

    def _way(self, agent: np.void) -> np.ndarray:
        return self.known.way[self.known.way["application"] == agent["application"]]

    def _calm(self, time_s: np.ndarray, charge_s: float) -> np.ndarray:
        """(P,) whether, from each point to the next, no agent can be without a home."""
        calm = np.ones(len(time_s), bool)
        for left_s in self._left_s:
            after = np.searchsorted(time_s[1:-1], left_s) + 1  # the first request that would wait
            until_s = time_s[after] + charge_s if after < len(time_s) - 1 else np.inf
            calm[:-1] &= (time_s[1:] <= left_s) | (time_s[:-1] >= until_s)
        return calm

    def _pays(self, agent: np.void, time_s: np.ndarray, charge_s: float) -> np.ndarray:
        """(P, N) whether a request's bytes are paid for: its user is never at the node's site while it may wait."""
        way, home = self._way(agent), self.world.params.node["home"]
        pays = np.ones((len(time_s), len(home)), bool)
        since_s, until_s = way["time_ns"] / SECOND, np.append(way["time_ns"][1:] / SECOND, np.inf)
        for k, at in enumerate(time_s):
            sites = way["site"][(since_s <= at + charge_s) & (until_s >= at)]
            pays[k] = ~np.isin(home, sites)
        return pays

    def _departures(self, node: np.ndarray) -> np.ndarray:
        """When any node left, seconds."""
        stay = self.course.stay
        left = (node[1:] == node[:-1]) & (stay[:-1] >= 0) & (stay[1:] != stay[:-1])
        return self.course.time_s[1:][left]


def _closure(table: np.ndarray) -> np.ndarray:
    """The shortest ways by a (N, N) table of costs; 0 is a way, and not the lack of one."""
    shortest = floyd_warshall(table + 1e-15)
    np.fill_diagonal(shortest, 0.0)
    return np.minimum(np.maximum(shortest - 1e-15 * len(table), 0.0), table)


def _course(world: World, known: AgentForeknowledge) -> Course:
    """The recorded speeds, by node."""
    order = np.argsort(known.stretch["node"], kind="stable")
    stretch, n_nodes = known.stretch[order], world.n_nodes
    return Course(
        first=np.searchsorted(stretch["node"], np.arange(n_nodes + 1)),
        time_s=stretch["time_ns"] / SECOND,
        speed=np.where(stretch["alive"] == 1, stretch["speed"], 0.0),
        stay=np.where(stretch["alive"] == 1, stretch["incarnation"], -1).astype(np.int64),
        bias=known.bias[order],
    )
