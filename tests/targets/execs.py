"""Become another program, `sleep`, at SIGUSR1 or after argv[1] seconds: same pid, new address space."""

import os
import signal
import sys

from vadamon._native.workload import die_with_parent

die_with_parent(os.getppid())
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("ready", flush=True)
signal.sigtimedwait([signal.SIGUSR1], float(sys.argv[1]))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
os.execlp("sleep", "sleep", "600")
