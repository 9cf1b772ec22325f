// A connection that goes on while it is played.  Who is at its last step stays at its last step; who looks back, or is
// asked what comes next, is told that there is more.
import { load } from "./api.js";
import { counted, element } from "./dom.js";
import { mount } from "./player.js";

const LIVE = /^\/api\/player\/\d+$/;
// All of it is loaded anew, so not at every event.
const PAUSE = 300;

export class More {
  constructor(place, player, data) {
    Object.assign(this, { place, player, data, came: 0, late: 0 });
    if (!LIVE.test(place.dataset.source ?? "") || this.#over()) return;
    this.words = element("span", {});
    const button = element("button", { type: "button", onclick: () => this.#take() }, "Show them");
    this.told = element("p", { class: "more-events", role: "status", hidden: "" }, this.words, " ", button);
    place.prepend(this.told);
    this.feed = new EventSource("/api/feed");
    this.feed.onmessage = ({ data: message }) => this.#hear(JSON.parse(message));
    addEventListener("pagehide", () => this.feed.close());
  }

  #over() {
    return this.data.events.at(-1).name === "channel:closed";
  }

  // The feed begins with what it keeps, which is here already.
  #hear({ connection, event }) {
    if (connection !== this.data.head.connection || !event || event.n <= this.data.events.at(-1).n) return;
    this.came = Math.max(this.came, event.n);
    clearTimeout(this.late);
    this.late = setTimeout(() => (this.player.is_at_end() ? this.#take() : this.#tell()), PAUSE);
  }

  #tell() {
    this.words.textContent = `${counted(this.came - this.data.events.at(-1).n, "step")} more since then.`;
    this.told.hidden = false;
  }

  async #take() {
    const data = await load(this.place).catch(() => null);
    if (!data) return;
    const { index } = this.player;
    const stays = this.player.is_at_end();
    this.player.leave();
    this.data = data;
    this.player = window.player = mount(this.place, data, { linked: true, n: data.events[stays ? data.events.length - 1 : index].n });
    this.told.hidden = true;
    if (this.#over()) this.feed.close();
    else this.place.prepend(this.told);
  }
}
