// What the page sends: a line, a burst, a cut of the network. The order comes back by the stream.

import { byId, say } from "./dom.js";

// Sent with a line, so that a line that is sent again after a failure is shown once.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16)).join("");
}

async function post(path, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch((error) => ({ ok: false, text: () => String(error) }));
  if (!response.ok) {
    throw new Error(await response.text());
  }
  return response;
}

async function attempt(path, body, done) {
  const sent = byId("sent");
  say(sent, ""); // the same words twice would be read out once
  try {
    await post(path, body);
    say(sent, done, "");
    return true;
  } catch (error) {
    say(sent, `Not confirmed: ${error.message}`, "bad");
    return false;
  }
}

export const cut = (nodes) =>
  attempt("network", { alone: nodes }, nodes.length ? `Node ${nodes} is cut off` : "The network is whole");

export function watchForm() {
  const field = byId("text");
  let id = newId();
  field.addEventListener("input", () => {
    id = newId();
  });
  byId("say").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value;
    const isSent = await attempt("messages", { id, lines: [text] }, "Ordered, and back here");
    if (isSent && field.value === text) {
      field.value = "";
      id = newId();
    }
  });
  byId("burst").addEventListener("click", () => {
    const lines = Array.from({ length: 100 }, (_, index) => `${index + 1} of 100`);
    attempt("messages", { id: newId(), lines }, "100 lines are ordered, and back here");
  });
}
