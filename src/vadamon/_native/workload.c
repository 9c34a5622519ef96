#define _GNU_SOURCE
#include "workload.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SIZE 4096ULL
#define HUGE_PAGE_SIZE (2ULL << 20)
#define CACHE_LINE 64ULL
#define NSEC_PER_SEC 1000000000ULL

/* A slice of a busy pattern takes well below a millisecond, so that the sweeps beside it are in time. */
#define STREAM_SLICE (1ULL << 20)
#define RANDOM_SLICE 4096ULL

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void sleep_until(uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = deadline_ns / NSEC_PER_SEC,
		.tv_nsec = deadline_ns % NSEC_PER_SEC,
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
}

int workload_die_with_parent(int parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	/* The parent may have ended before the signal was asked for. */
	if (getppid() != parent)
		return -ESRCH;
	return 0;
}

static int map_flags(enum workload_area_kind kind)
{
	switch (kind) {
	case WORKLOAD_SHARED:
		return MAP_SHARED | MAP_ANONYMOUS;
	case WORKLOAD_FILE:
		return MAP_SHARED;
	case WORKLOAD_HUGETLB:
		return MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB;
	default:
		return MAP_PRIVATE | MAP_ANONYMOUS;
	}
}

int workload_map(enum workload_area_kind kind, uint64_t size, int fd, uint64_t *start)
{
	/* Room to align, and for a gap on both sides: neighbours must not become one mapping. */
	uint64_t room = size + 3 * HUGE_PAGE_SIZE, low, end;
	char *area, *reserved = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (reserved == MAP_FAILED)
		return -errno;
	low = (uint64_t)reserved;
	*start = (low + PAGE_SIZE + HUGE_PAGE_SIZE - 1) & ~(HUGE_PAGE_SIZE - 1);
	end = *start + size;
	munmap(reserved, *start - low);
	munmap((void *)end, low + room - end);

	area = mmap((void *)*start, size, PROT_READ | PROT_WRITE, map_flags(kind) | MAP_FIXED, fd, 0);
	if (area == MAP_FAILED) {
		int error = -errno;

		munmap((void *)*start, size);
		return error;
	}
	/* EINVAL is a kernel without transparent huge pages: who asked for them is told by workload's caller. */
	if (kind != WORKLOAD_HUGETLB && madvise(area, size, kind == WORKLOAD_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    errno != EINVAL)
		return -errno;
	if (kind == WORKLOAD_MLOCKED && mlock(area, size))
		return -errno;
	return 0;
}

static int append(int log_fd, const struct workload_record *record)
{
	ssize_t written = write(log_fd, record, sizeof(*record));

	if (written == sizeof(*record))
		return 0;
	return written < 0 ? -errno : -ENOSPC;
}

static uint64_t read_every(uint64_t start, uint64_t size, uint64_t stride)
{
	uint64_t operations = 0;

	/* The same offset in every page would be the same few sets of the cache. */
	for (uint64_t page = start; page < start + size; page += stride, operations++)
		(void)*(volatile const char *)(page + page / PAGE_SIZE % (PAGE_SIZE / CACHE_LINE) * CACHE_LINE);
	return operations;
}

void workload_touch(uint64_t start, uint64_t size)
{
	read_every(start, size, PAGE_SIZE);
}

int workload_populate(int log_fd, enum workload_area_kind kind, uint64_t start, uint64_t size)
{
	struct workload_record record = {
		.start = start,
		.end = start + size,
		.begin_ns = now_ns(),
		.operations = size / PAGE_SIZE,
		.pattern = -1,
	};

	if (kind == WORKLOAD_FILE) /* written pages would keep the disk busy */
		workload_touch(start, size);
	else
		for (uint64_t page = start; page < start + size; page += PAGE_SIZE)
			*(volatile char *)page = 1;
	/* Where the page fault found no huge page. What could not be had is for the caller to see. */
	if (kind == WORKLOAD_HUGE)
		madvise((void *)start, size, MADV_COLLAPSE);
	record.end_ns = now_ns();
	return append(log_fd, &record);
}

static int sweep(int log_fd, struct workload_pattern *p, uint64_t run_ns)
{
	struct workload_record record = { .begin_ns = now_ns(), .pattern = p->number };
	uint64_t window = p->move_every_ns ? (record.begin_ns - run_ns) / p->move_every_ns % p->nr_windows : 0;

	record.start = p->start + window * p->length;
	record.end = record.start + p->length;
	record.operations = read_every(record.start, p->length, p->stride);
	record.end_ns = now_ns();
	/* Periods that are over are left out, the phase is kept. */
	p->deadline_ns += ((record.end_ns - p->deadline_ns) / p->period_ns + 1) * p->period_ns;
	return append(log_fd, &record);
}

static int stream_slice(int log_fd, struct workload_pattern *p)
{
	uint64_t rest = p->length - p->position, size = rest < STREAM_SLICE ? rest : STREAM_SLICE;
	struct workload_record record = {
		.start = p->start + p->position,
		.end = p->start + p->position + size,
		.begin_ns = now_ns(),
		.operations = size / CACHE_LINE,
		.pattern = p->number,
	};

	for (uint64_t line = record.start; line < record.end; line += CACHE_LINE)
		(void)*(volatile const uint64_t *)line;
	record.end_ns = now_ns();
	p->position = size == rest ? 0 : p->position + size;
	return append(log_fd, &record);
}

static int random_slice(int log_fd, struct workload_pattern *p)
{
	uint64_t nr_lines = p->length / CACHE_LINE, random = p->random, loaded = 0;
	struct workload_record record = {
		.start = p->start,
		.end = p->start + p->length,
		.begin_ns = now_ns(),
		.operations = RANDOM_SLICE,
		.pattern = p->number,
	};

	for (uint64_t i = 0; i < RANDOM_SLICE; i++) {
		uint64_t line;

		random ^= random << 13; /* Marsaglia's xorshift64 */
		random ^= random >> 7;
		random ^= random << 17;
		line = (uint64_t)(((unsigned __int128)random * nr_lines) >> 64);
		/* Each address waits for the load before it, so that every TLB miss is felt; of what was loaded
		 * only a bit that is always 0 is used. */
		line += loaded >> 63;
		loaded = *(volatile const uint64_t *)(p->start + line * CACHE_LINE);
	}
	p->random = random;
	record.end_ns = now_ns();
	return append(log_fd, &record);
}

static struct workload_pattern *earliest_sweep(struct workload_pattern *patterns, size_t nr_patterns)
{
	struct workload_pattern *earliest = NULL;

	for (struct workload_pattern *p = patterns; p < patterns + nr_patterns; p++)
		if (p->kind == WORKLOAD_SWEEP && (!earliest || p->deadline_ns < earliest->deadline_ns))
			earliest = p;
	return earliest;
}

/* The busy patterns take turns. */
static struct workload_pattern *next_busy(struct workload_pattern *patterns, size_t nr_patterns, size_t *turn)
{
	for (size_t i = 0; i < nr_patterns; i++) {
		*turn = (*turn + 1) % nr_patterns;
		if (patterns[*turn].kind != WORKLOAD_SWEEP)
			return &patterns[*turn];
	}
	return NULL;
}

int workload_run(int log_fd, struct workload_pattern *patterns, size_t nr_patterns)
{
	uint64_t run_ns = now_ns();
	size_t turn = 0;
	int error = 0;

	for (size_t i = 0; i < nr_patterns; i++) {
		patterns[i].deadline_ns = run_ns;
		patterns[i].position = 0;
		patterns[i].random = run_ns + i;
	}
	while (!error) {
		struct workload_pattern *due = earliest_sweep(patterns, nr_patterns), *busy;

		if (due && due->deadline_ns <= now_ns())
			error = sweep(log_fd, due, run_ns);
		else if ((busy = next_busy(patterns, nr_patterns, &turn)))
			error = busy->kind == WORKLOAD_STREAM ? stream_slice(log_fd, busy) : random_slice(log_fd, busy);
		else if (due)
			sleep_until(due->deadline_ns);
		else
			pause();
	}
	return error;
}
