// SPDX-License-Identifier: Apache-2.0
/* Preloaded, this makes the kernel look like one whose verifier refuses the eBPF programs that scan. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long argument[6];
	__builtin_va_list arguments;

	__builtin_va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		argument[i] = __builtin_va_arg(arguments, long);
	__builtin_va_end(arguments);
	if (number == SYS_bpf && argument[0] == BPF_PROG_LOAD) {
		const union bpf_attr *attr = (const void *)argument[1];

		if (!strncmp(attr->prog_name, "scan_", 5)) {
			errno = E2BIG;
			return -1;
		}
	}
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}
