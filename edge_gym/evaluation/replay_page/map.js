// The map: places, links, nodes by load, and what is on its way.

const mapCanvas = document.getElementById("map");
const FLY_S = 0.45; // a dot is at least so long on its way, in seconds of the person who looks
const RIPPLE_S = 0.9;
let colours = {}, layout = null;

/** The colours of the style sheet, light or dark. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "card", "ink", "soft", "line", "track", "accent", "idle", "busy", "link", "site", "site-rim",
    "good", "late", "bad", "queue", "slow", "fore", "dead", "flow", "move", "message", "call"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

/** A colour between two of the form #rrggbb. */
function mix(from, to, share) {
  const part = (text, at) => parseInt(text.slice(at, at + 2), 16);
  const blend = [1, 3, 5].map((at) => Math.round(part(from, at) + (part(to, at) - part(from, at)) * share));
  return `rgb(${blend.join(",")})`;
}

/** A canvas in device pixels; its context works in CSS pixels. */
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

/** Where everything stands on a map of this size. */
function place(width, height) {
  const all = [...DATA.map.places, ...DATA.map.sites, ...DATA.map.nodes];
  const lows = [0, 1].map((axis) => Math.min(...all.map((xy) => xy[axis])));
  const highs = [0, 1].map((axis) => Math.max(...all.map((xy) => xy[axis])));
  const margin = Math.min(70, width / 7);
  const spans = [0, 1].map((axis) => Math.max(highs[axis] - lows[axis], 1e-6));
  const scales = [(width - 2 * margin) / spans[0], (height - 2 * margin) / spans[1]];
  const used = scales.map((scale) => Math.min(scale, 1.7 * Math.min(...scales))); // stretched, but to be recognised
  const at = ([x, y]) => [
    width / 2 + (x - (lows[0] + highs[0]) / 2) * used[0],
    height / 2 - (y - (lows[1] + highs[1]) / 2) * used[1],
  ];
  const nodes = DATA.map.nodes.map(at), mostSlots = Math.max(...DATA.names.slots);
  const biggest = Math.max(4, Math.min(21, width / 28, 190 / Math.sqrt(N)));
  const radii = DATA.names.slots.map((slots) => biggest * (0.65 + 0.35 * Math.sqrt(slots / mostSlots)));
  const sites = DATA.map.sites.map(at);
  makeRoom(nodes, radii, sites, width, height);
  return { width, height, nodes, radii, sites, places: DATA.map.places.map(at) };
}

/** Push nodes apart that would overlap: those at one place, and those upon a site. Of very many, some may. */
function makeRoom(nodes, radii, sites, width, height) {
  const rounds = N <= 300 ? 120 : 6, inside = (value, r, most) => Math.min(Math.max(value, r + 14), most - r - 14);
  for (let round = 0; round < rounds; round += 1) {
    for (let n = 0; n < N; n += 1) {
      for (const [x, y] of N <= 100 ? sites : []) {
        const dx = nodes[n][0] - x || 0.01, dy = nodes[n][1] - y, away = Math.hypot(dx, dy), wanted = radii[n] + 20;
        if (away >= wanted) continue;
        const push = (0.5 * (wanted - away)) / away;
        nodes[n] = [inside(nodes[n][0] + dx * push, radii[n], width), inside(nodes[n][1] + dy * push, radii[n], height)];
      }
      for (let m = 0; m < n; m += 1) {
        const dx = nodes[n][0] - nodes[m][0] || 0.01, dy = nodes[n][1] - nodes[m][1], away = Math.hypot(dx, dy);
        const lacking = radii[n] + radii[m] + (N > 100 ? 2 : 16) - away;
        if (lacking <= 0) continue;
        const push = (0.25 * lacking) / away;
        nodes[n] = [inside(nodes[n][0] + dx * push, radii[n], width), inside(nodes[n][1] + dy * push, radii[n], height)];
        nodes[m] = [inside(nodes[m][0] - dx * push, radii[m], width), inside(nodes[m][1] - dy * push, radii[m], height)];
      }
    }
  }
}

/** Draw the map at a time. `pace`: simulated seconds in a second of the person who looks. */
function drawMap(time, pace, selected) {
  const [context, width, height] = prepare(mapCanvas);
  if (!layout || layout.width !== width || layout.height !== height) layout = place(width, height);
  drawGround(context);
  drawRipples(context, time, pace);
  drawFlows(context, time, pace);
  const sample = sampleAt(time);
  for (let n = 0; n < N; n += 1) drawNode(context, n, sample, selected === n);
  drawSiteNames(context);
  drawMoves(context, time, pace);
}

/** Links and sites. */
function drawGround(context) {
  context.strokeStyle = colours.link;
  context.lineWidth = 1.4;
  context.beginPath();
  for (const [u, v] of DATA.map.links) {
    context.moveTo(...layout.places[u]);
    context.lineTo(...layout.places[v]);
  }
  context.stroke();
  layout.sites.forEach(([x, y]) => {
    const radius = N > 200 ? 4 : 9;
    context.beginPath();
    context.roundRect(x - radius, y - radius, 2 * radius, 2 * radius, 4);
    context.fillStyle = colours.site;
    context.strokeStyle = colours["site-rim"];
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
  });
}

/** Names of the sites, readable above whatever is there. */
function drawSiteNames(context) {
  if (layout.sites.length > 40) return;
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineJoin = "round";
  layout.sites.forEach(([x, y], s) => {
    const at = [DATA.names.sites[s], Math.min(Math.max(x, 34), layout.width - 34), y + 21];
    context.strokeStyle = colours.card;
    context.lineWidth = 3;
    context.strokeText(...at);
    context.fillStyle = colours.soft;
    context.fillText(...at);
  });
}

/** One node: filled by load, ring of busy slots, queue beside it, marks for gate, user and true speed. */
function drawNode(context, n, sample, isSelected) {
  const [x, y] = layout.nodes[n], r = layout.radii[n];
  const value = (name) => NODES[name][n][sample];
  const load = Math.min(value("running") / DATA.names.slots[n], 1);
  const ring = (radius, colour, width, from = 0, to = 2 * Math.PI) => {
    context.beginPath();
    context.arc(x, y, radius, from, to);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  };
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  context.fillStyle = value("alive") ? mix(colours.idle, colours.busy, 0.75 * load) : colours.track;
  context.fill();
  if (!value("alive")) context.setLineDash([3, 3]);
  ring(r, value("alive") ? colours.soft : colours.dead, 1.2);
  context.setLineDash([]);
  if (value("alive") && load > 0) ring(r, colours.busy, 3, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * load);
  if (value("alive") && value("speed") < 750) {
    ring(r + 4, colours.slow, 3, Math.PI / 2, Math.PI / 2 + 2 * Math.PI * (1 - value("speed") / 1000));
  }
  if (value("gate") > 0) drawGate(context, x, y, r, value("gate"));
  if (value("foreground")) disc(context, x - 0.78 * r, y - 0.78 * r, Math.max(r / 4, 3), colours.fore);
  const waiting = value("queued");
  if (waiting > 0) {
    const tall = Math.min(waiting, 30) * 1.1 + 3;
    context.fillStyle = colours.queue;
    context.fillRect(x + r + 3, y + r - tall, 4.5, tall);
  }
  if (isSelected) ring(r + 7, colours.accent, 2);
  drawLabels(context, n, x, y, r, load, sample);
}

/** Number of the node, and of its agents. */
function drawLabels(context, n, x, y, r, load, sample) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  if (r >= 8) {
    context.font = `600 ${r > 13 ? 11 : 9}px system-ui, sans-serif`;
    context.fillStyle = !NODES.alive[n][sample] ? colours.dead : load > 0.6 ? colours.card : colours.ink;
    context.fillText(NODES.alive[n][sample] ? String(n) : "×", x, y + 0.5);
  }
  const agents = NODES.agents[n][sample];
  if (agents > 0 && r >= 6) {
    context.font = "600 9px system-ui, sans-serif";
    const half = 5 + 2.5 * String(agents).length;
    context.fillStyle = colours.move;
    context.beginPath();
    context.roundRect(x - half, y + r - 3, 2 * half, 12, 6);
    context.fill();
    context.fillStyle = colours.card;
    context.fillText(String(agents), x, y + r + 3.5);
  }
  context.textBaseline = "alphabetic";
}

/** A gate: caution is a dashed ring, closed a whole one with a bar. */
function drawGate(context, x, y, r, level) {
  const closed = level === GATES.indexOf("closed");
  context.strokeStyle = closed ? colours.bad : colours.late;
  context.lineWidth = closed ? 2.6 : 2;
  context.setLineDash(closed ? [] : [4, 3]);
  context.beginPath();
  context.arc(x, y, r + 1.5, 0, 2 * Math.PI);
  if (closed) {
    context.moveTo(x - 0.7 * r, y + 0.7 * r);
    context.lineTo(x + 0.7 * r, y - 0.7 * r);
  }
  context.stroke();
  context.setLineDash([]);
}

function disc(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

/** A point on the bent way between two others, share 0 ... 1. */
function along([x, y], [u, v], share) {
  const bend = 0.14, cx = (x + u) / 2 + bend * (y - v), cy = (y + v) / 2 + bend * (u - x), rest = 1 - share;
  return [rest * rest * x + 2 * rest * share * cx + share * share * u, rest * rest * y + 2 * rest * share * cy + share * share * v];
}

/** Requests on their way to a node, and responses on their way back. Dots are slower than messages are. */
function drawFlows(context, time, pace) {
  const fly = FLY_S * pace, from = countUpTo(ARRIVALS, time - LONGEST - fly), until = countUpTo(ARRIVALS, time);
  for (let k = from; k < until; k += 1) {
    const request = REQUESTS[k];
    if (request.node < 0 || request.dispatch > time) continue;
    const site = layout.sites[request.site], node = layout.nodes[request.node];
    const out = (time - request.dispatch) / Math.max(request.delay, fly);
    const back = (time - request.finish) / fly + 1;
    if (out <= 1) drawDot(context, site, node, out, colours.flow, 2.8);
    else if (back >= 0 && back <= 1) drawDot(context, node, site, back, colours[fate(request)], 2.4);
  }
}

/** A dot with a tail. */
function drawDot(context, from, to, share, colour, radius) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.globalAlpha = 0.4;
  context.beginPath();
  context.moveTo(...along(from, to, Math.max(share - 0.22, 0)));
  context.lineTo(...along(from, to, share));
  context.stroke();
  context.globalAlpha = 1;
  disc(context, ...along(from, to, share), radius, colour);
}

/** Agents that move or start. */
function drawMoves(context, time, pace) {
  for (const move of MOVES) {
    const end = Math.max(Math.min(move.end, END), move.begin + FLY_S * pace);
    if (time < move.begin || time > end || move.begin === 0) continue;
    const to = layout.nodes[move.target], from = move.source < 0 ? [to[0], to[1] - 60] : layout.nodes[move.source];
    context.strokeStyle = colours.move;
    context.lineWidth = 1.6;
    context.setLineDash([5, 4]);
    context.beginPath();
    for (let step = 0; step <= 12; step += 1) context.lineTo(...along(from, to, step / 12));
    context.stroke();
    context.setLineDash([]);
    const [x, y] = along(from, to, (time - move.begin) / (end - move.begin));
    context.fillStyle = colours.move;
    context.fillRect(x - 5, y - 5, 10, 10);
  }
}

/** A ring that grows around a node when a message about it comes, or a tool is called on it. */
function drawRipples(context, time, pace) {
  const span = RIPPLE_S * pace;
  for (let k = countUpTo(FEED_TIMES, time - span); k < countUpTo(FEED_TIMES, time); k += 1) {
    const { node, kind, time: when } = FEED[k];
    if (node < 0 || (kind !== "message" && kind !== "call")) continue;
    const age = (time - when) / span;
    context.globalAlpha = 0.8 * (1 - age);
    context.strokeStyle = colours[kind];
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...layout.nodes[node], layout.radii[node] + 3 + 13 * age, 0, 2 * Math.PI);
    context.stroke();
    context.globalAlpha = 1;
  }
}

/** The node under a point of the map, or -1. */
function nodeAt(x, y) {
  let found = -1, least = 12;
  layout.nodes.forEach(([u, v], n) => {
    const away = Math.hypot(x - u, y - v) - layout.radii[n];
    if (away < least) [found, least] = [n, away];
  });
  return found;
}
