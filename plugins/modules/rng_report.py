#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_report
version_added: 0.1.0
short_description: Write what a run found and did as a page, JSON, CSV and metrics
description:
  - Gathers what the roles and playbooks of this collection registered of each hypervisor, merges it with the
    documents of other runs, and writes a report of the whole fleet to a directory on the controller.
  - Runs on the controller, contacts no host, and needs no network. Run it once for all hypervisors, with C(run_once).
  - Of each hypervisor the document that was collected last is in the report, wherever it comes from. So a run with
    C(--limit), the slices of a job, or runs at several sites add up to one report.
  - C(docs/report.md) of the collection describes the files, and C(docs/report.schema.json) and
    C(docs/host.schema.json) are the JSON Schemas of the documents.
options:
  dest:
    description:
      - The directory of the report. It is made when it is missing, with those above it.
      - A relative path begins at the directory in which C(ansible-playbook) was called, and C(~) is the home of the
        user who called it. It does not begin at the playbook's own directory, since that may be inside the
        collection.
      - The documents that it has from other runs, in C(hosts) and in the C(hosts) of its subdirectories, are part of
        the report. To forget a hypervisor, delete its file from C(hosts).
    type: path
    required: true
  title:
    description: The title of the page.
    type: str
    default: Random number generators of the fleet
  formats:
    description:
      - What to write.
      - V(json) is C(report.json), and a document of each hypervisor, C(hosts/NAME.json), which later runs merge.
        Without it this run cannot be merged later.
      - V(html) is C(report.html), a page that needs no other file.
      - V(csv) is C(guests.csv), with one row for each guest.
      - V(openmetrics) is C(rng.prom), for a textfile collector.
    type: list
    elements: str
    choices: [html, json, csv, openmetrics]
    default: [html, json, csv, openmetrics]
  results:
    description:
      - Directories on the controller with documents of other runs, such as the O(dest) of each of them.
      - Of each directory the files C(*.json), C(hosts/*.json) and C(*/hosts/*.json) are read. A whole report counts
        as all of its documents.
      - A file that is neither a report nor the document of a hypervisor, or that is larger than 64 MiB, is left out
        with a warning that names it.
    type: list
    elements: path
    default: []
  hosts:
    description:
      - The hypervisors of this run. By default all hosts of the play, those that failed or were unreachable too.
      - One of which nothing was registered is in the report as not observed.
      - An empty list takes nothing from this run, and only merges.
    type: list
    elements: str
  observation:
    description:
      - Name of the variable that holds the result of the C(_info) module, such as M(fleet.rng.libvirt_rng_info).
    type: str
    default: virtio_rng_observation
  plan:
    description:
      - Name of the variable that holds the result of M(fleet.rng.rng_plan).
      - With its option O(fleet.rng.rng_plan#module:explain=changes) the guests that are in sync have no
        RV(ignore:state) and no wanted device in the report.
    type: str
    default: virtio_rng_plan
  result:
    description:
      - Name of the variable that holds the result of the module that changed the guests, such as
        M(fleet.rng.libvirt_rng).
    type: str
    default: virtio_rng_result
  proof:
    description: Name of the variable that holds the result of the C(_info) module after the changes.
    type: str
    default: virtio_rng_proof
  verification:
    description: Name of the variable that holds the result of M(fleet.rng.rng_verify).
    type: str
    default: virtio_rng_verification
  inside:
    description:
      - Name of the variable in which guests that are inventory hosts registered the result of M(fleet.rng.rng_info).
      - It is used where the guest's agent did not answer.
    type: str
    default: virtio_rng_inside
  mode:
    description:
      - The permissions of the files, as octal digits in quotes, such as V('0640').
      - A report names the hypervisors and guests of a fleet, and their weak points.
    type: raw
    default: '0644'
  directory_mode:
    description: The permissions of directories that are made. Those that exist keep theirs.
    type: raw
    default: '0755'
extends_documentation_fragment:
  - fleet.rng.attributes
attributes:
  action:
    description: Has an action plugin of the same name, and runs on the controller only.
    support: full
  check_mode:
    support: full
    details:
      - In check mode no file is written. The role P(fleet.rng.rng_report#role) writes the report all the same,
        because that is when one wants to read it; the report then says that it shows what would be done.
  diff_mode:
    support: none
notes:
  - Each file is put in place as a whole. Runs that write to the same directory at the same time do no harm to the
    documents, but C(report.*) then lacks what the other one found. Let each have a directory of its own, and merge
    them.
  - A task is changed when a file says anything new but the time. All files get the time of the run anyway.
  - In the JSON files names of guests are as they are. Whatever shows them has to escape them, as the page does.
  - In C(guests.csv) a cell that a spreadsheet would take for a formula begins with an apostrophe.
seealso:
  - module: fleet.rng.rng_plan
  - module: fleet.rng.rng_verify
author:
  - The fleet.rng authors (@fleet-rng)
"""

EXAMPLES = r"""
- name: Write the report of this run
  fleet.rng.rng_report:
    dest: reports
  run_once: true

- name: Write it where only the group may read it, and no metrics
  fleet.rng.rng_report:
    dest: /srv/reports/rng
    title: Berlin
    formats: [html, json, csv]
    mode: '0640'
    directory_mode: '0750'
  run_once: true

- name: Merge the slices of a job, in a play on localhost
  fleet.rng.rng_report:
    dest: reports/all
    hosts: []
    results:
      - reports/slice1
      - reports/slice2
"""

RETURN = r"""
line:
  description: The report in one line.
  returned: success
  type: str
  sample: "Report: 4 hypervisors, 120 guests, 118 with an RNG in their config, 96 of 97 that run with one"
paths:
  description: The path of each file that was written, by its format.
  returned: success
  type: dict
  sample:
    html: /srv/reports/rng/report.html
    json: /srv/reports/rng/report.json
hypervisors:
  description: The number of hypervisors in the report.
  returned: success
  type: int
not_observed:
  description: The hypervisors that could not be observed.
  returned: success
  type: list
  elements: str
summary:
  description: The numbers of guests in the report. C(report.json) has more of them.
  returned: success
  type: dict
  contains:
    guests:
      description:
        - All C(guests), those that are C(running), that have an RNG in their C(config) and C(live), and C(verified).
      type: dict
    verdicts:
      description:
        - The number of guests of each verdict of M(fleet.rng.rng_verify); V(none) are those that were not verified.
      type: dict
    outcomes:
      description:
        - The number of guests C(changed), C(refused) and C(failed), and with C(needs_restart) or C(pending_removal).
      type: dict
    check_mode:
      description: Whether the outcomes of any hypervisor are what would be done.
      type: bool
  sample:
    check_mode: false
    guests: {config: 118, guests: 120, live: 96, running: 97, verified: 95}
    outcomes: {changed: 4, failed: 0, needs_restart: 1, pending_removal: 0, refused: 1}
    verdicts: {failed: 1, none: 0, "off": 20, unmanaged: 2, unproven: 1, verified: 95, waiting: 1}
"""
