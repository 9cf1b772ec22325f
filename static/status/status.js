// The part that changes comes anew every second, and stands in the place of the old one.
const live = document.querySelector("#live");
const telling = document.querySelector(".telling");
const hold = document.querySelector(".hold");
let held = false;

function reading() {
  const selected = getSelection();
  return !selected.isCollapsed && live.contains(selected.anchorNode);
}

function tell(text, on) {
  if (telling.textContent !== text) telling.textContent = text;
  telling.classList.toggle("on", on);
}

// Who has come to a link, or to a table that is too wide, with the keyboard stays there.
function replace(html) {
  const reached = () => [...live.querySelectorAll("a, .wide")];
  const at = reached().indexOf(document.activeElement);
  const scrolled = [...live.querySelectorAll(".wide")].map((box) => box.scrollLeft);
  live.innerHTML = html;
  live.querySelectorAll(".wide").forEach((box, number) => { box.scrollLeft = scrolled[number] ?? 0; });
  if (at >= 0) reached()[at]?.focus({ preventScroll: true });
}

hold.hidden = false;
document.querySelector(".again").hidden = true;
hold.addEventListener("click", () => {
  held = !held;
  hold.setAttribute("aria-pressed", String(held));
  tell(held ? "Held." : "Live, every second.", !held);
});

const source = new EventSource(document.body.dataset.live);
source.onopen = () => { if (!held) tell("Live, every second.", true); };
source.onerror = () => tell("Not live: the server does not answer. Trying again.", false);
source.onmessage = ({ data }) => {
  if (held || reading()) return;
  tell("Live, every second.", true);
  replace(data);
};
