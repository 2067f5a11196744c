// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The tables by hypervisor.

function hostTallies() {
  const tallies = Array.from({ length: HOSTS }, () => ({ guests: 0, rng: 0, verdicts: {} }));
  for (let row = 0; row < GUESTS; row += 1) {
    const tally = tallies[guest("host", row)];
    const verdict = guest("verdict", row);
    tally.guests += 1;
    tally.rng += guest("rng", row) === "yes" ? 1 : 0;
    tally.verdicts[verdict] = (tally.verdicts[verdict] ?? 0) + 1;
  }
  return tallies;
}

const TALLIES = hostTallies();
const ALL_HOSTS = Array.from({ length: HOSTS }, (_, row) => row);
const HOST_NAME = (row) => host("name", row);
const share = (budget) => (budget ? budget.promised / Math.max(budget.bytes_per_second, 1) : -1);

function budgetCell(row) {
  const budget = host("budget", row);
  if (!budget) return h("td", { class: "quiet" }, "none");
  const full = share(budget);
  const within = Math.min(full, 1);
  const parts = Object.entries({ [full > 1 ? "f-over" : "f-promised"]: within, "f-rest": 1 - within });
  const measured = budget.measured ? ", measured" : "";
  const text = `${amount(budget.promised)}/s of ${amount(budget.bytes_per_second)}/s${measured}`;
  return h("td", { class: "nowrap" }, full > 1 ? h("b", {}, icon("warning"), "over: ") : null, text, bar(parts));
}

function verdictsCell(row) {
  const { guests, verdicts } = TALLIES[row];
  const words = [...VERDICTS].reverse().filter((word) => verdicts[word]);
  return h("td", {}, bar(words.map((word) => [`f-${slug(word)}`, verdicts[word] / guests])));
}

const note = (text) => h("span", { class: "note" }, icon("error"), text);
const old = (row) => (host("age", row) ? h("span", { class: "quiet" }, `${host("age", row)} old`) : null);

function collectedCell(row) {
  return h("td", { class: "nowrap" }, host("collected", row), old(row) && h("br"), old(row));
}

/** A column of text, and one of numbers: what it sorts by, and its cell. */
const worded = (name) => [(row) => host(name, row), (row) => h("td", {}, bdi(host(name, row)))];

function numbered(count) {
  const cell = (row) => h("td", { class: count(row) ? "n" : "n zero" }, number(count(row)));
  return [count, cell];
}

const HOST_COLUMNS = {
  name: [HOST_NAME, nameCell],
  software: worded("software"),
  current: worded("current"),
  guests: numbered((row) => TALLIES[row].guests),
  rng: numbered((row) => TALLIES[row].rng),
  verified: numbered((row) => TALLIES[row].verdicts.verified ?? 0),
  failed: numbered((row) => TALLIES[row].verdicts.failed ?? 0),
  verdicts: [null, verdictsCell],
  budget: [(row) => share(host("budget", row)), budgetCell],
  collected: [(row) => host("collected", row), collectedCell],
};

function nameCell(row) {
  const planned = host("trouble", row) !== "not planned";
  return h("th", { scope: "row" }, link("host", HOST_NAME(row)), planned ? null : [" ", note("not planned")]);
}

function hostRow(columns) {
  return (row) => {
    if (host("trouble", row) !== "not observed") return [h("tr", {}, ...columns.map(([, cell]) => cell(row)))];
    const why = [note("not observed:"), " ", bdi(host("why", row)), " ", old(row)];
    return [h("tr", {}, nameCell(row), h("td", { colspan: columns.length - 1 }, ...why))];
  };
}

/** A link that filters the list of guests. */
function link(key, word) {
  return h("a", { href: `${HERE}?${new URLSearchParams([[key, word]])}` }, named(word));
}

function complianceTable() {
  const table = document.getElementById("compliance-table");
  if (!table) return null;
  const rules = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const result = (row, rule) => (host("compliance", row) ?? []).find((item) => item.id === rule);
  const cell = (item) => {
    if (!item) return h("td", { class: "quiet" }, "not held against it");
    const starred = item.judgement !== "agree" && item.result !== "not applicable";
    return h("td", { title: item.why }, badge(item.result), starred ? " *" : null);
  };
  const render = (row) => [
    h("tr", {}, h("th", { scope: "row" }, named(HOST_NAME(row))), ...rules.map((rule) => cell(result(row, rule)))),
  ];
  const keys = [HOST_NAME, ...rules.map((rule) => (row) => result(row, rule)?.result ?? "")];
  return new PagedTable("compliance", "hypervisors", render, keys);
}

function hostsTable() {
  const heads = [...document.getElementById("hosts-table").tHead.rows[0].cells];
  const columns = heads.map((head) => HOST_COLUMNS[head.dataset.column]);
  const keys = columns.map(([key]) => key);
  return new PagedTable("hosts", "hypervisors", hostRow(columns), keys);
}
