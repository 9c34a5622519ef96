/* SPDX-License-Identifier: Apache-2.0 */
/* Accessed bits by frame numbers: /proc/PID/pagemap, /proc/kpageflags and the idle page bitmap, in batches. */
#ifndef VADAMON_PAGE_IDLE_H
#define VADAMON_PAGE_IDLE_H

#include <stddef.h>
#include <stdint.h>

/* Why a sample tells nothing. */
enum page_idle_void {
	IDLE_VALID = 0,
	IDLE_UNCLEARED, /* its page cannot be marked: it is not on the LRU (new, isolated, or of hugetlb) */
	IDLE_UNCHECKED, /* its page is another one now, or could not be looked at */
};

struct page_idle {
	int pagemap, kpageflags, bitmap; /* file descriptors */
};

/* In the place of a frame. */
#define FRAME_ABSENT  (~0ULL)     /* nothing that can be accessed or not: no page, or no ordinary one */
#define FRAME_UNKNOWN (~0ULL - 1) /* could not be looked at */

/* One sample. */
struct page_idle_sample {
	uint64_t frame;     /* of the page itself, or one of FRAME_ */
	uint64_t head;      /* the first of its folio: that is what can be marked */
	uint64_t nr_frames; /* of its folio: 1 or that of a huge page; of sizes in between only the head is told */
};

/*
 * Mark the pages at n sorted addresses idle, which clears their accessed bits in all page tables; fill `samples`.
 * Returns 0, or -1 where the address space is gone.
 */
int page_idle_mkold(const struct page_idle *files, const uint64_t *addresses, size_t n,
		    struct page_idle_sample *samples, uint8_t *voids);

/*
 * Ask which pages are idle no longer: `accessed`, and their sizes in bytes. `samples` and `voids` are those of the mkold.
 * Returns as that does.
 */
int page_idle_young(const struct page_idle *files, const uint64_t *addresses, size_t n,
		    const struct page_idle_sample *samples, uint8_t *voids, uint8_t *accessed, uint64_t *page_size);

#endif
