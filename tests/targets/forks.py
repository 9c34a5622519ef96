"""Fork children all the time: each lives for 20 ms and writes to memory it got from its parent; four at a time."""

import collections
import mmap
import os
import time

from vadamon._native.workload import die_with_parent

die_with_parent(os.getppid())
area = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[::4096] = b"x" * len(area[::4096])
print("ready", flush=True)
children: collections.deque[int] = collections.deque()
while True:
    pid = os.fork()
    if pid == 0:
        area[::4096] = b"y" * len(area[::4096])
        time.sleep(0.02)
        os._exit(0)
    children.append(pid)
    if len(children) == 4:
        os.waitpid(children.popleft(), 0)
