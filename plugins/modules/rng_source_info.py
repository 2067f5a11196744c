#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test sources of random numbers: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rng_source_info
version_added: 0.1.0
short_description: Test sources of random numbers before guests get them
description:
  - Reads from each source within limits of time and of bytes, and says whether bytes came, how fast, and whether a test
    found a failure in them.
  - The tests are the two continuous health tests of NIST SP 800-90B, the repetition count test and the adaptive
    proportion test, and where C(rngtest) is installed those of FIPS 140-2. They can find that a source has failed. None
    can show that it is good, so V(good) means that no failure was found.
  - It changes nothing. No more bytes are drawn than O(bytes). A source that is not safe to open, such as a regular
    file, a named pipe or a watchdog, is not opened.
  - It always comes back. Each source is read by a process of its own, which is killed when its time is up. One that
    even then hangs in the kernel is left behind and reported. All sources are read at the same time, so the module
    takes as long as one of them.
options:
  sources:
    description:
      - The sources to test, as O(fleet.rng.libvirt_rng#module:devices[].source). They are the absolute paths of
        character devices, V(builtin) for the kernel's getrandom() that QEMU itself uses, or EGD daemons
        (V(egd+unix:/path) or V(egd+tcp://host:port); V(egd+udp://host:port) cannot be tested).
      - At most 64. What is no source is an error of its own in the result, and the others are tested.
    type: list
    elements: str
    required: true
  seconds:
    description:
      - The seconds after which a source that has not given all bytes is left alone, from V(1) to V(60).
    type: int
    default: 5
  bytes:
    description:
      - How many bytes are drawn from each source, from V(256) to V(16777216).
      - The health tests need V(1024), those of FIPS 140-2 V(2504) to say anything. They look at the first MiB.
    type: int
    default: 65536
  min_bytes_per_second:
    description:
      - The rate in bytes per second below which a source is V(slow). With V(0) none is.
    type: int
    default: 0
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.info_module
notes:
  - Usually this needs C(become), because not everybody may read devices such as C(/dev/hwrng).
  - What is measured is what is left while others draw from the same source. On kernels before 5.6 reading
    C(/dev/random) uses up entropy that others wait for.
  - The time begins before the source is opened. A source that is slow to answer loses up to 64 bytes of an unfinished
    read when its time is up.
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.rng_info
  - module: fleet.rng.rng_plan
"""

EXAMPLES = r"""
- name: Test the sources of this host
  fleet.rng.rng_source_info:
    sources: [/dev/urandom, /dev/hwrng]
  become: true
  register: tested

- name: Say which are not fit for guests
  ansible.builtin.debug:
    msg: "{{ item.source }} is {{ item.status }}, {{ item.why }}"
  loop: "{{ tested.sources | rejectattr('status', 'equalto', 'good') }}"

- name: See whether the TPM is fast enough, with a longer sample
  fleet.rng.rng_source_info:
    sources: [/dev/hwrng]
    seconds: 30
    bytes: 1048576
    min_bytes_per_second: 1024
  become: true
"""

RETURN = r"""
sources:
  description: The result of each source, in the order of O(sources), each once.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: The source, as it was given.
      type: str
      sample: /dev/hwrng
    status:
      description:
        - V(good), bytes came, and no failure was found in them.
        - V(slow), the same, and slower than O(min_bytes_per_second).
        - V(blocked), no byte came, or none in the second half of a time of four seconds or more, or the read hangs.
        - V(end of file), it ended. QEMU would freeze on it.
        - V(failed), the bytes failed a health test.
        - V(unsafe), it is not safe to open, and was not opened.
        - V(missing), nothing is there.
        - V(error), it could not be read, for another reason.
      type: str
      choices: [good, slow, blocked, end of file, failed, unsafe, missing, error]
      sample: good
    why:
      description: What stands behind the status, in a sentence.
      type: str
      sample: all 65536 bytes came, and no failure was found in them
    bytes:
      description: How many bytes came.
      type: int
      sample: 65536
    seconds:
      description: How long it was read, in seconds.
      type: float
      sample: 0.812345
    bytes_per_second:
      description: The rate, or V(null) where none could be measured.
      type: float
      sample: 80675.1
    health:
      description:
        - What the tests say of the bytes that came. Each is one of V(no failure found), V(failed), V(too little data)
          and V(not run).
      type: dict
      contains:
        repetition_count:
          description: No byte is repeated too often in a row.
          type: str
          sample: no failure found
        adaptive_proportion:
          description: No byte is too frequent in a window of 512.
          type: str
          sample: no failure found
        fips_140_2:
          description: The tests of FIPS 140-2. V(not run) without C(rngtest) on the machine.
          type: str
          sample: not run
findings:
  description:
    - What is worth saying about the sources, in the form of RV(fleet.rng.rng_info#module:rng.findings).
      C(docs/findings.md) of the collection lists them.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.module.sources import SOURCES_SPEC, run


def main():
    run(AnsibleModule(argument_spec=SOURCES_SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
