// Sorts and filters at once what the server would sort and filter with the next page.  The forms work without it.
const form = document.forms[0];
const { filter: box, sort: by, order } = form.elements;
const heads = [...document.querySelectorAll("th")];
const body = [...document.querySelector("table").tBodies].pop();
const rows = [...body.rows].filter((row) => row.cells.length === 3);
const status = document.querySelector("[role=status]");
const told = status?.textContent;
// So many rows are shown again in one frame; of more the server makes a new page.
const MOST = 5000;

// As on the server, so that both give one order: no case, no accents, numbers by their value.
const folded = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
const measured = (digits) => `0${String.fromCharCode(digits.length)}${digits}`;
const natural = (name) => folded(name).replace(/[0-9]+/g, (number) => measured(number.replace(/^0+/, "")));

const entries = rows.map((row) => {
  const [name, size, date] = row.cells;
  const text = name.textContent.replace("/", "");
  return {
    row,
    name: folded(text),
    order: natural(text),
    folder: row.className === "folder",
    size: parseInt(size.title) || 0,
    date: date.firstChild.dateTime,
  };
});

const by_value = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const measures = { name: "order", size: "size", date: "date" };

function query(sort, direction) {
  const asked = new URLSearchParams();
  if (sort !== "name" || direction !== "asc") {
    asked.set("sort", sort);
    asked.set("order", direction);
  }
  if (box.value.trim()) asked.set("filter", box.value.trim());
  return `?${asked}`;
}

function turned(sort) {
  if (sort === by.value) return order.value === "asc" ? "desc" : "asc";
  return sort === "name" ? "asc" : "desc";
}

function tell() {
  history.replaceState(null, "", query(by.value, order.value));
  for (const head of heads) {
    const sort = head.className;
    if (sort === by.value) head.setAttribute("aria-sort", `${order.value}ending`);
    else head.removeAttribute("aria-sort");
  }
}

function arrange(sort) {
  [by.value, order.value] = [sort, turned(sort)];
  const sign = order.value === "asc" ? 1 : -1;
  const what = measures[sort];
  entries.sort((a, b) => b.folder - a.folder || sign * by_value(a[what], b[what]) || by_value(a.order, b.order));
  body.append(...entries.map((entry) => entry.row));
  tell();
}

let waiting;
function narrow() {
  waiting = clearTimeout(waiting);
  const wanted = folded(box.value.trim());
  if (!wanted.includes(folded(box.defaultValue))) {
    // The page has not all that is wanted now.
    waiting = setTimeout(() => form.requestSubmit(), 300);
    return;
  }
  let shown = 0;
  for (const { row, name } of entries) {
    row.hidden = !name.includes(wanted);
    shown += !row.hidden;
  }
  if (status) status.textContent = shown === entries.length ? told : `${shown} of ${entries.length} shown`;
  tell();
}

if (rows.length <= MOST) {
  form.querySelector("button").hidden = true;
  box.addEventListener("input", narrow);
  form.addEventListener("submit", (event) => {
    if (waiting === undefined) event.preventDefault();
  });
  for (const head of heads) {
    head.firstChild.addEventListener("submit", (event) => {
      event.preventDefault();
      arrange(head.className);
    });
  }
}
