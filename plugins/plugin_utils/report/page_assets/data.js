// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The data of the page, by columns (see page_columns.py). The files of this folder make up one script, in the order of
// page.py. A library for tables was weighed and left out: the ones with virtual scrolling set markup from strings and
// style attributes, which the page's policy forbids, and a page of a hundred real rows is what a screen reader reads best.

const PAGE = JSON.parse(document.getElementById("data").textContent);

/** Give a function (name, row) => value over one table of columns. */
function reader({ columns }) {
  return (name, row) => {
    const column = columns[name];
    if ("c" in column) return column.c;
    return column.d ? column.d[column.i[row]] : column.v[row];
  };
}

const guest = reader(PAGE.guests);
const host = reader(PAGE.hosts);
const broker = reader(PAGE.brokers);
const GUESTS = PAGE.guests.count;
const HOSTS = PAGE.hosts.count;
const BROKERS = PAGE.brokers.count;

const hostOf = (row) => host("name", guest("host", row));
