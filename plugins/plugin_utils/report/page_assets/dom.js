// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Elements. Text becomes text: nothing in this script turns a string into markup, and the page's policy forbids it.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Text of others: its reading direction ends with it. */
const bdi = (text) => h("bdi", {}, String(text ?? ""));

/** A name; what is far longer than names are is cut, and whole in its title. */
function named(name) {
  const long = name.length > 64;
  return h("bdi", { class: long ? "long" : null, title: long ? name : null }, name);
}

const slug = (word) => word.replaceAll(" ", "-");

function icon(word) {
  const use = svg("use", { href: `#i-${slug(word)}` });
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, use);
}

const badge = (word) => h("span", { class: `badge b-${slug(word)}` }, icon(word), word);

/** A stacked bar: [[class, share], ...], shares of 1. */
function bar(parts) {
  const box = svg("svg", { class: "bar", viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  let start = 0;
  for (const [name, share] of parts) {
    box.append(svg("rect", { class: name, x: start, width: share * 1000, height: 10 }));
    start += share * 1000;
  }
  return box;
}

/** A list of terms; what has no value is left out. */
function terms(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", {}, ...shown.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, wrapped(value))]));
}

const wrapped = (value) => (value instanceof Node ? value : bdi(value));
