/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the page-table backend share among themselves. */
#ifndef VADAMON_PAGE_TABLE_INTERNAL_H
#define VADAMON_PAGE_TABLE_INTERNAL_H

#include <bpf/libbpf.h>
#include <pthread.h>
#include <sys/uio.h>

#include "page_table.h"
#include "probe.h"

#define PAGE_SIZE  4096ULL
#define PMD_SIZE   (2ULL << 20)
#define GIB        (1ULL << 30)
#define MAX_RANGES 1024 /* UIO_MAXIOV: ranges of one system call */

/* What reclaim knew of a page before we cleared it. */
enum {
	WAS_ACTIVE = 1,
	WAS_REFERENCED = 2,
	WAS_YOUNG = 4,
	NOT_ORDINARY = 8, /* the check must not count it */
};

/*
 * The eBPF programs, loaded once a process and kept: loading takes a tenth of a second and more, and targets come and go.
 * The lock is held from laying out a request until what was found has been read.
 */
struct loaded {
	pthread_mutex_t lock;
	bool ready;
	struct bpf_object *object;
	struct bpf_program *probe_task;
	struct bpf_program *scan_task, *read_page_structs; /* NULL where the kernel refuses them */
	struct request *request;
	struct probe *probes;
	struct scan_range *scan_ranges;
	struct scanned *scanned;
	uint64_t (*tables)[512];
	struct frame_run *frame_runs;
	struct page_structs *page_structs;
};

extern struct loaded loaded;

/* One program, bound to the thread we look through. */
struct view {
	struct bpf_link *link;
	int iterator;
};

struct scanner;

struct page_table {
	struct view probing, scanning;
	pid_t pid, tid;
	int pidfd, pagemap;
	int tgid;
	bool no_leader; /* the main thread has ended, and process_madvise() knows no other */
	uint64_t mm, exec_id;

	uint64_t round;
	uint64_t search_until; /* rounds up to this one look for shared anonymous memory */

	/* See pace(). */
	uint32_t stride;
	double flush_budget;
	uint64_t last_ns;
	double flush_ns, interval_ns;

	/* Of the last mkold. */
	uint64_t *addresses;
	uint8_t *before;
	size_t nr, capacity;

	struct iovec ranges[MAX_RANGES];
	uint32_t range_of[MAX_RANGES]; /* the first sample of each range */
	size_t nr_ranges;

	struct scanner *scanner; /* made by the first scan */
};

/* Bind a program to the thread. */
int view_open(struct page_table *pt, struct view *view, const struct bpf_program *program);
void view_close(struct view *view);
/* Have its program called once; PT_CHANGED where it met another address space than before. */
int view_call(struct page_table *pt, struct view *view);

/* `before`: of WANT_OWED, what reclaim knew of the pages, WAS_YOUNG of those that are owed it; else NULL. */
int probe(struct page_table *pt, const uint64_t *addresses, size_t n, enum want_folio want_folio, const uint8_t *before);

static inline unsigned int level_of(uint64_t found)
{
	return found >> FOUND_LEVEL_SHIFT & FOUND_LEVEL_MASK;
}

static inline uint64_t page_size_of(uint64_t found)
{
	static const uint64_t sizes[] = {PAGE_SIZE, PAGE_SIZE, PMD_SIZE, GIB};

	return sizes[level_of(found)];
}

/* The whole folio around an address, or the whole huge page: less would split it. */
static inline struct iovec folio_range(uint64_t address, uint64_t found)
{
	uint64_t index = found >> FOUND_INDEX_SHIFT, order = found >> FOUND_ORDER_SHIFT & FOUND_ORDER_MASK;
	uint64_t start = address / PAGE_SIZE * PAGE_SIZE - index * PAGE_SIZE, length = PAGE_SIZE << order;

	if (level_of(found) == 2) {
		start = address / PMD_SIZE * PMD_SIZE;
		length = PMD_SIZE;
	}
	return (struct iovec){.iov_base = (void *)start, .iov_len = length};
}

/* Is it a page that MADV_COLD leaves alone, or that it would split? Then only clear_refs clears it. */
bool needs_clear_refs(struct page_table *pt, uint64_t address, uint64_t found);
/* Clear pt->ranges from the i-th on; return the first that the kernel refused, or their number. */
size_t clear_from(struct page_table *pt, size_t i);
void give_back(struct page_table *pt, uint8_t before, uint64_t address, uint64_t found);
void touch(struct page_table *pt);
uint64_t now_ns(void);

void scanner_forget(struct page_table *pt);
void scanner_close(struct page_table *pt);

#endif
