# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators do with the playbooks: parts of the fleet, steps, hosts and guests that fail, and other users."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from integration.role.conftest import REPOSITORY

NONE = {"one": [], "two": [], "three": [], "four": []}
DEFAULT = {"one": ["1024"], "two": ["1024"], "three": ["1024"], "four": ["1024"]}


def test_enable_disable_and_audit(fleet):
    assert "changed=0" in fleet.play("fleet.rng.audit_rng")
    assert fleet.all_rates() == NONE
    fleet.play("fleet.rng.enable_rng")
    assert fleet.all_rates() == DEFAULT
    assert fleet.rates("four", live=True) == ["1024"]
    assert fleet.play("fleet.rng.enable_rng").count("changed=0") == 2
    assert fleet.play("fleet.rng.audit_rng").count("changed=0") == 2
    fleet.play("fleet.rng.disable_rng")
    assert fleet.all_rates() == NONE


def test_limit(fleet):
    output = fleet.play("fleet.rng.enable_rng", "--limit", "hv1")
    assert fleet.all_rates() == {**NONE, "one": ["1024"], "two": ["1024"]}
    assert "hv2" not in output


def test_serial_goes_in_steps(fleet):
    output = fleet.play("fleet.rng.enable_rng", "-e", "rng_serial=1")
    assert output.count("PLAY [Give the guests their RNG]") == 2
    assert fleet.all_rates() == DEFAULT


def test_a_step_that_fails_does_not_end_a_run_in_steps(fleet):
    lost = {"hypervisors": {"hosts": {"gone": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}}
    bad = {"guests": {"hosts": {"one": {"virtio_rng_source": "/dev/null"}}}}
    output = fleet.play("fleet.rng.enable_rng", "-e", "rng_serial=1", code=2, inventory={**lost, **bad})
    assert fleet.all_rates() == {**DEFAULT, "one": []}
    assert output.count("PLAY [Give the guests their RNG]") == 3
    assert output.count("failed=1") == 2


def test_tags(fleet):
    playbook = [{"import_playbook": "fleet.rng.enable_rng", "tags": "rng"}]
    fleet.play(playbook, "--skip-tags", "rng")
    assert fleet.all_rates() == NONE
    fleet.play(playbook, "--tags", "rng", "--limit", "hv1")
    assert fleet.rates("one") == ["1024"]


def test_variables_of_the_play(fleet):
    role = {"role": "fleet.rng.virtio_rng"}
    play = {"hosts": "hv1", "gather_facts": False, "vars": {"virtio_rng_max_bytes": 4096}, "roles": [role]}
    fleet.play([play])
    assert fleet.rates("one") == fleet.rates("two") == ["4096"]


def test_running_guests_are_left_alone_when_live_is_false(fleet):
    output = fleet.play("fleet.rng.enable_rng", "-e", json.dumps({"virtio_rng_live": False}))
    assert fleet.rates("four") == ["1024"]
    assert fleet.rates("four", live=True) == []
    assert "four  needs restart" in output


def test_an_unreachable_host_stops_nobody(fleet):
    lost = {"hypervisors": {"hosts": {"gone": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}}
    output = fleet.play("fleet.rng.enable_rng", code=2, inventory=lost)
    assert fleet.all_rates() == DEFAULT
    table = output[output.index("hypervisor  guests") : output.index("PLAY [Say what went wrong]")]
    assert "gone  not planned  not observed: " in table
    assert "Connection refused" in " ".join(table.split())


def test_a_fleet_that_cannot_be_reached_at_all_has_a_table_too(fleet):
    away = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    output = fleet.play(
        "fleet.rng.enable_rng", code=2, inventory={"hypervisors": {"hosts": {"hv1": away, "hv2": away}}}
    )
    assert output.count("not planned  not observed: ") == 2
    assert fleet.all_rates() == NONE


def test_a_directory_for_device_files_is_absolute(fleet):
    output = fleet.play("fleet.rng.enable_rng", "-e", "virtio_rng_config_dir=here", "--limit", "hv1", code=2)
    assert "virtio_rng_config_dir: 'here' is not valid; allowed: an absolute path" in " ".join(output.split())
    assert fleet.all_rates() == NONE


def test_files_that_cannot_be_written_keep_no_hypervisor_from_its_turn(fleet):
    options = ("-e", "virtio_rng_config_dir=/proc/rng", "-e", "rng_serial=1")
    output = fleet.play("fleet.rng.enable_rng", *options, code=2)
    assert fleet.all_rates() == DEFAULT
    assert output.count("virtio_rng_config_dir /proc/rng: ") >= 2


def test_an_audit_shows_who_could_not_be_audited(fleet):
    away = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    lost = {"hypervisors": {"hosts": {"gone": away}}, "guests": {"hosts": dict.fromkeys(DEFAULT, away)}}
    output = fleet.play("fleet.rng.audit_rng", "-e", "rng_audit_guests=true", code=2, inventory=lost)
    assert "Traceback" not in output
    rows = [line.split()[:3] for line in output.splitlines() if " not audited " in line]
    assert rows == [[name, "not", "audited"] for name in ("gone", *sorted(DEFAULT))]
    assert [line.split()[0] for line in output.splitlines() if line.startswith("hv") and " host " in line]


def test_a_refused_guest_fails_its_host_at_the_end_and_nobody_else(fleet):
    # /dev/null is refused on the host, 0 already by the plan
    bad = {"guests": {"hosts": {"one": {"virtio_rng_source": "/dev/null"}, "three": {"virtio_rng_max_bytes": 0}}}}
    output = fleet.play("fleet.rng.enable_rng", code=2, inventory=bad)
    assert fleet.all_rates() == {"one": [], "two": ["1024"], "three": [], "four": ["1024"]}
    table = output[output.index("hypervisor  guests") : output.index("PLAY [Say what went wrong]")]
    assert "one" in table
    assert "/dev/null" in table
    assert "virtio_rng_max_bytes" in table
    assert output.count("failed=1") == 2
    again = fleet.play("fleet.rng.enable_rng", code=2, inventory=bad)
    assert again.count("changed=0") == 2


def test_what_failed_is_said_once_when_it_is_verified_too(fleet):
    bad = {"guests": {"hosts": {"one": {"virtio_rng_source": "/dev/null"}}}}
    output = fleet.play("fleet.rng.enable_rng", "--limit", "hv1", "-e", "rng_verify=true", code=2, inventory=bad)
    (end,) = [" ".join(part.split()) for part in output.split("PLAY [Say what went wrong]")[1:]]
    assert "msg: '1 of 2 guests failed: one: The wanted RNG, /dev/null, 1024 B / 1000 ms, is missing: " in end
    assert end.count("is no source of randomness'") == end.count("no source of randomness'") == 1
    assert ".;" not in end
    assert "of 1 guests" not in end


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The collection as an operator has it: built, and installed from the tarball."""
    directory = tmp_path_factory.mktemp("installed")
    galaxy = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection"]
    subprocess.run([*galaxy, "build", REPOSITORY, "--output-path", directory], check=True, capture_output=True)
    (tarball,) = directory.glob("fleet-rng-*.tar.gz")
    subprocess.run(
        [*galaxy, "install", tarball, "-p", directory, "--offline", "--force"], check=True, capture_output=True
    )
    return directory


def test_installed_collection(fleet, installed):
    config = fleet.directory / "ansible.cfg"
    config.write_text(f"[defaults]\ncollections_path = {installed}\n")
    fleet.environment = {"ANSIBLE_CONFIG": str(config)}
    fleet.play("fleet.rng.enable_rng", "--limit", "hv1")
    assert fleet.rates("one") == ["1024"]


def test_a_host_with_two_kinds_of_hypervisor_is_left_alone(fleet):
    host = fleet.lab.host("hv1")
    host.write("/usr/sbin/pvesh", "#!/bin/sh\n")
    host.check("chmod", "0755", "/usr/sbin/pvesh")
    try:
        output = fleet.play("fleet.rng.enable_rng", code=2)
        assert "several kinds of hypervisor are on this host: libvirt, proxmox; set" in " ".join(output.split())
        assert fleet.all_rates() == {**DEFAULT, "one": [], "two": []}
        fleet.play("fleet.rng.enable_rng", "--limit", "hv1", "-e", "virtio_rng_hypervisor=libvirt")
    finally:
        host.check("rm", "/usr/sbin/pvesh")
    assert fleet.all_rates() == DEFAULT


def test_a_guest_that_may_be_restarted_is(fleet):
    restart = {"virtio_rng_live": False, "virtio_rng_restart_timeout": 1, "virtio_rng_restart_force": True}
    allowed = {"guests": {"hosts": {"four": {"virtio_rng_restart": "when_needed"}}}}
    output = fleet.play("fleet.rng.enable_rng", "-e", json.dumps(restart), inventory=allowed)
    assert "needs restart  " not in output.replace("needs restart  refused", "")
    assert fleet.rates("four", live=True) == ["1024"]
    assert fleet.play("fleet.rng.enable_rng", "-e", json.dumps(restart), inventory=allowed).count("changed=0") == 2


@pytest.fixture(scope="module")
def operator(lab) -> dict[str, object]:
    """A user of hv1 without any rights of its own, who may use sudo."""
    host = lab.host("hv1")
    host.check("sh", "-c", "id alice 2>&1 || useradd --create-home --password '*' alice")
    host.write("/etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n")
    host.check("chmod", "0440", "/etc/sudoers.d/alice")
    return {"hypervisors": {"hosts": {"hv1": {"ansible_user": "alice"}}}}


def test_user_who_may_sudo(fleet, operator):
    fleet.play("fleet.rng.enable_rng", "--limit", "hv1", inventory=operator)
    assert fleet.rates("one") == ["1024"]


def test_user_without_root_observes_but_changes_nothing(fleet, operator):
    assert "one" in fleet.play("fleet.rng.audit_rng", "--limit", "hv1", "-v", inventory=operator)
    no = json.dumps({"virtio_rng_become": False})
    output = fleet.play("fleet.rng.enable_rng", "--limit", "hv1", "-e", no, code=2, inventory=operator)
    assert fleet.all_rates() == NONE
    assert "Traceback" not in output
