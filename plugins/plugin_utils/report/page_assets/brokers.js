// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The table of entropy brokers, and what opens below a row: its classes, its sources, the guests that it serves.

const unfolded = new Set(); // rows

const brokerHost = (row) => HOST_NAME(broker("host", row));
const figure = (value, text) => h("td", { class: value ? "n" : "n zero" }, value === null ? "unknown" : text(value));
const amounts = (bytes) => figure(bytes, amount);
const perSecond = (bytes) => (bytes === null ? "unlimited" : `${amount(bytes)}/s`);

function brokerRow(row) {
  const id = `broker-${row}`;
  const shown = unfolded.has(row);
  const controls = shown ? id : null;
  const button = h(
    "button",
    { type: "button", class: "unfold", "aria-expanded": String(shown), "aria-controls": controls },
    named(brokerHost(row)),
  );
  const why = broker("why", row);
  const count = (name) => figure(broker(name, row), number);
  const tr = h(
    "tr",
    {},
    h("th", { scope: "row" }, button),
    h("td", {}, badge(broker("state", row)), why ? [": ", bdi(why)] : null),
    h("td", { class: "source" }, bdi(broker("source", row))),
    count("guests"),
    count("waiting"),
    amounts(broker("served", row)),
  );
  button.addEventListener("click", () => unfold(tr, button, row, id));
  return shown ? [tr, brokerDetails(row, id)] : [tr];
}

function unfold(tr, button, row, id) {
  const shown = !unfolded.has(row);
  button.setAttribute("aria-expanded", String(shown));
  if (shown) {
    unfolded.add(row);
    button.setAttribute("aria-controls", id);
    tr.after(brokerDetails(row, id));
  } else {
    unfolded.delete(row);
    button.removeAttribute("aria-controls");
    document.getElementById(id)?.remove();
  }
}

function brokerDetails(row, id) {
  const facts = block("Broker", brokerTerms(row));
  const parts = [sourcesBlock(row), facts, servedBlock(row)].filter(Boolean);
  const cell = h("td", { colspan: 6 }, classesBlock(row), h("div", { class: "blocks" }, ...parts));
  return h("tr", { class: "detail", id }, cell);
}

function brokerTerms(row) {
  const get = (name) => broker(name, row);
  const guests = h("a", { href: `${HERE}?${new URLSearchParams([["host", brokerHost(row)]])}` }, "of this hypervisor");
  return terms([
    ["Version", get("version")],
    ["Limit of all", get("version") && perSecond(get("rate"))],
    ["Connections", get("clients") === null ? null : number(get("clients"))],
    ["Refused", get("refused") ? number(get("refused")) : null],
    ["Last update", get("age") === null ? null : `${plural(get("age"), "second")} before it was looked at`],
    ["All guests", guests],
  ]);
}

/** A table that may be wider than its place. */
function small(label, heads, rows) {
  const head = ([text, kind]) => h("th", { scope: "col", class: kind ?? null }, text);
  const table = h(
    "table",
    { class: "plain" },
    h("thead", {}, h("tr", {}, ...heads.map(head))),
    h("tbody", {}, ...rows),
  );
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

function classesBlock(row) {
  const rows = broker("classes", row);
  if (!rows.length) return null;
  const total = Math.max(broker("served", row), 1);
  const rates = rows.reduce((sum, [level, , , rate]) => sum + (level === 1 ? rate : 0), 0) || 1;
  const line = ([level, parent, name, rate, ceil, clients, waiting, bytes, borrowed]) =>
    h(
      "tr",
      {},
      h(
        "th",
        { scope: "row", class: `level-${level}` },
        named(name),
        parent ? h("span", { class: "unseen" }, " below ", bdi(parent)) : null,
      ),
      h("td", { class: "nowrap" }, perSecond(rate)),
      h("td", { class: "nowrap" }, perSecond(ceil)),
      figure(clients, number),
      figure(waiting, number),
      amounts(bytes),
      amounts(borrowed),
      h("td", {}, part(bytes / total, rate / rates)),
    );
  const heads = [
    ["Class"],
    ["Guaranteed"],
    ["Ceiling"],
    ["Connections", "n"],
    ["Waiting now", "n"],
    ["Served", "n"],
    ["Borrowed", "n"],
    [h("span", { class: "unseen" }, "As a picture"), "wide"],
  ];
  const table = small(`Classes of the broker on ${brokerHost(row)}`, heads, rows.map(line));
  table.firstChild.classList.add("classes");
  return block("Classes", table);
}

/** What a class got, as a part of all, and the line of what is guaranteed to it. */
function part(share, guaranteed) {
  const box = svg("svg", {
    class: "bar part",
    viewBox: "0 0 1000 10",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const at = Math.max(Math.min(guaranteed, 1) * 1000 - 3, 0);
  box.append(
    svg("rect", { class: "f-rest", width: 1000, height: 10 }),
    svg("rect", { class: "f-promised", y: 2, width: share * 1000, height: 6 }),
    svg("rect", { class: "f-mark", x: at, width: 6, height: 10 }),
  );
  return box;
}

function sourcesBlock(row) {
  const rows = broker("sources", row);
  if (!rows.length) return null;
  const line = ([source, state, why, bytes]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, bdi(source)),
      h("td", {}, badge(state), why ? [": ", bdi(why)] : null),
      amounts(bytes),
    );
  const heads = [["Source"], ["State"], ["Served", "n"]];
  return block("Sources", small(`Sources of the broker on ${brokerHost(row)}`, heads, rows.map(line)));
}

function servedBlock(row) {
  const rows = broker("served_guests", row);
  if (!rows.length) return null;
  const line = ([name, kind, bytes, , waiting]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, named(name)),
      h("td", {}, bdi(kind)),
      amounts(bytes),
      h("td", { class: waiting === null ? "n zero" : "n" }, waiting === null ? "no" : `${waiting.toFixed(1)} s`),
    );
  const heads = [["Guest"], ["Class"], ["Served", "n"], ["Waits", "n"]];
  const left = broker("guests", row) - rows.length;
  const more =
    left > 0 ? h("p", { class: "who" }, `And ${plural(left, "other guest")}, who wait less and got less.`) : null;
  return block("Guests", small(`Guests of the broker on ${brokerHost(row)}`, heads, rows.map(line)), more);
}

function brokersTable() {
  if (!document.getElementById("brokers-table")) return null;
  const rank = (row) => BROKER_STATES.indexOf(broker("state", row));
  const counted = ["guests", "waiting", "served"].map((name) => (row) => broker(name, row) ?? -1);
  const keys = [brokerHost, rank, (row) => broker("source", row), ...counted];
  return new PagedTable("brokers", "brokers", brokerRow, keys);
}
