#!/usr/bin/python
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the hardware RNG of a kernel: documentation, and the runner that does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hwrng
version_added: 0.1.0
short_description: Choose which hardware RNG the kernel uses, now and after every boot
description:
  - Linux feeds itself, and whoever reads C(/dev/hwrng), from one hardware random number generator (RNG). Of several it
    takes the one that its drivers call the best, which need not be the one that you trust.
  - This tells the kernel which to use, by a list of preferences, and makes the machine choose by the same list at boot.
  - A choice that was made stays when the kernel meets an RNG that it thinks better of. So an RNG that is in use by the
    kernel's own choice is chosen, too, which is a change.
  - Nothing is reset on a failure, since nothing has been taken away. When no preference matches, or the device that was
    chosen vanishes meanwhile, the task fails and the RNG that was in use stays in use.
options:
  prefer:
    description:
      - Patterns of names in C(/sys/class/misc/hw_random/rng_available), best first, such as V(tpm-*), V(*-rng) or
        V(amd). The wildcards are V(*), V(?) and V([...]), with V([!...]) for characters that must not be there.
      - The first pattern that matches counts. Of several RNGs that match it the one in use stays, else the first one in
        the kernel's list is taken.
      - The word V(none) turns the hardware RNG off, on kernels that offer it (Linux 6.18 and later). No pattern matches
        it.
      - At most 32 patterns of at most 64 characters. They may contain letters, digits, the wildcards, and any of
        V(_.:,@+=/-).
    type: list
    elements: str
    required: true
  now:
    description:
      - Whether to choose at once. Otherwise only the next boots are prepared. Then nothing has to match, for instance
        while an image is built.
    type: bool
    default: true
  boot:
    description:
      - What chooses at boot. Files of ours for the other ways are removed.
      - V(udev) is a rule and a small script. They apply O(prefer) to what is there whenever a driver takes or leaves a
        device, so also after hot-plugging. Names that change from boot to boot do no harm.
      - V(script) is a boot script that applies O(prefer) once, for OpenRC (C(/etc/local.d), the service C(local) is
        turned on) and runit (C(/etc/runit/core-services)).
      - V(tmpfiles) is a line for systemd-tmpfiles. It is the simplest to read. But it holds the name that is chosen
        now, and is applied once, whether or not the driver is there by then. Choose it for names that never change
        and drivers that are built into the kernel.
      - V(auto) is the first that works on the machine of V(udev), V(script) and V(tmpfiles). Where none does, the task
        fails.
      - With O(now=false) V(udev) and V(tmpfiles) are only written, whether or not they work on this machine by now.
      - V(none) leaves the choice at boot to the kernel, and removes the files that this module wrote earlier.
    type: str
    choices:
      - auto
      - tmpfiles
      - udev
      - script
      - none
    default: auto
  modules:
    description:
      - Kernel modules to load before choosing, and, unless O(boot=none), at every boot (C(/etc/modules-load.d), which
        OpenRC and runit read as well). One that is loaded or built in is fine.
      - What an earlier run wrote and this list does not name is no longer loaded at boot. Nothing is ever unloaded.
    type: list
    elements: str
    default: []
notes:
  - The files are called C(fleet-rng-hwrng) or C(90-fleet-rng-hwrng), say in their first lines that this module wrote
    them, and are replaced as a whole or not at all. A file of such a name that was written by somebody else is never
    touched. Where it is in the way, the task fails before it changes anything.
  - In check mode with O(modules) that are not loaded yet nobody knows which RNGs they bring. RV(reason) says so.
  - Needs root, and a C(/sys) that can be written. In a container the choice belongs to its host.
extends_documentation_fragment:
  - fleet.rng.attributes
  - fleet.rng.attributes.converging_module
author:
  - The fleet.rng authors (@fleet-rng)
seealso:
  - module: fleet.rng.rng_info
  - name: Linux kernel, hardware random number generators
    description: The drivers behind C(/dev/hwrng).
    link: https://docs.kernel.org/admin-guide/hw_random.html
"""

EXAMPLES = r"""
- name: Use the TPM, else whatever the processor has
  fleet.rng.hwrng:
    prefer:
      - tpm-*
      - amd
      - '*-rng'

- name: Load the driver of the virtio RNG in a guest, and use that
  fleet.rng.hwrng:
    prefer: [virtio_rng.*]
    modules: [virtio_rng]

- name: Choose for now only, and forget what was to be chosen at boot
  fleet.rng.hwrng:
    prefer: [tpm-rng-0]
    boot: none

- name: Prepare an image for machines that have a TPM
  fleet.rng.hwrng:
    prefer: [tpm-*]
    modules: [tpm_tis]
    now: false
    boot: udev

- name: Let the kernel use no hardware RNG
  fleet.rng.hwrng:
    prefer: [none]
"""

RETURN = r"""
chosen:
  description:
    - The RNG that O(prefer) chose.
    - Null where nothing could be chosen, or, with O(now=false) and in check mode before O(modules) are loaded, where
      nothing matches yet.
  returned: always
  type: str
  sample: tpm-rng-0
reason:
  description: Why it is this one, or why nothing is chosen now. Empty on a failure before the choice.
  returned: always
  type: str
  sample: tpm-rng-0 matches tpm-*, instead of virtio_rng.0
available:
  description:
    - The RNGs that the kernel has, in its order, after O(modules) were loaded.
    - With V(none) on kernels that can be told to use none.
  returned: always
  type: list
  elements: str
  sample: [virtio_rng.0, tpm-rng-0]
current:
  description: The RNG in use.
  returned: always
  type: dict
  contains:
    before:
      description: What it was. V(none) where the kernel used none, null where it has no support for hardware RNGs.
      type: str
      sample: virtio_rng.0
    after:
      description: What it is, as read back from the kernel, or in check mode what it would be.
      type: str
      sample: tpm-rng-0
boot:
  description: What chooses at boot.
  returned: always
  type: dict
  contains:
    mechanism:
      description: One of V(udev), V(script), V(tmpfiles) and V(none).
      type: str
      sample: udev
    path:
      description: The file that does it, or null.
      type: str
      sample: /etc/udev/rules.d/90-fleet-rng-hwrng.rules
    changed:
      description: Whether a file was written or removed, or would be in check mode. That of O(modules) counts.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleet.rng.plugins.module_utils.module.hwrng import SPEC, run


def main():
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
