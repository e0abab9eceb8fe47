// The table of members: those of the view first, in its order, then those who have gone.

import { byId, element } from "./dom.js";

const WHY = {
  LEAVE: "left",
  NODEDOWN: "node down or cut off",
  PROCDOWN: "process or daemon ended",
};

export function showMembers(state) {
  const rows = state.members.map((member) => row(member, roles(member, state.me)));
  const gone = state.gone.map((member) => row(member, WHY[member.reason] ?? member.reason, "gone"));
  byId("members").replaceChildren(...rows, ...gone);
}

function roles(member, me) {
  return member.address === me ? `${member.role}, this page` : member.role;
}

function row(member, role, kind = "") {
  const name = member.name ? `${member.name} (${member.address})` : member.address;
  return element("tr", { class: kind }, ...[name, member.node, role].map((text) => element("td", {}, String(text))));
}
