/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What the eBPF program and its loader share. */
#ifndef VADAMON_PROBE_H
#define VADAMON_PROBE_H

/* One run looks at no more addresses than this, so that the mmap lock is never held for long. */
#define MAX_PROBES 4096

/* One address, and what was found there (with WANT_OWED, before that: whether its page is owed something). */
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

/* A scan: no more page tables and ranges a run than this. */
#define MAX_TABLES      256
#define MAX_SCAN_RANGES 1024

struct scan_range {
	unsigned long long start, end;
};

/* Part of a page table (its entries are in the table of the same number), or a young huge page; all in one VMA. */
struct scanned {
	unsigned long long address; /* of the first page */
	unsigned long long found;   /* what FOUND_ bits are true of the VMA, and the level */
	unsigned long long nr;      /* entries */
	unsigned long long entry;   /* of a huge page: its own */
};

/* A scan asks for the struct page of young pages, up to so many with frames in sequence at a time. */
#define SIZE_OF_STRUCT_PAGE 64
#define MAX_FRAMES          16
#define MAX_FRAME_RUNS      1024

struct frame_run {
	unsigned long long frame; /* address of the first */
	unsigned long long nr;    /* 0 comes back where they cannot be read */
};

struct page_structs {
	unsigned char bytes[MAX_FRAMES][SIZE_OF_STRUCT_PAGE];
};

enum want_folio {
	WANT_OWED, /* those whose probe comes in with found set: they are owed something */
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

	/* Of a scan: where it stands, to go on from in the next run. */
	unsigned int nr_ranges;
	unsigned int range;
	unsigned long long position;
	/* And what the run has found. */
	unsigned int nr_steps;
	unsigned int nr_scanned;
	unsigned int scan_failed; /* page-table entries that could not be read */
	unsigned long long huge_resident; /* bytes in huge pages, young or not */

	/* What the bytes of a struct page mean on this kernel. */
	unsigned int nr_frame_runs;
	unsigned int compound_head_at;
	unsigned int mapcount_at;
	unsigned long long flag_lru, flag_head, flag_active, flag_referenced, flag_reserved;
};

#endif
