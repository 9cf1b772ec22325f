// Buttons and keys: back, forth, play, the next change of the state, and whether to be asked.
import { element } from "./dom.js";

const PACES = [[900, "slow"], [300, "medium"], [60, "fast"]];

function button(text, label, onclick, key, kind) {
  const title = `${label} (${key})`;
  const attributes = { class: kind, type: "button", "aria-label": label, title, "aria-keyshortcuts": key, onclick };
  return element("button", attributes, text);
}

export class Transport {
  constructor(events, player) {
    [this.events, this.player] = [events, player];
    this.playing = 0;
    this.play_button = button("▶ Play", "Play", () => this.toggle(), "Space");
    this.predict_button = button("Predict", "Predict the next step", () => this.#predict(), "p");
    this.predict_button.setAttribute("aria-pressed", "false");
    const paces = PACES.map(([ms, text]) => element("option", { value: ms }, text));
    this.pace = element("select", { "aria-label": "Pace" }, paces);
    this.place = element(
      "div", { class: "transport", role: "toolbar", "aria-label": "Steps" },
      button("|◀", "First step", () => this.#go(0), "Home", "far"),
      button("◀", "Back", () => this.#by(-1), "ArrowLeft"),
      this.play_button,
      button("▶", "Forward", () => this.#by(1), "ArrowRight"),
      button("▶|", "Last step", () => this.#go(events.length - 1), "End", "far"),
      this.pace,
      button("Next state", "Next state: where it changes next", () => this.#next_state(), "s"),
      this.predict_button,
    );
  }

  show(index) {
    if (index === this.events.length - 1) this.stop();
  }

  key(event) {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target.closest?.("input, select, textarea, [contenteditable]")) return;
    if (key === " " && target.closest?.("button, a, summary")) return;
    const run = this.#keys()[key];
    if (!run) return;
    event.preventDefault();
    run();
  }

  #keys() {
    const { player } = this;
    const answers = [1, 2, 3, 4].map((digit) => [String(digit), () => player.predict.answer(digit - 1)]);
    return {
      ArrowRight: () => this.#by(1), ArrowLeft: () => this.#by(-1),
      Home: () => this.#go(0), End: () => this.#go(this.events.length - 1),
      " ": () => this.toggle(), s: () => this.#next_state(), p: () => this.#predict(),
      Escape: () => player.follow(null),
      ...(player.predict.on ? Object.fromEntries(answers) : {}),
    };
  }

  #go(index) {
    this.stop();
    this.player.show(index);
  }

  #by(by) {
    this.#go(Math.min(Math.max(this.player.index + by, 0), this.events.length - 1));
  }

  #next_state() {
    const { events, player } = this;
    const next = events.findIndex(({ name }, index) => index > player.index && name === "http:state_changed");
    if (next >= 0) this.#go(next);
  }

  #predict() {
    this.stop();
    this.player.turn_prediction();
    this.predict_button.setAttribute("aria-pressed", this.player.predict.on);
  }

  toggle() {
    if (this.playing) return this.stop();
    if (this.player.index === this.events.length - 1) this.player.show(0);
    this.#tick();
    return this.#named("❚❚ Pause", "Pause");
  }

  #tick() {
    this.playing = setTimeout(() => {
      this.#tick();
      this.player.show(this.player.index + 1);
    }, Number(this.pace.value));
  }

  stop() {
    clearTimeout(this.playing);
    this.playing = 0;
    this.#named("▶ Play", "Play");
  }

  #named(text, label) {
    this.play_button.textContent = text;
    this.play_button.setAttribute("aria-label", label);
    this.play_button.title = `${label} (Space)`;
  }
}
