"""Fill 16 MiB, and touch the first 4 MiB each millisecond; the second line it prints is the address."""

import ctypes
import mmap
import os
import time

from vadamon._native.workload import die_with_parent

die_with_parent(os.getppid())
area = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.madvise(mmap.MADV_HUGEPAGE)
area[::4096] = b"x" * len(area[::4096])
print("ready", flush=True)
print(ctypes.addressof(ctypes.c_char.from_buffer(area)), flush=True)
while True:
    area[0 : 4 << 20 : 4096]  # reads
    time.sleep(1e-3)
