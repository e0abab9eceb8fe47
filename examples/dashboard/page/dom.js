// Elements made from text, never from markup: what others have sent cannot become part of the page.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Live regions speak whenever they are written to, so they are written to when there is something new.
export function say(node, text, kind) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
  node.classList.toggle("good", kind === "good");
  node.classList.toggle("bad", kind === "bad");
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
