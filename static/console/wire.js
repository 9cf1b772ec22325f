// The page of one connection.
import { load } from "./api.js";
import { element } from "./dom.js";
import { mount } from "./player.js";
import { More } from "./more.js";

const place = document.querySelector("main.player");
try {
  const data = await load(place);
  // The console of a browser, and a test, may ask the player too.
  window.player = mount(place, data, { linked: true });
  new More(place, window.player, data);
} catch (error) {
  place.replaceChildren(element("h1", {}, "Nothing to play"), element("p", { role: "alert" }, error.message));
}
