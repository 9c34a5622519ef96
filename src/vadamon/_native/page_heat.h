/* SPDX-License-Identifier: Apache-2.0 */
/* How often, and since when, the pages of one address space are accessed: what scans found, summed up. */
#ifndef VADAMON_PAGE_HEAT_H
#define VADAMON_PAGE_HEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_HEAT_MAX_SCANS 255 /* in one aggregation interval */

struct page_heat;

/* Pages of equal history, one after the other. */
struct heat_run {
	uint64_t start, end;
	uint32_t nr_accesses, age;
	bool unknown;
};

struct page_heat *page_heat_new(void);
void page_heat_free(struct page_heat *heat);

/* All return 0, or -1 where memory is out. Ranges are sorted, of whole pages, and do not overlap. */

/* What is mapped from now on; what was mapped before keeps its history. */
int page_heat_set_ranges(struct page_heat *heat, const uint64_t *start, const uint64_t *end, size_t n);
/* Add one scan: count accesses, or scans that tell nothing. */
int page_heat_add_scan(struct page_heat *heat);
int page_heat_count(struct page_heat *heat, const uint64_t *start, const uint64_t *end, size_t n, bool as_void);

/*
 * End an aggregation interval, in two steps. The first makes each count one out of nr_samples, and returns the largest;
 * the second updates the ages and begins the next interval.
 */
unsigned int page_heat_sum_up(struct page_heat *heat, unsigned int nr_samples);
int page_heat_end(struct page_heat *heat, unsigned int threshold, const struct heat_run **runs, size_t *nr_runs);

#endif
