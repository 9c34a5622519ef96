/* A workload: memory of known kinds, touched at known rates, with a log of what was touched. */
#ifndef VADAMON_WORKLOAD_H
#define VADAMON_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

enum workload_area_kind {
	WORKLOAD_PRIVATE,
	WORKLOAD_HUGE,
	WORKLOAD_SHARED,
	WORKLOAD_FILE,
	WORKLOAD_HUGETLB,
	WORKLOAD_MLOCKED,
};

enum workload_pattern_kind {
	WORKLOAD_SWEEP,  /* one access to every stride-th byte, once each period */
	WORKLOAD_STREAM, /* one cache line after the other, without a pause */
	WORKLOAD_RANDOM, /* random cache lines, without a pause */
};

struct workload_pattern {
	enum workload_pattern_kind kind;
	int64_t number;         /* what its records are marked with */
	uint64_t start, length; /* what it touches; of a moving sweep, where it begins */
	uint64_t period_ns, stride;
	uint64_t move_every_ns, nr_windows; /* a moving sweep goes through so many windows of `length`; else 0, 1 */

	/* state of workload_run() */
	uint64_t deadline_ns; /* of the next sweep */
	uint64_t position;    /* where the stream goes on, from start */
	uint64_t random;      /* never 0 */
};

/* What the log is a sequence of. One record is one write(2), so that a killed workload leaves whole ones. */
struct workload_record {
	uint64_t start, end; /* the accesses were in [start, end) ... */
	uint64_t begin_ns, end_ns; /* ... and in this time, of CLOCK_MONOTONIC */
	uint64_t operations; /* loads, of populating: stores */
	int64_t pattern; /* number of the pattern; -1: an area was populated */
};

/* All return 0 or a negative errno. */
int workload_die_with_parent(int parent);
int workload_map(enum workload_area_kind kind, uint64_t size, int fd, uint64_t *start);
int workload_populate(int log_fd, enum workload_area_kind kind, uint64_t start, uint64_t size);
void workload_touch(uint64_t start, uint64_t size);
int workload_run(int log_fd, struct workload_pattern *patterns, size_t nr_patterns); /* returns on errors only */

#endif
