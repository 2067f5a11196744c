# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of enable_rng.yml has every guest before and after, and is true of what is in them."""

from __future__ import annotations

from html.parser import HTMLParser

testinfra_hosts = ["ansible://hv6"]

HOSTILE = "<script>alert(1)</script>"
RATES = {"steady": 1024, "brisk": 4096, "hostile": 1024}  # bytes in a period of 1000 ms
DEVICE = {"source": "/dev/urandom", "period": 1000, "model": "virtio", "driver": {}}


class Scripts(HTMLParser):
    """What a browser would take for scripts, and all the text that it would show."""

    def __init__(self, page):
        super().__init__()
        self.scripts = []
        self.text = ""
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        del attrs
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        del tag
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts.append(data)
        else:
            self.text += data


def test_report_has_what_the_run_changed(guest, report):
    guests = report("report-enable").guests("hv6")
    assert set(guests) == set(RATES)
    for name, rate in RATES.items():
        (after,) = guests[name]["after"]["live"]
        assert {key: after[key] for key in DEVICE} == DEVICE
        assert after["max_bytes"] == rate
        assert [rng["bytes"] for rng in guest(name).rngs()] == [str(rate)]


def test_all_are_verified(report):
    guests = report("report-enable").guests("hv6")
    assert {name: entry["verdict"] for name, entry in guests.items()} == dict.fromkeys(RATES, "verified")


def test_a_hostile_name_is_text_on_the_page(guest, report):
    told = report("report-enable")
    # The guest really says so, and the report keeps it as data.
    assert HOSTILE in guest("hostile").run("cat /etc/os-release")
    assert HOSTILE in told.guests("hv6")["hostile"]["view"]["os"]
    assert HOSTILE not in told.page
    page = Scripts(told.page)
    assert page.scripts
    assert "alert(1)" not in [script.strip() for script in page.scripts]
    # It is there all the same: in the text, or in the page's data, where < is written as an escape.
    assert HOSTILE in page.text or "alert(1)" in "".join(page.scripts)
