// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What ties the parts together: controls, keys, the address, colours and paper.

const root = document.documentElement;
const search = document.getElementById("search");
const counted = document.getElementById("count");
const facetBox = document.getElementById("facets");
const SORTED = ["name", "host", "verdict", "run", "device", "why"];
let only = null; // the one guest that a link names
const boxes = []; // [facet, id, box or option, where its number stands]

const guestsTable = new PagedTable(
  "guests",
  "guests",
  guestRow,
  [
    (row) => guest("name", row),
    hostOf,
    (row) => VERDICTS.indexOf(guest("verdict", row)),
    (row) => Math.min(...guest("run", row).map((word) => RUNS.indexOf(word))),
    (row) => devicesText(guest("devices", row)),
    (row) => guest("why", row),
  ],
  () => announce(true),
);

function update({ page = 0, remember = true } = {}) {
  performance.mark("filter");
  let rows = matching(search.value);
  if (only !== null) rows = rows.filter((row) => guest("uuid", row) === only);
  guestsTable.show(rows, page);
  for (const [facet, id, element, hits] of boxes) {
    const count = number(facet.counts[id]);
    if (element.matches("input")) {
      element.checked = facet.chosen.has(id);
      hits.textContent = count;
    } else {
      element.selected = facet.chosen.has(id);
      element.textContent = `${facet.words[id]} (${count})`;
    }
  }
  performance.measure("filter", "filter");
  announce(remember);
}

let later = 0;

/** Say what is shown, and write it into the address: not at each key, browsers limit that. */
function announce(remember) {
  const { rows, page, size, sort } = guestsTable;
  const first = page * size;
  const last = Math.min(first + size, rows.length);
  const range = rows.length > size ? `, ${number(first + 1)} to ${number(last)} shown` : "";
  const order = sort ? "" : ", the ones to look at first";
  const total = plural(GUESTS, "guest");
  const all = rows.length === GUESTS ? total : `${number(rows.length)} of ${total}`;
  counted.textContent = `${all}${range}${rows.length > 1 ? order : ""}.`;
  if (!remember) return;
  clearTimeout(later);
  later = setTimeout(() => {
    const at = sort && (sort.down ? "-" : "") + SORTED[sort.column];
    const hash = toHash(search.value, { guest: only, sort: at, page: page && page + 1 });
    if (hash !== location.hash && (hash !== HERE || fromHash(location.hash))) history.replaceState(null, "", hash);
  }, 250);
}

function follow() {
  const state = fromHash(location.hash);
  if (!state) return;
  clearTimeout(later);
  search.value = state.get("q") ?? "";
  only = state.get("guest");
  if (only) open.add(only);
  choose(state);
  const [, down, name] = /^(-?)(.*)$/.exec(state.get("sort") ?? "");
  const column = SORTED.indexOf(name);
  guestsTable.rows = [];
  guestsTable.order(column < 0 ? null : { column, down: down === "-" });
  update({ page: (Number(state.get("page")) || 1) - 1, remember: false });
  document.getElementById("guests").scrollIntoView();
}

function clear() {
  search.value = "";
  only = null;
  choose(new URLSearchParams());
  update();
}

function controls() {
  const pickers = h("div", { class: "pickers" });
  for (const facet of FACETS) {
    if (TICKED.includes(facet.key)) facetBox.append(ticked(facet));
    else if (facet.words.length) pickers.append(picker(facet));
  }
  facetBox.append(pickers);
}

function ticked(facet) {
  const chips = facet.sorted.map((id) => {
    const box = h("input", { type: "checkbox", change: () => pick(facet, id, box.checked) });
    const hits = h("span", { class: "hits" });
    boxes.push([facet, id, box, hits]);
    return h("label", { class: "chip" }, box, icon(facet.words[id]), facet.words[id], hits);
  });
  return h("fieldset", { class: "facet" }, h("legend", {}, LABELS[facet.key]), ...chips);
}

function pick(facet, id, on) {
  if (on) facet.chosen.add(id);
  else facet.chosen.delete(id);
  only = null;
  update();
}

function picker(facet) {
  const chosen = () => {
    facet.chosen = new Set(list.value === "" ? [] : [Number(list.value)]);
    only = null;
    update();
  };
  const list = h("select", { change: chosen }, h("option", { value: "" }, "any"));
  for (const id of facet.sorted) {
    const option = h("option", { value: id });
    boxes.push([facet, id, option, null]);
    list.append(option);
  }
  return h("label", {}, LABELS[facet.key], list);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement;
  const writing = at.matches("input:not([type=checkbox], [type=radio]), textarea, select");
  if (event.key === "/" && !writing) {
    event.preventDefault();
    search.focus();
    search.select();
    document.getElementById("guests").scrollIntoView();
  } else if (event.key === "Escape" && at.closest("#guests")) {
    event.preventDefault();
    clear();
    search.focus({ preventScroll: true });
  } else if (at === search || at.matches(".opener")) {
    move(event, at);
  }
}

function move(event, at) {
  const stops = [search, ...guestsTable.body.querySelectorAll(".opener")];
  const here = stops.indexOf(at);
  const there = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 1, End: stops.length - 1 }[event.key];
  if (there === undefined || (at === search && event.key !== "ArrowDown")) return;
  event.preventDefault();
  stops[there]?.focus();
}

function themes() {
  const stored = (() => {
    try {
      return localStorage.getItem("fleet.rng.theme");
    } catch {
      return null; // a browser may keep nothing for a file
    }
  })();
  for (const choice of document.querySelectorAll("[name=theme]")) {
    const apply = () => {
      if (choice.value === "auto") delete root.dataset.theme;
      else root.dataset.theme = choice.value;
    };
    choice.addEventListener("change", () => {
      apply();
      try {
        localStorage.setItem("fleet.rng.theme", choice.value);
      } catch {
        // the choice then lasts as long as the page
      }
    });
    if (choice.value === stored) {
      choice.checked = true;
      apply();
    }
  }
}

function start() {
  root.classList.remove("no-script");
  for (const at of document.querySelectorAll("[data-filter]")) at.href = `${HERE}?${at.dataset.filter}`;
  const others = [hostsTable(), complianceTable()].filter(Boolean);
  for (const table of others) table.show(ALL_HOSTS);
  brokersTable()?.show(Array.from({ length: BROKERS }, (_, row) => row));
  themes();
  controls();
  update({ remember: false });
  follow();
  addEventListener("hashchange", follow);
  document.addEventListener("keydown", keys);
  search.addEventListener("input", () => {
    only = null;
    update();
  });
  document.getElementById("clear").addEventListener("click", clear);
  const paper = (on) => () => {
    guestsTable.print(on);
    announce(false);
  };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));
  performance.mark("ready");
}

start();
