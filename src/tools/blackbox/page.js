// SPDX-License-Identifier: BSD-3-Clause
// The plots of `leatctl blackbox html`: box holds the connections' rows, uPlot draws them.
"use strict";

// Columns of a row, in html.c's order.
const [T, SN, EVENT, STATE, UNA, MAX, CWND, SSTHRESH, WND, SRTT, RTTVAR, RXB, TXREADY, TXQUEUED, ISS, LEN, FLEX1, BW, FLEX8, TIMER,
  FLEX2, SEQ, ACK, SEGWND, FLAGS, SACK] = Array(26).keys();
const IN = 1, OUT = 2, RTO = 3, SPURIOUS = 5, ENTREC = 15, EXITREC = 16, RTT = 47, CONNEND = 54;
const TIME_WAIT = 10, SYN = 2, HAS_ACK = 16, NO_SSTHRESH = 0x3fffffff;
const MARKS = {[SPURIOUS]: "#8a2be2", [ENTREC]: "#d97706", [EXITREC]: "#2e7d32", [CONNEND]: "#333"};
const colour = {sent: "#1565c0", again: "#c62828", acked: "#2e7d32", sacked: "#00897b", edge: "#9e9e9e", timeout: "#c62828"};

// Sequence numbers as distances from the first one, however often they wrap: each lies within 2 GiB of the one before.
function unwrapper(base) {
  let last = 0;
  return seq => {
    const near = (seq - base - last) | 0;
    last += near;
    return last;
  };
}

function derive(rows) {
  const n = rows.length, column = () => new Array(n).fill(null);
  const d = {t: column(), sent: column(), again: column(), acked: column(), edge: column(), cwnd: column(), ssthresh: column(),
    flight: column(), wnd: column(), rtt: column(), srtt: column(), rto: column(), rate: column(), pacing: column(),
    queued: column(), ready: column(), unread: column(), bars: [], sacks: [], marks: []};
  if (n === 0) return d;
  const ours = unwrapper(rows[0][ISS]);
  for (let i = 0, from = 0; i < n; i++) {
    const r = rows[i], live = r[STATE] >= 4;
    d.t[i] = r[T];
    const una = r[STATE] >= 3 ? ours(r[UNA]) : null;
    const of = seq => una + ((seq - r[UNA]) | 0);
    if (r[EVENT] === OUT && r[LEN] > 0 && una !== null) {
      const again = r[FLEX8] === 1, start = of(r[SEQ]);
      (again ? d.again : d.sent)[i] = start + r[LEN];
      d.bars.push([r[T], start, start + r[LEN], again]);
    }
    if (r[EVENT] === IN && una !== null && (r[FLAGS] & HAS_ACK) && !(r[FLAGS] & SYN)) {
      d.acked[i] = Math.max(una, of(r[ACK]));
      d.edge[i] = of(r[ACK]) + r[SEGWND];
      for (let k = 0; k < r[SACK].length; k += 2) d.sacks.push([r[T], of(r[SACK][k]), of(r[SACK][k + 1])]);
    }
    if (live) {
      d.cwnd[i] = r[CWND];
      d.ssthresh[i] = r[SSTHRESH] < NO_SSTHRESH ? r[SSTHRESH] : null;
      d.flight[i] = (r[MAX] - r[UNA]) >>> 0;
      d.wnd[i] = r[WND];
      d.srtt[i] = r[SRTT] / 1000;
      d.queued[i] = r[TXQUEUED];
      d.ready[i] = r[TXREADY];
      d.unread[i] = r[RXB];
      if (r[BW]) d.pacing[i] = r[BW] * 8 / 1e6;
    }
    if (r[EVENT] === RTT) {
      d.rtt[i] = r[FLEX1] / 1000;
      if (r[FLEX2]) d.rto[i] = r[FLEX2] / 1000;
    }
    if (r[EVENT] === RTO && r[TIMER] === 0) d.marks.push([r[T], colour.timeout]);
    if (MARKS[r[EVENT]]) d.marks.push([r[T], MARKS[r[EVENT]]]);
    // Delivery: what was acknowledged within the round trip (50 ms at least) that ends here.
    if (d.acked[i] !== null) {
      const span = Math.max(0.05, r[SRTT] / 1e6);
      while (from < i && (d.acked[from] === null || d.t[from] < r[T] - span)) from++;
      const dt = r[T] - d.t[from];
      if (dt > 0) d.rate[i] = (d.acked[i] - d.acked[from]) * 8 / dt / 1e6;
    }
  }
  return d;
}

const sync = uPlot.sync("box");
const bytes = v => v == null ? "" : v >= 1e6 ? (v / 1e6).toFixed(2) + " MB" : v >= 1e3 ? (v / 1e3).toFixed(1) + " kB" : v + " B";
const line = (label, stroke, more) => ({label, stroke, width: 1.5, spanGaps: true, points: {show: false}, ...more});
const step = (label, stroke, more) => line(label, stroke, {paths: uPlot.paths.stepped({align: 1}), ...more});
const dots = (label, stroke, more) => ({label, stroke, paths: () => null, points: {show: true, size: 4, fill: stroke}, ...more});

function vertical(u, x, from, to, stroke, width) {
  const px = Math.round(u.valToPos(x, "x", true));
  if (px < u.bbox.left || px > u.bbox.left + u.bbox.width) return;
  u.ctx.strokeStyle = stroke;
  u.ctx.lineWidth = width;
  u.ctx.beginPath();
  u.ctx.moveTo(px, from);
  u.ctx.lineTo(px, to);
  u.ctx.stroke();
}

function drawn(d, segments) {
  return u => {
    const ctx = u.ctx;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    for (const [x, stroke] of d.marks) vertical(u, x, u.bbox.top, u.bbox.top + 10 * devicePixelRatio, stroke, 2);
    if (segments) {
      const y = v => u.valToPos(v, "y", true);
      for (const [x, start, end] of d.sacks) vertical(u, x, y(start), y(end), colour.sacked, 1);
      for (const [x, start, end, again] of d.bars) vertical(u, x, y(start), y(end), again ? colour.again : colour.sent, again ? 3 : 2);
    }
    ctx.restore();
  };
}

function plot(title, height, unit, columns, series, d, segments) {
  const options = {
    title, height, width: document.body.clientWidth - 48,
    cursor: {sync: {key: sync.key, scales: ["x", null]}, drag: {x: true, y: false}},
    scales: {x: {time: false}},
    axes: [{values: (u, v) => v.map(x => x + " s")}, {size: 80, values: (u, v) => v.map(unit)}],
    series: [{label: "time", value: (u, v) => v == null ? "" : v.toFixed(6) + " s"},
      ...series.map(s => ({value: (u, v) => v == null ? "" : unit(v), ...s}))],
    hooks: {draw: [drawn(d, segments)], setScale: [follow]},
  };
  return new uPlot(options, [d.t, ...columns.map(c => d[c])], document.getElementById("plots"));
}

let plots = [], following = false;
function follow(u, key) {
  if (key !== "x" || following) return;
  following = true;
  const {min, max} = u.scales.x;
  for (const p of plots) if (p !== u) p.setScale("x", {min, max});
  following = false;
}

function listEvents(c, rows) {
  const table = document.createElement("table"), most = 2000;
  rows.slice(0, most).forEach(r => {
    const tr = table.insertRow();
    [r[T].toFixed(6), r[SN], box.names[r[EVENT]] || r[EVENT], "cwnd " + r[CWND], "flight " + ((r[MAX] - r[UNA]) >>> 0),
      r[LEN] ? r[LEN] + " bytes" : "", r[EVENT] === OUT && r[FLEX8] === 1 ? "retransmitted" : ""]
      .forEach(text => { tr.insertCell().textContent = text; });
    if ((r[EVENT] === RTO && r[TIMER] === 0) || r[EVENT] === ENTREC || (r[EVENT] === OUT && r[FLEX8] === 1)) tr.className = "bad";
    tr.onclick = () => plots.forEach(p => p.setScale("x", {min: r[T] - 0.05, max: r[T] + 0.05}));
  });
  const events = document.getElementById("events");
  events.replaceChildren(table);
  if (rows.length > most) events.append(`and ${rows.length - most} more: leatctl blackbox show`);
}

function show(c) {
  const d = derive(c.rows), mbit = v => v.toFixed(v < 10 ? 2 : 0) + " Mbit/s", ms = v => v.toFixed(v < 10 ? 2 : 0) + " ms";
  const last = c.rows.length ? c.rows[c.rows.length - 1][T] - c.rows[0][T] : 0;
  document.getElementById("facts").textContent = `id ${c.id}, stack ${c.stack}, ${c.rows.length} events in ${last.toFixed(3)} s` +
    (c.missing ? `, ${c.missing} missing` : "") + (c.left_out ? `, ${c.left_out} left out at the end` : "");
  plots.forEach(p => p.destroy());
  plots = [];
  plots = [
    plot("Time and sequence", 380, bytes, ["sent", "again", "acked", "edge"],
      [dots("sent", colour.sent), dots("retransmitted", colour.again), step("acknowledged", colour.acked),
        step("window", colour.edge)], d, true),
    plot("Windows", 240, bytes, ["cwnd", "ssthresh", "flight", "wnd"],
      [step("cwnd", "#1565c0"), step("ssthresh", "#d97706", {dash: [6, 4]}), step("in flight", "#c62828", {width: 1}),
        step("receiver", colour.edge)], d),
    plot("Round trip", 200, ms, ["rtt", "srtt", "rto"],
      [dots("sample", "#1565c0"), step("smoothed", "#2e7d32"), step("RTO", "#d97706", {dash: [6, 4], show: false})], d),
    plot("Rate", 200, mbit, ["rate", "pacing"], [line("delivered", "#2e7d32"), step("paced", "#8a2be2")], d),
    plot("Buffers", 200, bytes, ["queued", "ready", "unread"],
      [step("queued to send", "#1565c0"), step("ready of it", "#00897b", {dash: [6, 4]}), step("unread", "#d97706")], d),
  ];
  listEvents(c, c.rows);
  // TIME-WAIT is long and empty: the page opens on what came before it.
  const busy = c.rows.filter(r => r[STATE] !== TIME_WAIT);
  if (busy.length > 1) plots[0].setScale("x", {min: busy[0][T], max: busy[busy.length - 1][T]});
}

const select = document.getElementById("connection");
box.connections.forEach((c, i) => select.add(new Option(c.name, i)));
select.onchange = () => show(box.connections[select.value]);
window.onresize = () => plots.forEach(p => p.setSize({width: document.body.clientWidth - 48, height: p.height}));
document.title = "Black box: " + box.file;
if (box.connections.length) show(box.connections[0]);
