# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A budget that is measured: the role tests the source of the guests, and divides a share of what it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from integration.sources.conftest import running

RATE = 16384
NONE = {"one": [], "two": [], "three": [], "four": []}
LAYOUT = {"virtio_rng_host_budget": "measured", "virtio_rng_max_bytes": "unlimited"}
DEVICE = "/dev/measured-rng"  # the same path whatever is behind it


@pytest.fixture
def source(fleet) -> Iterator:
    """A function that puts another source of hv1 behind the path of its guests."""
    host = fleet.lab.host("hv1")
    started = []

    def put(kind: str) -> None:
        running_source = running(host, "terminals.py", kind)
        started.append(running_source)
        path = json.loads(running_source.__enter__())["paths"][kind]
        host.check("ln", "-sfn", path, DEVICE)

    yield put
    for one in started:
        one.__exit__(None, None, None)


def measured(**variables):
    """An inventory in which hv1 measures; hv2 does as it always did."""
    test = {"seconds": 4}
    own = {**LAYOUT, "virtio_rng_source": DEVICE, "virtio_rng_source_test": test, **variables}
    return {"hypervisors": {"hosts": {"hv1": own}}}


def together(fleet) -> int:
    return sum(int(rate) for name in ("one", "two") for rate in fleet.rates(name))


def test_a_share_of_what_was_measured_and_no_change_when_it_wobbles(fleet, source):
    source(f"rate={RATE}")
    output = " ".join(fleet.play("fleet.rng.enable_rng", "-v", inventory=measured()).split())
    first = fleet.all_rates()
    assert first["one"] == first["two"]
    assert 0 < together(fleet) <= 0.5 * RATE * 1.1, "half of it; the test begins with what was ready"
    assert (first["three"], first["four"]) == (["1024"], ["1024"]), "a budget of hv1 is no matter of hv2"
    budget = re.search(r"budget of hv1: ([0-9]+) B/s of /dev/measured-rng, 50 % of what was measured", output)
    assert budget, output
    assert together(fleet) <= int(budget[1])
    for rate in (RATE * 5 // 4, RATE * 3 // 4):
        source(f"rate={rate}")
        again = fleet.play("fleet.rng.enable_rng", inventory=measured())
        assert again.count("changed=0") == 2, (rate, again)
        assert fleet.all_rates() == first


def test_check_mode_measures_and_changes_nothing(fleet, source):
    source(f"rate={RATE}")
    output = " ".join(fleet.play("fleet.rng.enable_rng", "--check", "-v", inventory=measured()).split())
    assert "50 % of what was measured" in output
    assert fleet.all_rates() == NONE


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("silent", "is blocked: not a byte came in 4 s"),
        ("stuck", "is failed: the bytes failed a health test: repetition_count, adaptive_proportion"),
        ("end", "is end of file: it ended after 0 bytes; QEMU would freeze on it"),
    ],
)
def test_a_source_that_cannot_be_measured_is_an_error_of_its_hypervisor(fleet, source, kind, why):
    source(kind)
    output = fleet.play("fleet.rng.enable_rng", code=2, inventory=measured())
    assert fleet.all_rates() == {**NONE, "three": ["1024"], "four": ["1024"]}, "nothing half done, and hv2 went on"
    said = " ".join(output.split())
    start = f"hypervisor hv1: virtio_rng_host_budget: measured, and {DEVICE} {why}"
    assert start in said, output
    assert "allowed: a source that gives bytes and fails no test; or bytes per second, or unlimited" in said
    assert output.count("failed=1") == 1


def test_a_source_that_went_bad_leaves_the_guests_as_they_are(fleet, source):
    source(f"rate={RATE}")
    fleet.play("fleet.rng.enable_rng", inventory=measured())
    before = fleet.all_rates()
    source("silent")
    fleet.play("fleet.rng.enable_rng", code=2, inventory=measured())
    assert fleet.all_rates() == before


def test_each_source_is_tested_where_it_is_used_and_only_there(fleet, source):
    """Both hypervisors measure: hv1 its device, hv2 the kernel's, which gives more than anybody may have."""
    source(f"rate={RATE}")
    both = measured()
    both["hypervisors"]["hosts"]["hv2"] = {**LAYOUT, "virtio_rng_max_bytes": 4096, "virtio_rng_host_budget_share": 1}
    fleet.play("fleet.rng.enable_rng", inventory=both)
    assert fleet.rates("three") == fleet.rates("four") == ["4096"]
    assert 0 < together(fleet) <= 0.5 * RATE * 1.1


def test_verifying_measures_too_and_the_report_says_so(fleet, source, tmp_path):
    source(f"rate={RATE}")
    fleet.play("fleet.rng.enable_rng", inventory=measured())
    output = fleet.play("fleet.rng.verify_rng", "-e", f"rng_report_dir={tmp_path}", inventory=measured())
    row = next(line.split() for line in output.splitlines() if line.startswith("hv1 "))
    assert row == ["hv1", "2", *("0", "0", "0", "0"), "2", "0"], "both are right, and off"
    documents = [json.loads(path.read_text()) for path in (tmp_path / "hosts").iterdir()]
    budgets = {document["hypervisor"]: document["budget"] for document in documents}
    assert budgets["hv2"] is None
    assert budgets["hv1"]["promised"] == together(fleet)
    told = budgets["hv1"]["measured"]
    assert (told["share"], list(told["sources"])) == (50, [DEVICE])
    assert told["sources"][DEVICE]["measured"] > 0
    assert " %), measured<" in (tmp_path / "report.html").read_text()


def test_without_a_measured_budget_no_source_is_read(fleet):
    output = fleet.play("fleet.rng.enable_rng")
    assert "Test the sources that guests are to have" not in output


def test_a_bad_option_of_the_test_is_told(fleet, source):
    source(f"rate={RATE}")
    bad = measured(virtio_rng_source_test={"seconds": 0})
    output = " ".join(fleet.play("fleet.rng.enable_rng", code=2, inventory=bad).split())
    assert "was not tested: seconds: 0 is not valid" in output
    assert fleet.rates("one") == []


def test_an_audit_tests_sources_when_asked(fleet, source):
    source("stuck")
    own = {"virtio_rng_sources": ["/dev/urandom"]}  # /dev/hwrng would be the machine's
    inventory = {"hypervisors": {"hosts": {"hv1": {"virtio_rng_source": DEVICE}}, "vars": own}}
    output = fleet.play("fleet.rng.audit_rng", "-e", "rng_audit_sources=true", inventory=inventory)
    rows = {tuple(line.split()[:3]) for line in output.splitlines()}
    assert ("hv1", DEVICE, "failed") in rows
    assert {(host, "/dev/urandom", "good") for host in ("hv1", "hv2")} <= rows
    assert "RNG017 error hv1 The source /dev/measured-rng fails a health test" in " ".join(output.split())
    assert "RNG017" not in fleet.play("fleet.rng.audit_rng", inventory=inventory), "not asked, not read"
