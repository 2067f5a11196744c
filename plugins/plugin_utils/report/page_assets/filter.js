// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Which guests are shown: the search, the facets, and how both are written in the address.

const TICKED = ["verdict", "run", "rng"]; // facets with boxes; the others have a list to choose from
const LABELS = {
  verdict: "Verdict",
  run: "This run",
  rng: "Has an RNG",
  group: "Group",
  host: "Hypervisor",
  source: "Source",
  finding: "Finding",
};

/** One facet: the words it has, the ids of the words of each guest, and which of them are chosen. */
class Facet {
  constructor(key, column, words, order) {
    this.key = key;
    this.words = [];
    this.chosen = new Set();
    const known = new Map();
    const cache = new Map();
    const ids = (value) => {
      if (!cache.has(value)) cache.set(value, words(value).map(id));
      return cache.get(value);
    };
    const id = (word) => {
      if (!known.has(word)) known.set(word, this.words.push(word) - 1);
      return known.get(word);
    };
    this.ids = Array.from({ length: GUESTS }, (_, row) => ids(column(row)));
    this.counts = new Int32Array(this.words.length);
    const rank = (word) => (order ? order.indexOf(word) : 0);
    const compare = (a, b) =>
      rank(this.words[a]) - rank(this.words[b]) || collator.compare(this.words[a], this.words[b]);
    this.sorted = this.words.map((_, index) => index).sort(compare);
    this.id = (word) => known.get(word);
  }

  accepts(row) {
    return this.ids[row].some((one) => this.chosen.has(one));
  }
}

const one = (value) => [value];
const FACETS = [
  new Facet("verdict", (row) => guest("verdict", row), one, VERDICTS),
  new Facet(
    "run",
    (row) => guest("run", row),
    (list) => list,
    RUNS,
  ),
  new Facet("rng", (row) => guest("rng", row), one, ["yes", "no", "unknown"]),
  new Facet(
    "group",
    (row) => guest("groups", row),
    (list) => (list?.length ? list : [NO_GROUP]),
  ),
  new Facet("host", hostOf, one),
  new Facet(
    "source",
    (row) => guest("devices", row),
    (list) => [...new Set((list ?? []).map((item) => item.source))],
  ),
  new Facet(
    "finding",
    (row) => guest("findings", row),
    (list) => [...new Set(list.map((item) => item.id))],
  ),
];

const SEARCHED = ["name", "uuid", "inventory", "why", "verdict", "view_os", "view_kernel", "view_current"];
const TEXTS = Array.from({ length: GUESTS }, (_, row) => {
  const words = SEARCHED.map((name) => guest(name, row) ?? "");
  words.push(hostOf(row), devicesText(guest("devices", row)), ...(guest("groups", row) ?? []), ...guest("run", row));
  return words.join("\n").toLowerCase();
});

/** The rows that the search and all facets let through, and in each facet how many a word would show. */
function matching(query) {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  const active = FACETS.filter((facet) => facet.chosen.size);
  const rows = [];
  for (const facet of FACETS) facet.counts.fill(0);
  for (let row = 0; row < GUESTS; row += 1) {
    if (!wanted.every((word) => TEXTS[row].includes(word))) continue;
    const against = active.filter((facet) => !facet.accepts(row));
    if (!against.length) rows.push(row);
    if (against.length < 2) {
      for (const facet of against.length ? against : FACETS) {
        for (const id of facet.ids[row]) facet.counts[id] += 1;
      }
    }
  }
  return rows;
}

const HERE = "#guests";

/** The state in an address such as #guests?q=web&verdict=failed; null for any other place on the page. */
function fromHash(hash) {
  const [place, query] = hash.split("?", 2);
  return place === HERE ? new URLSearchParams(query ?? "") : null;
}

function toHash(query, extra) {
  const state = new URLSearchParams();
  if (query) state.set("q", query);
  for (const facet of FACETS) for (const id of facet.chosen) state.append(facet.key, facet.words[id]);
  for (const [key, value] of Object.entries(extra)) if (value) state.set(key, value);
  return state.size ? `${HERE}?${state}` : HERE;
}

function choose(state) {
  for (const facet of FACETS) {
    const ids = state.getAll(facet.key).map(facet.id);
    facet.chosen = new Set(ids.filter((id) => id !== undefined));
  }
}
