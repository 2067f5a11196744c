// Copyright (c) 2026 the fleet.rng authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A long table, a page at a time, in the markup that the server side made: real rows, real headings.

const ROWS = 100;
const ON_PAPER = 1000; // rows at most; more would be hundreds of sheets

class PagedTable {
  /** render(row) gives the <tr>s of a row; keys give what each heading sorts by, or null. */
  constructor(name, what, render, keys, changed = () => {}) {
    this.table = document.getElementById(`${name}-table`);
    this.body = this.table.tBodies[0];
    this.pager = document.getElementById(`${name}-pager`);
    this.name = { guests: "guests", hosts: "hypervisors", compliance: "compliance of hypervisors" }[name] ?? name;
    this.what = what;
    this.render = render;
    this.changed = changed;
    this.size = ROWS;
    this.page = 0;
    this.rows = [];
    this.sort = null; // {column, down}
    this.keys = keys;
    this.heads = [...this.table.tHead.rows[0].cells];
    this.heads.forEach((head, column) => {
      if (keys[column]) this.sortable(head, column);
    });
  }

  sortable(head, column) {
    const order = () => {
      const down = this.sort?.column === column ? !this.sort.down : false;
      this.order({ column, down });
      this.changed();
    };
    head.replaceChildren(h("button", { type: "button", class: "sort", click: order }, head.textContent));
  }

  order(sort) {
    this.sort = sort && this.keys[sort.column] ? sort : null;
    this.heads.forEach((head, column) => {
      if (this.sort?.column === column) head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    this.show(this.rows);
  }

  /** Show these rows, given in their usual order. */
  show(rows, page = 0) {
    this.rows = rows;
    this.sorted = rows;
    if (this.sort) {
      const key = this.keys[this.sort.column];
      const sign = this.sort.down ? -1 : 1;
      const keyed = rows.map((row) => [key(row), row]);
      keyed.sort(([a], [b]) => sign * (typeof a === "string" ? collator.compare(a, b) : a - b));
      this.sorted = keyed.map(([, row]) => row);
    }
    this.page = Math.min(Math.max(page, 0), this.pages - 1);
    this.draw();
  }

  get pages() {
    return Math.max(1, Math.ceil(this.rows.length / this.size));
  }

  draw() {
    const start = this.page * this.size;
    const shown = this.sorted.slice(start, start + this.size);
    const empty = h("tr", {}, h("td", { colspan: this.heads.length }, `No ${this.what} to show.`));
    this.body.replaceChildren(...(shown.length ? shown.flatMap((row) => this.render(row)) : [empty]));
    this.drawPager();
  }

  drawPager() {
    if (this.pages === 1) {
      this.pager.replaceChildren();
      return;
    }
    const last = this.pages - 1;
    const button = (text, page) => {
      const off = page < 0 || page > last || page === this.page;
      return h("button", { type: "button", disabled: off, click: () => this.turn(page, text) }, text);
    };
    this.pager.replaceChildren(
      h(
        "nav",
        { class: "pager", "aria-label": `Pages of the ${this.name}` },
        button("First", 0),
        button("Previous", this.page - 1),
        h("span", {}, `Page ${number(this.page + 1)} of ${number(this.pages)}`),
        button("Next", this.page + 1),
        button("Last", last),
      ),
    );
  }

  turn(page, text) {
    this.page = page;
    this.draw();
    this.changed();
    // The button is a new one, and may be off at the end of the list.
    const buttons = [...this.pager.querySelectorAll("button:not(:disabled)")];
    (buttons.find((button) => button.textContent === text) ?? buttons[0])?.focus({ preventScroll: true });
    this.table.scrollIntoView({ block: "start" });
  }

  /** All rows at once while the page is printed. */
  print(on) {
    this.size = on ? ON_PAPER : ROWS;
    this.page = 0;
    this.draw();
  }
}
