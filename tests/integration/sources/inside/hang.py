# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that hangs whoever looks at it, for ever and deaf to signals: a FUSE server that answers nothing.

hang.py DIRECTORY
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

_INIT = 26
_HEADER = struct.Struct("=IIQ")  # of a request: length, operation, number

node, directory = Path("/dev/fuse"), Path(sys.argv[1])
if not node.exists():
    os.mknod(node, 0o20600, os.makedev(10, 229))
directory.mkdir(parents=True, exist_ok=True)
server = os.open(node, os.O_RDWR)
options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"hang", bytes(directory), b"fuse", 0, options.encode()):
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
while True:
    request = os.read(server, 1 << 20)
    length, operation, number = _HEADER.unpack_from(request)
    if operation == _INIT:
        body = struct.pack("=4I2H2I2H8I", 7, 31, 65536, 0, 12, 9, 65536, 1, 1, 0, *(0,) * 8)
        os.write(server, struct.pack("=IiQ", 16 + len(body), 0, number) + body)
        print(os.getpid(), flush=True)
