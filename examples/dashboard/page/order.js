// The list of all that was read, in the order, and what the members say when they compare it.

import { byId, element, plural, say } from "./dom.js";

const KEPT = 300; // entries; as many as the server remembers
const PAUSE = 50; // milliseconds in which entries are gathered: a thousand of them are drawn at once

let waiting = [];

export function beginOrder(entries) {
  waiting = [];
  byId("order").replaceChildren(...entries.map(item));
  byId("scroll").scrollTop = byId("scroll").scrollHeight;
}

export function addEntry(entry) {
  waiting.push(entry);
  if (waiting.length === 1) {
    setTimeout(draw, PAUSE);
  }
}

function draw() {
  const scroll = byId("scroll");
  const list = byId("order");
  const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  const entries = waiting;
  waiting = [];
  list.append(...entries.slice(-KEPT).map(item));
  while (list.childElementCount > KEPT) {
    list.firstElementChild.remove();
  }
  if (isAtEnd) {
    scroll.scrollTop = scroll.scrollHeight;
  }
  announce(entries);
}

// To a screen reader, a short word for many lines: reading out each of a hundred would take a minute.
function announce(entries) {
  const lines = entries.filter((entry) => entry.kind === "line");
  if (lines.length === 1) {
    say(byId("news"), `${lines[0].name} says ${lines[0].text}`);
  } else if (lines.length) {
    say(byId("news"), `${lines.length} new lines`);
  }
}

function item(entry) {
  return { line, view, gap }[entry.kind](entry);
}

function line({ number, name, text }) {
  const place = element("span", { class: "place" }, String(number));
  return element("li", { class: "line" }, place, element("span", { class: "who" }, name), element("span", {}, text));
}

function view({ ring, members, joined, left }) {
  const came = joined.map(([who, why]) => `${who} came (${why})`);
  const went = left.map(([who, why]) => `${who} went (${why})`);
  const text = `View on ring ${ring} of ${members.join(", ")}. ${[...went, ...came].join(", ")}`;
  return element("li", { class: "view" }, text);
}

function gap({ reason }) {
  return element("li", { class: "gap" }, `Gap: ${reason}`);
}

export function showCheck(check) {
  if (!check) {
    say(byId("check"), "Nothing has been compared in this view yet");
    byId("answers").replaceChildren();
    return;
  }
  const [text, kind] = verdict(check);
  say(byId("check"), text, kind);
  const answers = check.answers.map(({ name, count, digest }) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, `${count} · ${digest}`)),
  );
  byId("answers").replaceChildren(...answers);
}

function verdict({ count, same, missing, answers }) {
  if (missing.length) {
    return [`Comparing; ${missing.join(", ")} still to answer`, ""];
  }
  if (answers.length === 1) {
    return [`Alone, with ${plural(count, "line")} and nobody to compare with`, ""];
  }
  return same
    ? [`All have read the same ${plural(count, "line")} in the same order`, "good"]
    : ["The members have read different lines", "bad"];
}
