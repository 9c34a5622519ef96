"""Map and unmap memory a thousand times a second."""

import mmap
import os
import time

from vadamon._native.workload import die_with_parent

die_with_parent(os.getppid())
print("ready", flush=True)
deadline = time.monotonic()
while True:
    with mmap.mmap(-1, 1 << 20) as area:
        area[::4096] = b"x" * len(area[::4096])
    deadline += 1e-3
    time.sleep(max(0.0, deadline - time.monotonic()))
