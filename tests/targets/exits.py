"""Touch memory, and end after argv[1] seconds with status argv[2]."""

import mmap
import os
import sys
import time

from vadamon._native.workload import die_with_parent

die_with_parent(os.getppid())
area = mmap.mmap(-1, 16 << 20)
print("ready", flush=True)
deadline = time.monotonic() + float(sys.argv[1])
while time.monotonic() < deadline:
    area[::4096] = b"x" * len(area[::4096])
    time.sleep(1e-3)
os._exit(int(sys.argv[2]))
