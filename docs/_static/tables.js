// Dresses the tables for sortable.min.js, which sorts on a click in a header cell: a real button in each header makes
// that work from the keyboard, and long tables get a filter. Without scripting the tables are plain tables.
// The gallery's tags, which come as boxes that only a mouse can press, become buttons too.
"use strict";

const LONG = 8; // rows; site.css keeps the place of the filter free for the same number

function addButtons(header) {
  for (const cell of header.cells) {
    if (!cell.textContent.trim()) {
      cell.classList.add("no-sort");
      continue;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    cell.scope = "col";
  }
}

function addFilter(table, box) {
  const field = Object.assign(document.createElement("input"), { type: "search", placeholder: "Filter rows" });
  const count = document.createElement("output");
  const name = table.caption ? table.caption.innerText.replace(/#$/, "").trim() : "table";
  field.setAttribute("aria-label", `Filter the rows of ${name}`);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    for (const row of rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    }
    count.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  });
  const line = document.createElement("div");
  line.className = "table-filter";
  line.append(field, count);
  box.prepend(line);
}

function makeButton(tag) {
  tag.role = "button";
  tag.tabIndex = 0;
  tag.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    tag.click();
  });
}

for (const table of document.querySelectorAll("table.sortable, .output_html table.dataframe")) {
  const box = table.closest(".pst-scrollable-table-container, .output_html");
  // The theme makes boxes of this name reachable by keyboard when they scroll.
  box.classList.add("pst-scrollable-table-container");
  if (table.tHead?.rows.length !== 1) continue;
  table.classList.add("sortable");
  addButtons(table.tHead.rows[0]);
  if (table.tBodies[0].rows.length >= LONG) addFilter(table, box);
}

// The gallery makes its tags at the same event, and was there first.
document.addEventListener("DOMContentLoaded", () => {
  const tags = document.querySelectorAll(".sphx-glr-tag");
  const say = () => tags.forEach((tag) => (tag.ariaPressed = tag.classList.contains("active")));
  document.querySelectorAll(".sphx-glr-tag, #sphx-glr-tag-clear").forEach(makeButton);
  document.querySelector("#sg-tag-list")?.addEventListener("click", say);
  say();
});
