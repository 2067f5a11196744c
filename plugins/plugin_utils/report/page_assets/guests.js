// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The list of guests: rows, and what opens below a row.

const open = new Set(); // uuids

function guestRow(row) {
  const uuid = guest("uuid", row) ?? String(row);
  const shown = open.has(uuid);
  const id = `detail-${row}`;
  const button = h(
    "button",
    { type: "button", class: "opener", "aria-expanded": String(shown), "aria-controls": shown ? id : null },
    named(guest("name", row)),
  );
  const cell = (...children) => h("td", { role: "cell" }, ...children);
  const tr = h(
    "tr",
    { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, button),
    cell(named(hostOf(row))),
    cell(badge(guest("verdict", row))),
    cell(...guest("run", row).flatMap((word, index) => [index ? ", " : null, runBadge(word)])),
    cell(bdi(devicesText(guest("devices", row)))),
    h("td", { role: "cell", class: "text" }, bdi(guest("why", row))),
  );
  button.addEventListener("click", () => toggle(tr, button, row, uuid));
  return shown ? [tr, details(row, id)] : [tr];
}

const runBadge = (word) => (word === "unchanged" ? word : badge(word));

function toggle(tr, button, row, uuid) {
  const id = `detail-${row}`;
  const shown = !open.has(uuid);
  button.setAttribute("aria-expanded", String(shown));
  if (shown) {
    open.add(uuid);
    button.setAttribute("aria-controls", id);
    tr.after(details(row, id));
  } else {
    open.delete(uuid);
    button.removeAttribute("aria-controls");
    document.getElementById(id)?.remove();
  }
}

function details(row, id) {
  const once = onlyOnce([guest("why", row), ...guest("findings", row).map((item) => item.message)]);
  const found = findingsBlock(row);
  const blocks = [
    layersBlock(row, once),
    checksBlock(row, once),
    viewBlock(row, once),
    clientBlock(row),
    identityBlock(row),
  ];
  const cell = h("td", { colspan: 6, role: "cell" }, found, h("div", { class: "blocks" }, ...blocks.filter(Boolean)));
  return h("tr", { class: "detail", id, role: "row" }, cell);
}

/** What gives a text back unless it was said before; short words may come again. */
function onlyOnce(said) {
  return (text) => {
    if (!text || text.length < 25) return text;
    const bare = text.replace(/\.$/, "");
    if (said.some((other) => other?.includes(bare))) return null;
    said.push(text);
    return text;
  };
}

const block = (heading, ...children) => h("div", {}, h("h3", {}, heading), ...children);

function layerLine(row, label, layer) {
  const off = layer === "live" && !guest("running", row);
  const devices = (when) => (off ? "not running" : devicesText(guest(`${when}_${layer}`, row)));
  const after = guest("again", row) ? devices("after") : "not observed again";
  const status = guest(`outcome_${layer}`, row);
  const words = [devices("before"), after, status ? plain(status) : "-"];
  return h("tr", {}, h("th", { scope: "row" }, label), ...words.map((word) => h("td", {}, bdi(word))));
}

function layersBlock(row, once) {
  const get = (name) => guest(name, row);
  const heads = ["Layer", "Before", "After", "This run"].map((text) => h("th", { scope: "col" }, text));
  const lines = [layerLine(row, "Configuration", "config"), layerLine(row, "Running", "live")];
  const wanted = get("wanted");
  return block(
    "Before and after",
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `Before and after of ${get("name")}` },
      h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...lines)),
    ),
    terms([
      ["Wanted", wanted ? deviceText(wanted) : plain(get("state"))],
      ["This run", once(get("outcome_reason"))],
      ["Error", once(get("outcome_error"))],
    ]),
  );
}

function checksBlock(row, once) {
  const found = CHECKS.map((check) => [
    check,
    guest(`check_${check}_result`, row),
    guest(`check_${check}_message`, row),
  ]);
  const judged = found.filter(([, result]) => result);
  if (!judged.length) return null;
  const reason = once(guest("reason", row));
  const line = ([check, result, message]) => {
    const text = once(message);
    return [check, h("span", {}, badge(result), text ? [": ", bdi(text)] : null)];
  };
  return block("Checks", reason ? h("p", {}, bdi(reason)) : null, terms(judged.map(line)));
}

function viewBlock(row, once) {
  const get = (name) => guest(`view_${name}`, row);
  if (!get("status")) return null;
  const rate = guest("measured_bytes_per_second", row);
  const bytes = guest("measured_bytes", row);
  const drawn = `in all ${number(bytes ?? 0)} bytes in ${guest("measured_seconds", row)} s`;
  const bits = get("entropy_avail");
  const health = Object.entries(guest("measured_health", row) ?? {});
  const none = get("status") === "seen" && guest("check_current_result", row) !== "unknown";
  const driver = { true: "there", false: "not there" }[get("driver")] ?? "not verifiable";
  return block(
    "What the guest says",
    terms([
      ["Asked by", get("via")],
      ["Answer", [get("status"), once(get("why"))].filter(Boolean).join(": ")],
      ["System", [get("os"), get("kernel")].filter(Boolean).join(", ")],
      ["Current RNG", get("current") ?? (none ? "none" : "unknown")],
      ["Available", (get("available") ?? []).join(" ")],
      ["Driver", driver],
      ["Kernel's entropy", bits === null || bits === undefined ? null : `${number(bits)} bits (entropy_avail)`],
      ["Measured", rate ? `${amount(rate)}/s; ${drawn}` : null],
      ...health.map(([test, result]) => [HEALTH[test] ?? plain(test), plain(result)]),
    ]),
  );
}

function clientBlock(row) {
  const get = (name) => guest(`broker_${name}`, row);
  if (!get("class")) return null;
  const waiting = get("waiting");
  return block(
    "What the broker says",
    terms([
      ["Class", get("class")],
      ["Served", `${amount(get("bytes"))} in ${plural(get("requests"), "request")}`],
      ["Had to wait", get("waits") ? plural(get("waits"), "request") : "never"],
      ["Waits now", waiting === null ? "no" : `for ${waiting.toFixed(1)} s`],
    ]),
  );
}

function identityBlock(row) {
  const get = (name) => guest(name, row);
  const groups = get("groups") ?? [];
  const at = `${HERE}?${new URLSearchParams([["guest", get("uuid") ?? ""]])}`;
  return block(
    "Guest",
    terms([
      ["Name", get("name").length > 64 ? get("name") : null],
      ["UUID", h("span", { class: "nowrap" }, get("uuid") ?? "unknown")],
      ["Inventory", get("inventory") ?? "not in the inventory"],
      ["Groups", groups.join(", ")],
      ["Running", get("running") ? "yes" : "no"],
      ["Stored", get("persistent") ? "yes" : "no, it is gone when it stops"],
      ["Link", h("a", { href: at }, "to this guest alone")],
    ]),
  );
}

function findingsBlock(row) {
  const found = guest("findings", row);
  if (!found.length) return null;
  const line = (item) =>
    h(
      "div",
      { class: `finding t-${item.severity}` },
      h("p", {}, badge(item.severity), " ", h("code", {}, item.id), " ", bdi(item.message)),
      h("p", { class: "remedy" }, h("b", {}, "Remedy: "), bdi(item.remedy)),
    );
  return block("Findings", ...found.map(line));
}
