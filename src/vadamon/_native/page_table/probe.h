/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What the eBPF program and its loader share. */
#ifndef VADAMON_PROBE_H
#define VADAMON_PROBE_H

/* One run looks at no more addresses than this, so that the mmap lock is never held for long. */
#define MAX_PROBES 4096

/* One address, and what was found there. */
struct probe {
	unsigned long long address;
	unsigned long long found;
};

/* Bits of probe.found. */
#define FOUND_MAPPED     (1ULL << 0) /* lies in a VMA */
#define FOUND_PRESENT    (1ULL << 1) /* a page is mapped there */
#define FOUND_YOUNG      (1ULL << 2) /* its accessed bit is set */
#define FOUND_FAILED     (1ULL << 3) /* a page-table entry could not be read */
#define FOUND_ORDINARY   (1ULL << 4) /* a page on the LRU, or of hugetlb: not the zero page, not a device */
#define FOUND_ACTIVE     (1ULL << 5)
#define FOUND_REFERENCED (1ULL << 6)
#define FOUND_SHARED     (1ULL << 7)  /* mapped more than once */
#define FOUND_PARTIAL    (1ULL << 8)  /* part of a large folio that is not wholly mapped here */
#define FOUND_PINNED_VMA (1ULL << 9)  /* mlocked or hugetlb: MADV_COLD refuses the VMA */
#define FOUND_HUGETLB    (1ULL << 10) /* not even clear_refs reaches it */
#define FOUND_FILE       (1ULL << 11) /* the VMA maps a file (or shared memory) */
#define FOUND_UNSURE     (1ULL << 12) /* a large folio of a kernel that does not count its mappings in one place */
#define FOUND_ON_LRU     (1ULL << 13)
#define FOUND_FOLIO      (1ULL << 14) /* its folio was looked at: without it, nothing is known of the bits for that */

#define FOUND_LEVEL_SHIFT 16 /* 1: PTE, 2: PMD, 3: PUD */
#define FOUND_LEVEL_MASK  3ULL
#define FOUND_ORDER_SHIFT 20 /* pages in its folio, as a power of two */
#define FOUND_ORDER_MASK  63ULL
#define FOUND_INDEX_SHIFT 32 /* its page's place in the folio, in pages */

enum want_folio {
	WANT_NONE,
	WANT_YOUNG_AND_FILES, /* those that may have to be cleared, and those that other processes often map too */
	WANT_ALL,
};

/* What is asked of a run, and what it says of the address space; one of them, in the program's .bss. */
struct request {
	unsigned int nr_probes;
	unsigned int want_folio; /* of which pages to tell the folio's state too: enum want_folio */
	unsigned int levels;     /* of page tables: 4 or 5 */
	unsigned int calibrate;  /* look at the kernel's own stack */
	unsigned long long page_offset; /* where the direct map begins */
	unsigned long long vmemmap;     /* where the array of struct page begins */
	unsigned long long frame_mask;  /* bits of a page-table entry that hold the frame's address */

	unsigned int cursor; /* probes below it are done */
	unsigned int seen;   /* the task has an address space, and we were called for it */
	int tgid;
	unsigned int layout_unknown; /* this kernel's struct page is not one we know */
	unsigned long long mm;
	unsigned long long exec_id;
	unsigned long long pgd;

	/* Calibration. */
	unsigned long long magic[2];       /* the words at the first probe, read through the direct map */
	unsigned long long stack_page[2];  /* struct page of two pages of a kernel stack */
	unsigned long long stack_frame[2]; /* and their frames' addresses, by the page table */
	unsigned long long page_size_of_struct;
};

#endif
