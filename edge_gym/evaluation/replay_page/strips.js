// Two strips over the whole episode: the latency of every request, and every node's load. Drawn once, then only the cursor.

const latencyCanvas = document.getElementById("latency"), lanesCanvas = document.getElementById("lanes");
const LEFT = 46, RIGHT = 8, MOST_LANES = 64, LANE = 13;
const still = {}; // what does not move, for each strip
let lanes = [];

const xOf = (time, width) => LEFT + (time / END) * (width - LEFT - RIGHT);
const timeOf = (x, width) => Math.min(Math.max(((x - LEFT) / (width - LEFT - RIGHT)) * END, 0), END);

/** Latencies are drawn on a logarithmic scale between these. */
const latencies = REQUESTS.map((r) => r.latency).filter((value) => value > 0 && Number.isFinite(value));
const LOW = latencies.reduce((a, b) => Math.min(a, b), 1), HIGH = latencies.reduce((a, b) => Math.max(a, b), 1) * 1.15;
const yOf = (latency, height) => 6 + (height - 24) * (1 - Math.log(Math.max(latency, LOW) / LOW) / Math.log(Math.max(HIGH / LOW, 1.01)));

/** Draw a strip's still part into a canvas of its own. */
function layer(canvas, paint) {
  const copy = document.createElement("canvas"), ratio = window.devicePixelRatio || 1;
  copy.width = Math.round(canvas.clientWidth * ratio);
  copy.height = Math.round(canvas.clientHeight * ratio);
  const context = copy.getContext("2d");
  context.scale(ratio, ratio);
  paint(context, canvas.clientWidth, canvas.clientHeight);
  return copy;
}

/** Everything again: another size, or other colours. */
function refreshStrips() {
  lanes = chooseLanes();
  lanesCanvas.style.height = `${lanes.length * laneHeight() + 18}px`;
  still.latency = layer(latencyCanvas, paintLatency);
  still.lanes = layer(lanesCanvas, paintLanes);
}

const laneHeight = () => Math.max(Math.min(LANE, 420 / lanes.length), 5);

/** Numbers of the nodes that have a lane: all, or the busiest. */
function chooseLanes() {
  const all = Array.from({ length: N }, (_, n) => n);
  if (N <= MOST_LANES) return all;
  const use = all.map((n) => NODES.outstanding[n].reduce((sum, value) => sum + value, 0));
  return all.sort((a, b) => use[b] - use[a]).slice(0, MOST_LANES).sort((a, b) => a - b);
}

function axis(context, width, height) {
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((s) => (END / s) * 52 < width) || END;
  context.font = "10px system-ui, sans-serif";
  context.fillStyle = colours.soft;
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.textAlign = "center";
  for (let t = 0; t <= END; t += step) {
    const x = Math.round(xOf(t, width)) + 0.5;
    context.beginPath();
    context.moveTo(x, 4);
    context.lineTo(x, height - 15);
    context.stroke();
    context.fillText(`${t}`, x, height - 4);
  }
}

/** A dot for each request where it arrived; above, marks of what happened. */
function paintLatency(context, width, height) {
  axis(context, width, height);
  context.textAlign = "right";
  for (let exponent = -3; exponent <= 4; exponent += 1) {
    const value = 10 ** exponent;
    if (value < LOW || value > HIGH) continue;
    const y = yOf(value, height);
    context.fillStyle = colours.soft;
    context.fillText(value >= 1 ? `${value} s` : `${value * 1000} ms`, LEFT - 6, y + 3);
    context.fillStyle = colours.line;
    context.fillRect(LEFT, y, width - LEFT - RIGHT, 1);
  }
  context.globalAlpha = REQUESTS.length > 1500 ? 0.65 : 0.85;
  for (const kind of ["good", "late", "bad"]) {
    for (const request of REQUESTS) {
      if (fate(request) === kind) disc(context, xOf(request.arrive, width), yOf(request.latency, height), kind === "good" ? 1.5 : 2.1, colours[kind]);
    }
  }
  context.globalAlpha = 1;
  paintMean(context, width, height);
  for (const item of FEED) {
    const row = { change: 0, message: 5, call: 10 }[item.kind];
    if (row === undefined) continue;
    context.fillStyle = colours[item.kind === "change" ? "slow" : item.kind];
    context.fillRect(xOf(item.time, width) - 0.75, row, 1.5, 4);
  }
}

/** Mean latency of those that arrived within ten seconds (or a fiftieth of the episode). */
function paintMean(context, width, height) {
  const half = Math.max(5, END / 100);
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.6;
  context.beginPath();
  for (let x = LEFT; x < width - RIGHT; x += 3) {
    const time = timeOf(x, width), from = countUpTo(ARRIVALS, time - half), until = countUpTo(ARRIVALS, time + half);
    if (until - from < 3) continue;
    let sum = 0;
    for (let k = from; k < until; k += 1) sum += REQUESTS[k].latency;
    context.lineTo(x, yOf(sum / (until - from), height));
  }
  context.stroke();
}

/** A lane for each node: how full it is, when it is away or slow, and its gate. */
function paintLanes(context, width, height) {
  const tall = laneHeight(), columns = Math.floor(width - LEFT - RIGHT);
  axis(context, width, height);
  lanes.forEach((n, row) => {
    const y = row * tall;
    for (let column = 0; column < columns; column += 1) {
      paintCell(context, n, sampleAt((column / columns) * END), LEFT + column, y, tall - 1);
    }
    if (tall < 8) return;
    context.fillStyle = colours.soft;
    context.font = `${Math.min(tall - 2, 10)}px system-ui, sans-serif`;
    context.textAlign = "right";
    context.fillText(String(n), LEFT - 6, y + tall - 3);
  });
}

function paintCell(context, n, sample, x, y, tall) {
  const full = (NODES.running[n][sample] + NODES.queued[n][sample]) / DATA.names.slots[n];
  context.fillStyle = full <= 1 ? mix(colours.track, colours.busy, 0.85 * full) : mix(colours.busy, colours.queue, Math.min((full - 1) / 2, 1));
  if (!NODES.alive[n][sample]) context.fillStyle = (x + y) % 4 < 2 ? colours.dead : colours.card;
  context.fillRect(x, y, 1, tall);
  if (NODES.alive[n][sample] && NODES.speed[n][sample] < 750) {
    context.fillStyle = colours.slow;
    context.fillRect(x, y + tall - 2.5, 1, 2.5);
  }
  if (NODES.gate[n][sample] > 0) {
    context.fillStyle = NODES.gate[n][sample] === GATES.indexOf("closed") ? colours.bad : colours.late;
    context.fillRect(x, y, 1, 2);
  }
}

/** The still part, what is to come veiled, and the cursor. */
function drawStrip(canvas, copy, time) {
  if (!copy.width || !copy.height) return; // the window has no size just now
  const [context, width, height] = prepare(canvas);
  context.drawImage(copy, 0, 0, width, height);
  const x = xOf(time, width);
  context.globalAlpha = 0.5;
  context.fillStyle = colours.card;
  context.fillRect(x, 0, width - x, height - 14);
  context.globalAlpha = 1;
  context.fillStyle = colours.accent;
  context.fillRect(x - 1, 0, 2, height - 14);
}

function drawStrips(time, selectedRequest) {
  drawStrip(latencyCanvas, still.latency, time);
  drawStrip(lanesCanvas, still.lanes, time);
  if (selectedRequest === null) return;
  const context = latencyCanvas.getContext("2d"), request = REQUESTS[selectedRequest];
  context.strokeStyle = colours.accent;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(xOf(request.arrive, latencyCanvas.clientWidth), yOf(request.latency, latencyCanvas.clientHeight), 6, 0, 2 * Math.PI);
  context.stroke();
}

/** The request whose dot is near a point, or -1. */
function requestAt(x, y) {
  let found = -1, least = 9;
  for (const request of REQUESTS) {
    const away = Math.hypot(xOf(request.arrive, latencyCanvas.clientWidth) - x, yOf(request.latency, latencyCanvas.clientHeight) - y);
    if (away < least) [found, least] = [request.k, away];
  }
  return found;
}
