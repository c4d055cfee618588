// The page: time, controls, figures, the feed and the stories. All text is inserted as text.

const PACES = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];
const MOST_FEED = 60, MOST_LINES = 60;
const count = (value) => value.toLocaleString("en");
const by = (id) => document.getElementById(id);
const state = { time: 0, pace: 4, playing: false, node: -1, request: null, shown: -1, before: 0 };

/** A new element with text in it. */
function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.dataset.kind = kind;
  return made;
}

/** Fill a list of terms; values are text. */
function fill(list, pairs) {
  list.replaceChildren(...pairs.map(([term, value]) => {
    const group = document.createElement("div");
    group.append(element("dt", term), element("dd", value));
    return group;
  }));
}

function showHead() {
  const { about, metrics } = DATA, star = about.privileged ? " (sees what no real router can see)" : "";
  by("title").textContent = `${about.policy}${star}`;
  by("subtitle").textContent = `${about.task} / ${about.scenario}, seed ${about.seed}, ${clock(END)}, ${REQUESTS.length} requests`;
  document.title = `edge_gym replay: ${about.policy} on ${about.scenario}`;
  const known = [["mean latency", "latency_mean_s", (v) => `${figure(v)} s`], ["P95", "latency_p95_s", (v) => `${figure(v)} s`],
    ["in time", "slo_attainment", percent], ["not served", "drop_share", percent], ["stutter", "stutter_share", percent],
    ["tool calls", "tool_calls", count], ["placed", "agents.placed", count], ["moves", "agents.moves", count],
    ["down", "agents.downtime_mean_s", (v) => `${figure(v)} s`], ["cost", "cost_usd", (v) => `${figure(v)} $`]];
  fill(by("metrics"), known.filter(([, name]) => metrics[name] !== null && metrics[name] !== undefined)
    .filter(([, name]) => metrics[name] > 0 || !["tool_calls", "agents.moves", "agents.downtime_mean_s"].includes(name))
    .map(([term, name, show]) => [term, show(metrics[name])]));
  fill(by("notes"), Object.entries(about.notes));
}

/** What counts now. */
function showNow() {
  const arrived = countUpTo(ARRIVALS, state.time), done = countUpTo(FINISHES, state.time);
  const recent = FINISHED.slice(countUpTo(FINISHES, state.time - 10), done), sample = sampleAt(state.time);
  const total = (name) => NODES[name].reduce((sum, column) => sum + column[sample], 0);
  const mean = recent.length ? recent.reduce((sum, r) => sum + r.finish - r.arrive, 0) / recent.length : NaN;
  const at = Math.max(countUpTo(DATA.rewards.time, state.time / DATA.tick_s) - 1, 0);
  const value = DATA.rewards.terms[at].reduce((sum, term, k) => sum + term * DATA.names.weights[k], 0);
  const pairs = [["arrived", count(arrived)], ["delivered", count(done)], ["running", count(total("running"))],
    ["queued", count(total("queued"))], ["mean latency, last 10 s", Number.isFinite(mean) ? `${figure(mean)} s` : "-"],
    ["late, last 10 s", count(recent.filter((r) => r.late).length)], ["away", count(N - total("alive"))],
    ["return so far", figure(value)]];
  if (DATA.agents.length) pairs.push(["agents", count(total("agents"))]);
  if (DATA.calls.length) pairs.push(["gates not open", count(NODES.gate.filter((column) => column[sample] > 0).length)]);
  fill(by("now"), pairs);
}

/** A line of the feed or of a story. */
function line(item) {
  const made = element("li", "", item.kind);
  made.append(element("time", clock(item.time)), element("span", item.text));
  if (item.more) made.append(element("small", item.more));
  if (item.request !== undefined) made.dataset.request = item.request;
  else if (item.node >= 0) made.dataset.node = item.node;
  return made;
}

function showFeed() {
  const until = countUpTo(FEED_TIMES, state.time);
  if (until === state.shown) return;
  state.shown = until;
  const lines = FEED.slice(Math.max(until - MOST_FEED, 0), until).reverse().map(line);
  by("feed").replaceChildren(...(lines.length ? lines : [element("li", "Nothing has been said or done yet.")]));
}

/** The story of a node: how it is now, and what happened to it so far. */
function nodeStory(n) {
  const sample = sampleAt(state.time), value = (name) => NODES[name][n][sample];
  const models = DATA.names.models.filter((_, m) => (value("resident") >> (2 * m)) & 2);
  const facts = [["type", DATA.names.types[n]], ["running", `${value("running")} of ${DATA.names.slots[n]}`],
    ["queued", count(value("queued"))], ["true speed", percent(value("speed") / 1000)], ["gate", GATES[value("gate")]],
    ["user", value("foreground") ? "in the foreground" : "not in the way"], ["there", value("alive") ? "yes" : "no"],
    ["models", models.join(", ") || "none"]];
  if (DATA.agents.length) facts.push(["agents", count(value("agents"))]);
  const own = FEED.filter((item) => (item.node === n || item.from === n) && item.time <= state.time);
  const sent = REQUESTS.filter((r) => r.node === n && r.dispatch <= state.time).slice(-12).map((r) => ({
    time: r.dispatch, request: r.k, kind: fate(r) === "bad" ? "bad" : "",
    text: `request ${r.id}, ${DATA.names.models[r.model]}, from ${DATA.names.sites[r.site]}`,
    more: r.finish <= state.time ? `delivered after ${figure(r.finish - r.arrive)} s${r.late ? ", late" : ""}` : "under way" }));
  const lines = [...own, ...sent].sort((a, b) => b.time - a.time).slice(0, MOST_LINES);
  return [DATA.names.nodes[n], facts, lines];
}

/** The story of a request, from arrival to delivery. */
function requestStory(k) {
  const r = REQUESTS[k], name = DATA.names;
  const facts = [["model", name.models[r.model]], ["prompt", count(r.prompt)], ["output", count(r.units)],
    ["latency", `${figure(r.latency)} s`], ["deadline", `${figure(name.deadlines[r.model] * DATA.tick_s)} s`],
    ["outcome", r.served ? (r.late ? "late" : "in time") : OUTCOMES[r.outcome]], ["came back", `${r.retries} times`]];
  const node = r.node >= 0 ? name.nodes[r.node] : "no node";
  const steps = [[r.arrive, `arrives at ${name.sites[r.site]}`, ""],
    [r.dispatch, `is sent to ${node}`, r.retries ? "its last dispatch; before, it came back from nodes that left" : ""],
    [r.start, `is served by ${node}`, `after ${figure(r.start - r.dispatch)} s on the way and in the queue`],
    [r.first, "first unit of its output", ""],
    [r.finish, "is delivered", r.stutter & 2 ? "its node's user was in the foreground meanwhile" : r.stutter ? "it stuttered" : ""]];
  const lines = steps.filter(([time]) => Number.isFinite(time) && time >= r.arrive)
    .map(([time, text, more]) => ({ time, node: r.node, kind: "", text, more }));
  return [`request ${r.id}`, facts, r.served ? lines : lines.slice(0, 2)];
}

function showStory() {
  const story = state.request !== null ? requestStory(state.request) : state.node >= 0 ? nodeStory(state.node) : null;
  by("story").hidden = story === null;
  if (story === null) return;
  by("story-title").textContent = story[0];
  fill(by("story-facts"), story[1]);
  by("story-lines").replaceChildren(...story[2].map(line));
}

/** Everything at the present time. */
function show(all = true) {
  drawMap(state.time, state.pace, state.request === null ? state.node : REQUESTS[state.request].node);
  drawStrips(state.time, state.request);
  by("clock").textContent = clock(state.time);
  by("slider").value = String(Math.round((1000 * state.time) / END));
  by("slider").setAttribute("aria-valuetext", clock(state.time));
  if (!all) return;
  showNow();
  showFeed();
  showStory();
}

function seek(time) {
  state.time = Math.min(Math.max(time, 0), END);
  show();
}

function select(node, request = null) {
  [state.node, state.request] = [node, request];
  by("pick").value = String(request === null ? node : -1);
  show();
}

function play(on) {
  state.playing = on;
  if (on && state.time >= END) state.time = 0;
  by("play").textContent = on ? "❚❚" : "▶";
  by("play").setAttribute("aria-label", on ? "Pause" : "Play");
  state.before = performance.now();
  if (on) requestAnimationFrame(frame);
}

let wrote = 0;
function frame(moment) {
  if (!state.playing) return;
  state.time += (Math.min(Math.max(moment - state.before, 0), 200) / 1000) * state.pace;
  state.before = moment;
  if (state.time >= END) {
    state.time = END;
    play(false);
    show();
    return;
  }
  const all = moment - wrote > 200; // text that changes faster cannot be read
  if (all) wrote = moment;
  show(all);
  requestAnimationFrame(frame);
}

function setPace(pace) {
  state.pace = pace;
  by("speed").value = String(pace);
}

function onKey(event) {
  if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.shiftKey ? 10 : 1, at = PACES.indexOf(state.pace);
  const deeds = {
    " ": () => play(!state.playing), ArrowLeft: () => seek(state.time - step), ArrowRight: () => seek(state.time + step),
    Home: () => seek(0), End: () => seek(END), Escape: () => select(-1),
    "+": () => setPace(PACES[Math.min(at + 1, PACES.length - 1)]), "-": () => setPace(PACES[Math.max(at - 1, 0)]),
  };
  if (!deeds[event.key] || (event.key === " " && event.target.tagName === "BUTTON")) return;
  event.preventDefault();
  deeds[event.key]();
}

function onLine(event) {
  const item = event.target.closest("li");
  if (!item) return;
  if (item.dataset.request !== undefined) select(-1, Number(item.dataset.request));
  else if (item.dataset.node !== undefined) select(Number(item.dataset.node));
}

/** What the marks mean. */
function showKeys() {
  const item = ([text, fillName, rim, shape]) => {
    const made = document.createElement("span"), mark = document.createElement("i");
    if (fillName) mark.style.background = colours[fillName];
    if (rim) mark.style.borderColor = colours[rim];
    if (shape === "dashed") mark.style.borderStyle = "dashed";
    if (shape === "bar") mark.dataset.bar = "1";
    made.append(mark, document.createTextNode(text));
    return made;
  };
  const has = (name, is = (value) => value > 0) => NODES[name].some((column) => column.some(is));
  const marks = [["busy", "busy"], ["idle", "idle", "soft"], ["queue", "queue", "", "bar"], ["request", "flow"],
    ["answer in time", "good"], ["late", "late"]];
  if (has("speed", (value) => value < 750)) marks.push(["truly slow", "", "slow"]);
  if (has("alive", (value) => value === 0)) marks.push(["away", "track", "dead", "dashed"]);
  if (has("gate")) marks.push(["caution", "", "late", "dashed"], ["closed", "", "bad"]);
  if (has("foreground")) marks.push(["its user is busy with it", "fore"]);
  if (DATA.messages.length) marks.push(["message", "", "message"]);
  if (DATA.calls.length) marks.push(["tool call", "", "call"]);
  if (DATA.agents.length) marks.push(["agents", "move"]);
  by("legend").replaceChildren(...marks.map(item));
  const strip = [["in time", "good"], ["late", "late"], ["not served", "bad"], ["mean", "ink", "", "bar"]];
  if (FEED.some((happened) => happened.kind === "change")) strip.push(["true change", "slow", "", "bar"]);
  if (DATA.messages.length) strip.push(["message", "message", "", "bar"]);
  if (DATA.calls.length) strip.push(["tool call", "call", "", "bar"]);
  by("key").replaceChildren(element("span", "Above: latency of each request where it arrived. Below: load of each node" +
    (N > MOST_LANES ? ` (the ${MOST_LANES} busiest).` : ".")), ...strip.map(item));
}

/** Size or colours have changed. */
function refresh() {
  readColours();
  layout = null;
  refreshStrips();
  showKeys();
  show();
}

function option(value, text) {
  const made = element("option", text);
  made.value = String(value);
  return made;
}

function begin() {
  by("speed").append(...PACES.map((pace) => option(pace, `${pace} x`)));
  by("pick").append(option(-1, "none"), ...DATA.names.nodes.map((name, n) => option(n, name)));
  setPace(PACES.find((pace) => END / pace <= 60) || PACES[PACES.length - 1]);
  showHead();
  const wanted = new URLSearchParams(location.hash.slice(1)), node = Number(wanted.get("node") ?? -1);
  state.time = Math.min(Math.max(Number(wanted.get("t")) || 0, 0), END);
  state.node = Number.isInteger(node) && node >= 0 && node < N ? node : -1;
  by("pick").value = String(state.node);
  refresh();
  by("play").addEventListener("click", () => play(!state.playing));
  by("slider").addEventListener("input", () => seek((by("slider").value / 1000) * END));
  by("speed").addEventListener("change", () => setPace(Number(by("speed").value)));
  by("pick").addEventListener("change", () => select(Number(by("pick").value)));
  by("story-close").addEventListener("click", () => select(-1));
  for (const id of ["feed", "story-lines"]) by(id).addEventListener("click", onLine);
  mapCanvas.addEventListener("click", (event) => select(nodeAt(event.offsetX, event.offsetY)));
  latencyCanvas.addEventListener("click", (event) => {
    const found = requestAt(event.offsetX, event.offsetY);
    if (found >= 0) select(-1, found);
    else seek(timeOf(event.offsetX, latencyCanvas.clientWidth));
  });
  lanesCanvas.addEventListener("click", (event) => {
    const row = Math.floor(event.offsetY / laneHeight());
    state.time = timeOf(event.offsetX, lanesCanvas.clientWidth);
    select(row < lanes.length ? lanes[row] : -1);
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", refresh);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
}

begin();
