// Adds sorting, filters and tabs to tables of results. Without JavaScript, they are plain tables, all of them visible.
//
// - Headers become buttons that sort (sortable.min.js sorts on a click in a header cell; a button makes this work with
//   the keyboard), and long tables get a filter.
// - Of tables in tabs, only one is visible at a time.
// - Tables of claims can be filtered by verdict.
"use strict";

const LONG = 12; // rows; results.css reserves space for the filter from the same number on

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function rowsOf(table) {
  return [...table.tBodies].flatMap((body) => [...body.rows]);
}

function addButtons(header) {
  for (const cell of header.cells) {
    if (!cell.textContent.trim()) {
      cell.classList.add("no-sort");
      continue;
    }
    const content = cell.querySelector("p") ?? cell;
    const button = make("button", { type: "button" }, ...content.childNodes);
    cell.replaceChildren(button);
    cell.scope = "col";
  }
}

function nameOf(table) {
  return table.caption ? table.caption.innerText.replace(/[#¶]$/, "").trim() : "table";
}

function addFilters(table, box) {
  const rows = rowsOf(table);
  const field = make("input", { type: "search", placeholder: "Filter rows" });
  const count = make("output");
  const line = make("div", { className: "table-filter" }, field, count);
  const choice = table.classList.contains("verdict-filter") ? verdictChoice(table, rows) : null;
  if (choice) field.before(choice);
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = !choice?.value || row.classList.contains(choice.value);
      row.hidden = !(fits && words.every((word) => text.includes(word)));
    }
    count.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  field.setAttribute("aria-label", `Filter the rows of ${nameOf(table)}`);
  line.addEventListener("input", filter);
  box.prepend(line);
}

function verdictChoice(table, rows) {
  const verdicts = ["holds", "does-not-hold", "undecided", "not-measured"];
  const choice = make("select", {}, make("option", { value: "" }, "All verdicts"));
  for (const verdict of verdicts) {
    const count = rows.filter((row) => row.classList.contains(verdict)).length;
    if (count) choice.append(make("option", { value: verdict }, `${verdict.replaceAll("-", " ")} (${count})`));
  }
  choice.setAttribute("aria-label", `Show the rows of ${nameOf(table)} by verdict`);
  return choice;
}

// The theme puts tables into boxes of this class, and makes those that scroll reachable with the keyboard.
const BOX = "pst-scrollable-table-container";

function boxOf(table) {
  const box = table.closest(`.${BOX}, .output_html`);
  if (box) return box;
  const made = make("div");
  table.replaceWith(made);
  made.append(table);
  return made;
}

function dress(table) {
  const box = boxOf(table);
  box.classList.add(BOX);
  if (table.tHead?.rows.length !== 1) return;
  table.classList.add("sortable");
  addButtons(table.tHead.rows[0]);
  if (rowsOf(table).length >= LONG || table.classList.contains("verdict-filter")) addFilters(table, box);
}

function startTabs(tabs) {
  const parts = [...tabs.querySelectorAll(":scope > .results-tab")];
  const strips = [...tabs.querySelectorAll(":scope > .tab-strip")];
  const labelsOf = (part) => JSON.parse(part.dataset.labels);
  const show = (shown) => {
    for (const part of parts) part.classList.toggle("shown", part === shown);
    labelsOf(shown).forEach((label, at) => {
      for (const input of strips[at].querySelectorAll("input")) input.checked = input.value === label;
    });
  };
  const choose = (changed) => {
    const chosen = strips.map((strip) => strip.querySelector("input:checked").value);
    const exact = parts.find((part) => labelsOf(part).every((label, at) => label === chosen[at]));
    show(exact ?? parts.find((part) => labelsOf(part)[changed] === chosen[changed]));
  };
  // A link may lead to a table that is not visible.
  const follow = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const part = parts.find((one) => one.contains(target || null));
    if (!part) return;
    show(part);
    target.scrollIntoView();
  };
  tabs.addEventListener("change", (event) => choose(strips.indexOf(event.target.closest(".tab-strip"))));
  addEventListener("hashchange", follow);
  choose(0); // when the reader returns to the page, the browser may have kept another choice
  follow();
}

document.querySelectorAll("table.sortable, .output_html table.dataframe").forEach(dress);
document.querySelectorAll(".results-tabs").forEach(startTabs);
