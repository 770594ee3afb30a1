// The totals and the supervisor, at the top.

import { fullMoment, page, say } from "../chat/page.js";
import { setText } from "./instances_view.js";
import { decimal, whole } from "./numbers.js";

const byId = (id) => document.getElementById(id);

export function showSummary({ totals, supervisors, services }) {
  byId("totals").hidden = false;
  const some = whole(totals.running);
  setText(byId("total-running"), say("of", { some, all: whole(totals.services) }));
  setText(byId("total-sessions"), whole(totals.active_sessions));
  setText(byId("total-turns"), decimal(totals.turns_per_minute));
  setText(byId("total-troubled"), whole(totals.troubled));
  byId("total-troubled-part").classList.toggle("bad", totals.troubled > 0);
  showSupervisors(supervisors, services);
}

function showSupervisors(supervisors, services) {
  const isNeeded = services.some(
    (each) => !each.is_external && (each.desired === "running" || each.status !== "stopped"),
  );
  const isMissing = supervisors.length === 0 && (isNeeded || !page.startsSupervisor);
  const sentences = supervisors.map(({ node, since, is_automatic: isAutomatic }) =>
    say(isAutomatic ? "supervisor_automatic" : "supervisor_since", {
      node,
      time: fullMoment(new Date(since)),
    }),
  );
  const none = say(isMissing ? "no_supervisor" : "no_supervisor_yet");
  setText(byId("supervisor-text"), sentences.join("; ") || none);
  byId("supervisor-hint").hidden = !isMissing;
  byId("supervisor").classList.toggle("bad", isMissing);
}
