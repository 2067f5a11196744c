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
const HOST_NAME = (row) => host("hypervisor", row);
const share = (budget) => (budget ? budget.promised / Math.max(budget.bytes_per_second, 1) : -1);

function budgetCell(budget) {
  if (!budget) return h("td", {}, "none");
  const full = share(budget);
  const parts = full > 1 ? [["f-over", 1]] : [["f-promised", full], ["f-rest", 1 - full]];
  const text = `${amount(budget.promised)}/s of ${amount(budget.bytes_per_second)}/s`;
  return h("td", {}, full > 1 ? h("b", {}, icon("warning"), "over: ") : null, text, bar(parts));
}

function hostRow(row) {
  const name = h("th", { scope: "row" }, link("host", HOST_NAME(row)));
  const error = host("error", row);
  if (error) return [h("tr", {}, name, h("td", { colspan: 7 }, badge("error"), " not observed: ", bdi(error)))];
  const tally = TALLIES[row];
  const parts = [...VERDICTS].reverse().filter((word) => tally.verdicts[word]);
  const cell = (count) => h("td", { class: "n" }, number(count ?? 0));
  return [
    h(
      "tr",
      {},
      name,
      h("td", {}, bdi(host("current", row) ?? "none")),
      cell(tally.guests),
      cell(tally.rng),
      cell(tally.verdicts.verified),
      cell(tally.verdicts.failed),
      h("td", {}, bar(parts.map((word) => [`f-${slug(word)}`, tally.verdicts[word] / tally.guests]))),
      budgetCell(host("budget", row)),
    ),
  ];
}

/** A link that filters the list of guests. */
function link(key, word) {
  return h("a", { href: `${HERE}?${new URLSearchParams([[key, word]])}` }, bdi(word));
}

function complianceTable() {
  const table = document.getElementById("compliance-table");
  if (!table) return null;
  const rules = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const result = (row, rule) => (host("compliance", row) ?? []).find((item) => item.id === rule);
  const cell = (item) => {
    if (!item) return h("td", { class: "quiet" }, "not held against it");
    return h("td", { title: item.why }, badge(item.result), item.judgement === "agree" ? null : " *");
  };
  const render = (row) => [
    h("tr", {}, h("th", { scope: "row" }, bdi(HOST_NAME(row))), ...rules.map((rule) => cell(result(row, rule)))),
  ];
  const keys = [HOST_NAME, ...rules.map((rule) => (row) => result(row, rule)?.result ?? "")];
  return new PagedTable("compliance", "hypervisors", render, keys);
}

function hostsTable() {
  const verdicts = (word) => (row) => TALLIES[row].verdicts[word] ?? 0;
  const counts = [(row) => TALLIES[row].guests, (row) => TALLIES[row].rng, verdicts("verified"), verdicts("failed")];
  const own = (row) => host("current", row) ?? "";
  const keys = [HOST_NAME, own, ...counts, null, (row) => share(host("budget", row))];
  return new PagedTable("hosts", "hypervisors", hostRow, keys);
}
