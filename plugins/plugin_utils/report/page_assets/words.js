// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Words and numbers as the server side of the page writes them (page_facts.py).

const VERDICTS = ["failed", "waiting", "unproven", "not judged", "off", "unmanaged", "verified"];
const RUNS = ["refused", "error", "needs restart", "pending removal", "changed", "unchanged"];
const BROKER_STATES = ["stale", "no source", "guests wait", "unreadable", "fallback", "serving"];
const NO_GROUP = "no group";
const CHECKS = ["config", "live", "source", "rate", "driver", "current", "open", "measured"];

const number = new Intl.NumberFormat("en").format;
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const collator = new Intl.Collator("en", { numeric: true });

const UNITS = [
  [1024 ** 3, "GiB", 4],
  [1024 ** 2, "MiB", 4],
  [1024, "KiB", 4],
  [1, "B", 4],
  [0, "B", 3],
];

/** An amount rounded, and how many bytes that are. */
function rounded(bytes) {
  const [size, unit, digits] = UNITS.find(([least]) => bytes >= least);
  const shown = Number((bytes / (size || 1)).toPrecision(digits));
  return [`${shown} ${unit}`, shown * (size || 1)];
}

const amount = (bytes) => rounded(bytes)[0];

function deviceText(device) {
  if (device.max_bytes === "unlimited") return `${device.source}, unlimited`;
  const rate = `${device.source}, ${amount((device.max_bytes * 1000) / device.period)}/s`;
  if (device.period === 1000 && rounded(device.max_bytes)[1] === device.max_bytes) return rate;
  return `${rate} (${device.max_bytes} B / ${device.period} ms)`; // where the rate alone says less
}

function devicesText(devices) {
  if (!devices) return "unknown";
  return devices.map(deviceText).join(" + ") || "none";
}

/** The names of the health tests. */
const HEALTH = {
  repetition_count: "Repetition count",
  adaptive_proportion: "Adaptive proportion",
  fips_140_2: "FIPS 140-2",
};

const plain = (word) => String(word).replaceAll("_", " ");
