// A connection that goes on while it is played: the page says so, and goes on at the same step when one likes.
import { counted, element } from "./dom.js";

const ASK_EVERY = 1500;

export function watch(place, { head, events }) {
  const live = /^\/api\/player\/\d+$/.test(place.dataset.source ?? "");
  if (!live || events.at(-1).name === "channel:closed") return;
  const words = element("span", {});
  const button = element("button", { type: "button", onclick: () => location.reload() }, "Show them");
  const told = element("p", { class: "more-events", role: "status", hidden: "" }, words, " ", button);
  place.prepend(told);
  const timer = setInterval(ask, ASK_EVERY);

  async function ask() {
    if (document.hidden) return;
    const answer = await fetch("/api/connections", { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer?.ok) return;
    const now = (await answer.json()).find((one) => one.connection === head.connection);
    if (now && now.events > events.length) {
      words.textContent = `${counted(now.events - events.length, "step")} more since then.`;
      told.hidden = false;
    }
    if (!now || now.closed) clearInterval(timer);
  }
}
