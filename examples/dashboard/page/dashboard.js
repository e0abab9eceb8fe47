// Where the page begins: frames of the server's stream go to the parts that show them.

import { byId, say } from "./dom.js";
import { follow } from "./feed.js";
import { showMembers } from "./members.js";
import { addEntry, beginOrder, showCheck } from "./order.js";
import { beginRate, countLine, showRate } from "./rate.js";
import { showNetwork, showRing } from "./ring.js";
import { cut, watchForm } from "./send.js";

// The frames of examples/dashboard/board.py, and those of the fan-out below them that matter here.
const SHOW = {
  begin(frame) {
    beginRate(frame);
    beginOrder(frame.entries);
    showState(frame.state);
    showRate();
  },
  state: showState,
  entry(entry) {
    if (entry.kind === "line") {
      countLine(entry.at);
    }
    addEntry(entry);
  },
  gap: ({ reason }) => addEntry({ kind: "gap", reason }),
  end: ({ reason }) => addEntry({ kind: "gap", reason }),
  hello() {},
};

function showState(state) {
  const me = state.members.find((member) => member.address === state.me);
  const name = me?.name || state.me;
  document.title = `${name} · aiocpg dashboard`;
  byId("self").textContent = `What ${name} has read, member ${state.me} of the group ${state.group} at ${state.url}`;
  if (state.connected) {
    say(byId("status"), "Live", "good");
  } else {
    say(byId("status"), "The daemon of this node is gone", "bad");
  }
  showMembers(state);
  showRing(state);
  showNetwork(state, cut);
  showCheck(state.check);
}

watchForm();
follow(
  (frame) => SHOW[frame.type](frame),
  () => say(byId("status"), "No connection to this node's server; trying again", "bad"),
);
setInterval(showRate, 1000);
