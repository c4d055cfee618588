// Tables are sorted by a click on a heading: first the way that puts the best figures on top, then the other way.
"use strict";

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim().toLowerCase();
  };
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // without a figure: always last
    return direction * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  };
  body.append(...[...body.rows].sort(compare));
}

function onHeading(event) {
  const button = event.target.closest("th button");
  if (!button) return;
  const heading = button.parentElement;
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  sortBy(heading.closest("table"), heading.cellIndex, ascending ? 1 : -1);
}

function markWhereWeAre() {
  const sections = [...document.querySelectorAll("main section[id]")];
  const atTheEnd = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 2;
  const passed = sections.filter((section) => section.getBoundingClientRect().top < window.innerHeight / 4);
  const here = atTheEnd ? sections.at(-1) : (passed.at(-1) ?? sections[0]);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${here.id}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

document.addEventListener("click", onHeading);
document.addEventListener("scroll", markWhereWeAre, { passive: true });
markWhereWeAre();
