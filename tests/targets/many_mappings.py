"""Have 10,000 mappings more than a process needs: every second page of an area may only be read."""

import ctypes
import mmap
import os
import time

from vadamon._native.workload import die_with_parent

NR_MAPPINGS = 10_000

die_with_parent(os.getppid())
libc = ctypes.CDLL(None, use_errno=True)
area = mmap.mmap(-1, NR_MAPPINGS * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[:: mmap.PAGESIZE] = b"x" * NR_MAPPINGS
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
for page in range(1, NR_MAPPINGS, 2):
    if libc.mprotect(ctypes.c_void_p(start + page * mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ):
        raise OSError(ctypes.get_errno(), "mprotect")
print("ready", flush=True)
while True:
    area[:: 2 * mmap.PAGESIZE]  # reads the even pages
    time.sleep(1e-3)
