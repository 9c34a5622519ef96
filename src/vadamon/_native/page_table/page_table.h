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

int page_table_mkold(struct page_table *pt, const uint64_t *addresses, size_t n, uint8_t *voids,
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

/* Which address space it is: another one after execve(). */
void page_table_identity(const struct page_table *pt, uint64_t *mm, uint64_t *exec_id);

#endif
