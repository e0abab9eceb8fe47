// The ring as this node has it: nodes on it joined by a line, nodes it has known and does not reach drawn dashed.

import { byId, element, plural, say, shape } from "./dom.js";

const CENTRE = { x: 160, y: 98 };
const NODE = 22;

export function showRing(state) {
  const places = new Map(state.nodes.map((node, index) => [node, place(index, state)]));
  const ring = state.ring.nodes.map((node) => places.get(node));
  const edge = shape("polygon", { class: "edge", points: ring.map(({ x, y }) => `${x},${y}`).join(" ") });
  byId("ring").replaceChildren(edge, ...state.nodes.map((node) => drawn(node, places.get(node), state)));
  say(byId("ring-text"), inWords(state));
}

// On a circle, clockwise from the top; a node that is away stands further out, to the side.
function place(index, state) {
  const count = state.nodes.length;
  const angle = (2 * Math.PI * index) / count - Math.PI / 2;
  const isAway = !state.ring.nodes.includes(state.nodes[index]);
  const wide = count === 1 ? 0 : isAway ? 115 : 80;
  const high = count === 1 ? 0 : 66;
  return { x: CENTRE.x + wide * Math.cos(angle), y: CENTRE.y + high * Math.sin(angle) };
}

function drawn(node, { x, y }, state) {
  const members = state.members.filter((member) => member.node === node);
  const classes = [state.ring.nodes.includes(node) ? "" : "away", members.some((m) => m.address === state.me) ? "here" : ""];
  const dots = members.map((_, index) =>
    shape("circle", { class: "member", cx: x + 9 * (index - (members.length - 1) / 2), cy: y + 10, r: 3 }),
  );
  const circle = shape("circle", { class: "node", cx: x, cy: y, r: NODE });
  return shape("g", { class: classes.join(" ") }, circle, shape("text", { x, y: y + 3 }, String(node)), ...dots);
}

function inWords({ nodes, ring, connected }) {
  if (!connected) {
    return "This node's daemon is gone; the page shows what was known.";
  }
  const away = nodes.filter((node) => !ring.nodes.includes(node));
  const here = `Ring ${ring.id} of ${plural(ring.nodes.length, "node")}: ${ring.nodes.join(", ")}.`;
  if (!away.length) {
    return here;
  }
  const side = 2 * ring.nodes.length > nodes.length ? "the larger side" : "not a majority";
  return `${here} Down or cut off: ${away.join(", ")}; this is ${side}.`;
}

// Buttons that cut a node off, where whoever started this instance can do that.
export function showNetwork(state, cut) {
  const group = byId("network");
  group.hidden = !state.network;
  if (!state.network || group.childElementCount === state.nodes.length + 1) {
    return; // as it was: a button that is made anew loses the focus
  }
  const buttons = state.nodes.map((node) => button(`Cut off node ${node}`, () => cut([node])));
  group.replaceChildren(...buttons, button("Heal", () => cut([])));
}

function button(text, onClick) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", onClick);
  return made;
}
