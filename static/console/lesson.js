// A lesson: beside its text the players of its traces, one of them to be seen; the links of the text show their step there.
import { load } from "./api.js";
import { element } from "./dom.js";
import { mount } from "./player.js";

const stage = document.querySelector(".stage");
const links = [...document.querySelectorAll(".anchor a")];
const players = new Map();

async function played(place) {
  try {
    return mount(place, await load(place));
  } catch (error) {
    place.replaceChildren(element("p", { role: "alert" }, error.message));
    return null;
  }
}

function show(link) {
  const chosen = players.get(link.dataset.of);
  for (const one of links) one.ariaCurrent = one === link ? "true" : null;
  for (const { place } of players.values()) place.hidden = place !== chosen.place;
  chosen.player?.show(chosen.player.index_of(Number(link.dataset.n)));
}

for (const place of document.querySelectorAll("section.player")) {
  players.set(place.dataset.of, { place, player: await played(place) });
}

for (const link of links) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link);
    // On a narrow page the recording stands below the text.
    if (stage.getBoundingClientRect().top > innerHeight / 2) stage.scrollIntoView();
  });
}
if (links.length) show(links[0]);
