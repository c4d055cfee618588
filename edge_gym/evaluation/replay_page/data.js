"use strict";
// What is known of the episode, decoded once. Times are in seconds from here on.

const DATA = JSON.parse(document.getElementById("data").textContent);
const N = DATA.names.nodes.length;
const SAMPLES = DATA.time.map((ticks) => ticks * DATA.tick_s);
const END = SAMPLES[SAMPLES.length - 1];
const COMPLETED = 1;
const OUTCOMES = ["", "completed", "rejected", "dropped", "unfinished"];
const GATES = DATA.names.gates;

/** Number of entries of a sorted array that are <= value. */
function countUpTo(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1; else high = middle;
  }
  return low;
}

/** Changes (sample number, value, ...) as one value for each sample. */
function expand(steps) {
  const values = new Int32Array(SAMPLES.length);
  for (let k = 0; k < steps.length; k += 2) values.fill(steps[k + 1], steps[k]);
  return values;
}

const NODES = Object.fromEntries(Object.entries(DATA.nodes).map(([name, table]) => [name, table.map(expand)]));
const sampleAt = (time) => Math.max(countUpTo(SAMPLES, time) - 1, 0);

/** One request by its place in the order of arrival; times that never came are Infinity. */
const REQUESTS = DATA.requests.id.map((id, k) => {
  const seconds = (name) => {
    const ticks = DATA.requests[name][k];
    return ticks < 0 ? Infinity : ticks * DATA.tick_s;
  };
  const other = (name) => DATA.requests[name][k];
  const served = other("outcome") === COMPLETED;
  const arrive = seconds("arrive"), latency = seconds("latency");
  return {
    k, id, arrive, latency, served,
    dispatch: seconds("dispatch"), start: seconds("start"), first: seconds("first"),
    finish: served ? seconds("finish") : Infinity, delay: seconds("delay"),
    node: other("node"), model: other("model"), site: other("site"), outcome: other("outcome"),
    late: other("late") === 1, stutter: other("stutter"), prompt: other("prompt"), units: other("units"),
    retries: other("retries"),
  };
});
const ARRIVALS = REQUESTS.map((request) => request.arrive);
const FINISHED = REQUESTS.filter((request) => request.served).sort((a, b) => a.finish - b.finish);
const FINISHES = FINISHED.map((request) => request.finish);
const LONGEST = REQUESTS.reduce((most, r) => Math.max(most, r.served ? r.finish - r.arrive : 0), 0);

const seconds = (ticks) => (ticks < 0 ? Infinity : ticks * DATA.tick_s);
const MOVES = DATA.moves.map(([serial, source, target, begin, end, bytes]) => (
  { serial, source, target, begin: seconds(begin), end: seconds(end), bytes }));

/** What a request came to, for its colour. */
function fate(request) {
  if (!request.served) return "bad";
  return request.late ? "late" : "good";
}

/** A number in about three digits. */
function figure(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : value.toFixed(3);
}

const clock = (time) => `${time.toFixed(time < 1000 ? 1 : 0)} s`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Bytes in the unit that fits. */
function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  return `${figure(value / 1000 ** step)} ${units[step]}`;
}

/** What the parser makes of a message, in words. */
function reading([, , , stage, slowdown, foreground, onset, duration]) {
  if (stage === "nothing" || stage === "chatter") return "read as: nothing of use";
  const words = [`read as: ${stage}`];
  if (slowdown > 1) words.push(`${figure(slowdown)} times slower`);
  if (foreground) words.push("user in the foreground");
  if (onset !== null) words.push(`in ${figure(onset)} s`);
  if (duration !== null) words.push(`for ${figure(duration)} s`);
  return words.join(", ");
}

/** True changes worth a line: a node leaves, joins, becomes slow or recovers. */
function notableChanges() {
  const found = [], last = {};
  for (const [ticks, node, alive, speed] of DATA.changes) {
    const before = last[node];
    const now = { alive, slow: speed < (before && before.slow ? 950 : 750) };
    last[node] = now;
    if (!before) continue;
    const what = alive !== before.alive ? (alive ? "joins" : "leaves")
      : now.slow !== before.slow ? (now.slow ? "becomes slow" : "has recovered") : null;
    if (what) found.push({ time: seconds(ticks), node, what });
  }
  return found;
}

/** Users of applications who have come to another site. */
function handovers() {
  const at = new Map(), found = [];
  for (const [ticks, application, site] of DATA.users) {
    if (at.has(application)) {
      found.push({ time: seconds(ticks), node: -1, kind: "user", more: "",
        text: `the user of application ${application} comes from ${at.get(application)} to ${DATA.names.sites[site]}` });
    }
    at.set(application, DATA.names.sites[site]);
  }
  return found;
}

/** Everything that happens, in order of time: what the feed and the stories are made of. */
function happenings() {
  const name = (node) => DATA.names.nodes[node];
  const agent = (serial) => {
    const found = DATA.agents.find((row) => row[0] === serial);
    return found ? `${DATA.names.roles[found[2]]} ${serial}` : `agent ${serial}`;
  };
  const found = [
    ...DATA.messages.map((m) => ({ time: seconds(m[0]), node: m[1], kind: "message", text: m[2], more: reading(m) })),
    ...DATA.calls.map(([ticks, node, text, refused, reason]) => ({
      time: seconds(ticks), node, kind: refused ? "bad" : "call", text: refused ? `${text}: refused by the guards` : text,
      more: reason })),
    ...notableChanges().map((c) => ({
      time: c.time, node: c.node, kind: "change", text: `${name(c.node)} ${c.what}`, more: "the truth; only an oracle sees it" })),
    ...MOVES.filter((m) => m.begin > 0).map((m) => ({
      time: m.begin, node: m.target, from: m.source, kind: "move",
      text: m.source < 0 ? `${agent(m.serial)} starts on ${name(m.target)}`
        : `${agent(m.serial)} moves from ${name(m.source)} to ${name(m.target)}`,
      more: Number.isFinite(m.end) ? `${bytes(m.bytes)}, there after ${figure(m.end - m.begin)} s` : "it never arrived" })),
    ...handovers(),
    ...REQUESTS.filter((r) => !r.served).map((r) => ({
      time: r.arrive + r.latency > END ? END : r.arrive, node: r.node, request: r.k, kind: "bad",
      text: `request ${r.id} for ${DATA.names.models[r.model]} was ${OUTCOMES[r.outcome]}`, more: "" })),
  ];
  return found.sort((a, b) => a.time - b.time);
}

const FEED = happenings();
const FEED_TIMES = FEED.map((item) => item.time);
