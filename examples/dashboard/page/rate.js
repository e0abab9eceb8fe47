// Lines per second of the last minute, by the server's clock.

import { byId, say, shape } from "./dom.js";

const SECONDS = 60;
const WIDTH = 320;
const TOP = 18;
const BASE = 132;

const counts = new Map();
let ahead = 0; // seconds that the server's clock is ahead of ours

export function beginRate({ now, rates }) {
  ahead = now - Date.now() / 1000;
  counts.clear();
  for (const [second, count] of rates) {
    counts.set(second, count);
  }
}

export function countLine(at) {
  const second = Math.floor(at);
  counts.set(second, (counts.get(second) ?? 0) + 1);
}

export function showRate() {
  const now = Math.floor(Date.now() / 1000 + ahead);
  const seconds = Array.from({ length: SECONDS }, (_, index) => counts.get(now - SECONDS + index) ?? 0);
  forgetBefore(now - SECONDS);
  const most = Math.max(...seconds);
  const points = seconds.map((count, index) => `${(index * WIDTH) / (SECONDS - 1)},${height(count, most)}`);
  byId("rate").replaceChildren(
    shape("line", { class: "base", x1: 0, x2: WIDTH, y1: BASE, y2: BASE }),
    shape("text", { class: "scale", x: 0, y: 10 }, `${most} per second`),
    shape("text", { class: "scale", x: 0, y: BASE + 14 }, "a minute ago"),
    shape("text", { class: "scale end", x: WIDTH, y: BASE + 14 }, "now"),
    shape("polyline", { class: "curve", points: points.join(" ") }),
  );
  say(byId("rate-text"), `${seconds.at(-1)} in the last second, at most ${most} in one second of the last minute.`);
}

const height = (count, most) => BASE - (most && (count * (BASE - TOP)) / most);

function forgetBefore(second) {
  for (const old of counts.keys()) {
    if (old < second) {
      counts.delete(old);
    }
  }
}
