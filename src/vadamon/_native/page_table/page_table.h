/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VADAMON_PAGE_TABLE_H
#define VADAMON_PAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Why a sample tells nothing. */
enum void_reason {
	VALID = 0,
	VOID_REFS,      /* only clear_refs clears its page */
	VOID_UNCLEARED, /* nothing that we may call clears its page */
	VOID_UNCHECKED, /* its page could not be looked at */
	VOID_PACED,     /* left out, so that the target is not slowed down */
};

enum page_table_error {
	PT_OK = 0,
	PT_GONE = -1,    /* this thread has no address space (any more) */
	PT_CHANGED = -2, /* it has another one than before */
	PT_FAILED = -3,  /* see error */
	PT_NO_SCAN = -4, /* this kernel refuses the programs that scan, or its struct page is not one that they can read */
	PT_CLEAR_REFS = -5, /* clear_refs is needed first */
};

struct page_table;

/* What one mkold met. */
struct mkold_summary {
	uint32_t refs_file; /* samples on pages that only clear_refs clears, in mappings of files */
	uint32_t refs_anon; /* and in other mappings */
	uint32_t refs_young;
	uint32_t present;
};

/* `flush_budget`: the share of its time that the target may lose to our flushes of its TLB, above 0. */
struct page_table *page_table_open(pid_t pid, pid_t tid, double flush_budget, char *error, size_t size);
void page_table_close(struct page_table *pt);
int page_table_attach(struct page_table *pt, pid_t tid, char *error, size_t size);

/*
 * With `may_clear_refs`, PT_CLEAR_REFS where there are young pages that only that clears: nothing was cleared then. That is
 * for no more than MAX_ROUND_REGIONS addresses.
 */
int page_table_mkold(struct page_table *pt, const uint64_t *addresses, size_t n, bool may_clear_refs, uint8_t *voids,
		     struct mkold_summary *summary);
/*
 * One check of n samples: `voids` goes in as mkold left it, all three arrays come out. `unprepared` are addresses that no
 * mkold prepared, checked soon after clear_refs: those on pages that only it clears are valid.
 */
struct young {
	const uint64_t *addresses;
	size_t n;
	uint8_t *voids;
	uint8_t *accessed;
	uint64_t *page_size;
	bool unprepared;
};

int page_table_young(struct page_table *pt, const struct young *young);

/* How far a round of samples is. */
enum stage {
	BETWEEN,  /* none is under way */
	PICKED,   /* its addresses are picked, and to be cleared */
	PREPARED, /* and they are cleared, but not checked */
};

#define MAX_ROUND_REGIONS 4096

/* One process of several that are sampled together: n regions, of each of which a round takes a sample. */
struct round_target {
	struct page_table *pt;
	size_t n; /* no more than MAX_ROUND_REGIONS */
	const uint64_t *region_start, *region_end;
	uint32_t *nr_accesses, *nr_valid; /* counted up */
	uint64_t clear_refs_from_ns;      /* when clear_refs may be used: by the caller, in the round that needs it */

	/* Room for what is found, n each; of a round that is under way they hold how far it is. */
	uint64_t *addresses, *page_sizes;
	uint8_t *voids, *accessed;

	uint64_t nr_void[5]; /* samples, by void_reason: counted up */
};

/* Rounds of samples. */
struct rounds {
	struct round_target *targets;
	size_t nr_targets;
	struct bitgen *rng;

	/* Tick k is at start_ns + k * sample_ns of CLOCK_MONOTONIC. */
	uint64_t start_ns, sample_ns;
	int64_t now;       /* the last tick that has passed; comes out as the last round left it */
	int64_t end;       /* no round begins at this one */
	uint64_t until_ns; /* none is under way beyond this time */

	/* What comes out, beside counts. */
	uint32_t nr_samples, nr_late;
	int64_t last;   /* the tick of the last sample */
	int64_t due;    /* and of that of the round that was begun last */
	size_t nr_done; /* of a round under way that is PICKED the targets that are prepared, else those that are checked */
};

/* The stage of the round under way is that of the target after those that are done. */
enum stage page_table_rounds(struct rounds *rounds);

/* Pages alike, one after the other; sorted by address. */
struct run {
	uint64_t start, end, page_size;
};

struct runs {
	struct run *run;
	size_t nr, capacity;
};

/* What a scan has found; it is the page table's own, and lives until its next scan. */
struct scan_result {
	struct runs young;     /* accessed bit set */
	struct runs refs;      /* of these, what only clear_refs clears */
	struct runs uncleared; /* and what could not be cleared */
	bool complete;         /* or else a part of it could not be looked at */
	uint64_t resident;     /* bytes */
	uint64_t failed_reads; /* of the page table */
	uint64_t begin_ns, end_ns;
	bool refs_file, refs_anon; /* there are `refs` in mappings of files, and in others */
};

/*
 * Look at every page of n ranges, sorted, and with `clear` clear the accessed bits that were set. What reclaim knew of a
 * page that was cleared it gets back when the page is no longer young, or when the page table is closed.
 */
int page_table_scan(struct page_table *pt, const uint64_t *start, const uint64_t *end, size_t n, bool clear,
		    const struct scan_result **result);

/* Which address space it is: another one after execve(). */
void page_table_identity(const struct page_table *pt, uint64_t *mm, uint64_t *exec_id);

#endif
