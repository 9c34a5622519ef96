// SPDX-License-Identifier: Apache-2.0
/*
 * Every page of another process: its page tables are copied by the eBPF program, a few at a time, and of the pages whose
 * accessed bit is set
 *
 *   struct page is read -> what are they? -> runs of young pages -> MADV_COLD over whole folios, neighbours as one range
 *
 * Pages that are not young cost a look at their entry, and no more. Those that were young at the scan before are known:
 * as long as they may be written to, and are no part of a file, they are in no other process, and what they were they are.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define NR_ENTRIES      512
#define MAX_YOUNG       (MAX_TABLES * NR_ENTRIES)
#define MAX_STALLS      64 /* runs in sequence that gave way to a writer of the mmap lock before they got anywhere */
#define GIVE_BACK_SHARE 0.005 /* of the time, to be spent on giving back */
#define GIVE_BACK_NS    1000  /* what it takes a page */
#define MIN_GIVEN_BACK  256
#define MAX_GIVEN_BACK  (1 << 20) /* on closing, about a second */

#define ENTRY_PRESENT   (1ULL << 0)
#define ENTRY_WRITABLE  (1ULL << 1)
#define ENTRY_ACCESSED  (1ULL << 5)
#define ENTRY_PROT_NONE (1ULL << 8)
#define ENTRY_SPECIAL   (1ULL << 9)

/* Bits of a young page's `found` that the eBPF program does not use. */
#define IS_WRITABLE  (1ULL << 26)
#define IS_KNOWN     (1ULL << 27)
#define TO_BE_PROBED (1ULL << 60) /* part of something large: its struct page alone does not tell all */
#define SAME_FOLIO   (1ULL << 61) /* in the folio of the page before */
#define WAS_HUGE     8 /* beside the other WAS_ bits of what is owed */

struct young_page {
	uint64_t address, frame, found;
};

struct young_pages {
	struct young_page *page;
	size_t nr, capacity;
};

/* Pages, one after the other, of which reclaim is owed the same: what it knew of them. */
struct owed_run {
	uint64_t start, end;
	uint8_t before;
};

/* Sorted. When a scan begins all memory may be owed something, so it must not be a matter of pages. */
struct owed {
	struct owed_run *run;
	size_t nr, capacity;
};

struct scanner {
	struct scan_result result;
	struct young_page *young;
	size_t nr_young;
	struct young_pages known;   /* that the scan before this one has cleared; sorted by address */
	size_t known_at;            /* those before it lie below the pages that are being looked at */
	struct young_pages cleared; /* by this one */

	struct owed owed; /* by the scans before this one, */
	size_t settled;   /* of which so many have been looked at in this one; of the next, what is left of it */
	struct owed next; /* by this one */
	struct owed due;  /* to be given back now, */
	size_t max_due;   /* no more than so many pages more */
	uint64_t last_ns;

	uint64_t addresses[MAX_PROBES];
	size_t index[MAX_PROBES];

	bool out_of_memory;
};

static void *grow(struct scanner *s, void *items, size_t *capacity, size_t size)
{
	size_t more = *capacity ? 2 * *capacity : 256;
	void *grown = realloc(items, more * size);

	if (!grown) {
		s->out_of_memory = true;
		return items;
	}
	*capacity = more;
	return grown;
}

static void begin_run(struct scanner *s, struct runs *runs, uint64_t start, uint64_t end, uint64_t page_size)
{
	if (runs->nr == runs->capacity)
		runs->run = grow(s, runs->run, &runs->capacity, sizeof(*runs->run));
	if (runs->nr < runs->capacity)
		runs->run[runs->nr++] = (struct run){start, end, page_size};
}

static inline void append_run(struct scanner *s, struct runs *runs, uint64_t start, uint64_t end, uint64_t page_size)
{
	struct run *last = runs->run + runs->nr - 1;

	if (runs->nr && start >= last->start && start <= last->end && last->page_size == page_size)
		last->end = end > last->end ? end : last->end;
	else
		begin_run(s, runs, start, end, page_size);
}

static void begin_owed(struct scanner *s, struct owed *owed, uint64_t start, uint64_t end, uint8_t before)
{
	if (owed->nr == owed->capacity)
		owed->run = grow(s, owed->run, &owed->capacity, sizeof(*owed->run));
	if (owed->nr < owed->capacity)
		owed->run[owed->nr++] = (struct owed_run){start, end, before};
}

static inline void append_owed(struct scanner *s, struct owed *owed, uint64_t start, uint64_t end, uint8_t before)
{
	struct owed_run *last = owed->run + owed->nr - 1;

	if (owed->nr && last->end == start && last->before == before)
		last->end = end;
	else if (start < end)
		begin_owed(s, owed, start, end, before);
}

/*
 * Pages that are owed something are young no longer: their time has come. Touching a huge page would set its accessed bit,
 * and it would be taken for young: that has to wait until nobody looks any more.
 */
static void settle(struct scanner *s, uint64_t start, uint64_t end, uint8_t before)
{
	size_t nr = (end - start) / PAGE_SIZE;
	uint64_t due_end;

	if (before & WAS_HUGE)
		nr = 0;
	else if (nr > s->max_due)
		nr = s->max_due;
	s->max_due -= nr;
	due_end = start + nr * PAGE_SIZE;
	append_owed(s, &s->due, start, due_end, before);
	append_owed(s, &s->next, due_end, end, before);
}

/* Settle what is owed to pages below an address; return what is owed to others, or NULL. */
static struct owed_run *settle_below(struct scanner *s, uint64_t address)
{
	for (; s->settled < s->owed.nr; s->settled++) {
		struct owed_run *run = s->owed.run + s->settled;

		if (run->end > address) {
			if (run->start < address)
				settle(s, run->start, address, run->before);
			run->start = run->start < address ? address : run->start;
			return run;
		}
		settle(s, run->start, run->end, run->before);
	}
	return NULL;
}

/* A page is about to be cleared. What it was when it was first cleared is what it is owed, however often that is done. */
static void owe(struct scanner *s, uint64_t address, uint8_t before)
{
	struct owed_run *run = settle_below(s, address);

	if (run && run->start == address) {
		before = run->before;
		run->start += PAGE_SIZE;
		s->settled += run->start == run->end;
	}
	append_owed(s, &s->next, address, address + PAGE_SIZE, before);
}

/* Pages that are looked at together before they are given back what they are owed. */
struct batch {
	uint64_t addresses[256];
	uint8_t before[256];
	size_t nr;
};

/* Give it back to pages that are still there: touching one that is not would bring it back. */
static int give_back_batch(struct page_table *pt, struct batch *batch)
{
	if (probe(pt, batch->addresses, batch->nr, WANT_OWED, batch->before) != PT_OK)
		return PT_FAILED;
	for (size_t i = 0; i < batch->nr; i++)
		give_back(pt, batch->before[i], batch->addresses[i], loaded.probes[i].found);
	touch(pt);
	batch->nr = 0;
	return PT_OK;
}

/* Give back what is owed, to no more pages than `max`. */
static void give_back_owed(struct page_table *pt, const struct owed *owed, size_t max)
{
	struct batch batch = {.nr = 0};

	for (size_t i = 0; i < owed->nr; i++) {
		const struct owed_run *run = owed->run + i;

		for (uint64_t page = run->start; page < run->end && max; page += PAGE_SIZE, max--) {
			batch.addresses[batch.nr] = page;
			batch.before[batch.nr++] = run->before & ~WAS_HUGE;
			if (batch.nr == 256 && give_back_batch(pt, &batch) != PT_OK)
				return;
		}
	}
	give_back_batch(pt, &batch);
}

/* Clear the ranges that are laid out; note those that the kernel refused. */
static void clear_all(struct page_table *pt)
{
	struct scanner *s = pt->scanner;

	for (size_t i = 0; i < pt->nr_ranges; i++) {
		i = clear_from(pt, i);
		if (i < pt->nr_ranges) {
			uint64_t start = (uint64_t)pt->ranges[i].iov_base;

			append_run(s, &s->result.uncleared, start, start + pt->ranges[i].iov_len, PAGE_SIZE);
		}
	}
	pt->nr_ranges = 0;
}

static void clear_folio(struct page_table *pt, const struct young_page *page)
{
	struct iovec folio = folio_range(page->address, page->found), *last = pt->ranges + pt->nr_ranges - 1;
	char *start = folio.iov_base, *end = start + folio.iov_len;

	if (pt->nr_ranges && start <= (char *)last->iov_base + last->iov_len) {
		if (end > (char *)last->iov_base + last->iov_len)
			last->iov_len = end - (char *)last->iov_base;
		return;
	}
	if (pt->nr_ranges == MAX_RANGES)
		clear_all(pt);
	pt->ranges[pt->nr_ranges++] = folio;
}

/*
 * Keep what a page is for the next scan, if it will tell by the entry alone whether that still holds. In private memory
 * only a page that no other process maps may be written to: fork() and the merging of equal pages take that right away.
 */
static void remember(struct scanner *s, const struct young_page *page)
{
	const uint64_t needed = IS_WRITABLE | FOUND_ORDINARY | FOUND_ON_LRU;
	struct young_pages *cleared = &s->cleared;

	if ((page->found & (needed | FOUND_FILE | FOUND_PINNED_VMA | TO_BE_PROBED | SAME_FOLIO)) != needed)
		return;
	if (cleared->nr == cleared->capacity)
		cleared->page = grow(s, cleared->page, &cleared->capacity, sizeof(*cleared->page));
	if (cleared->nr < cleared->capacity)
		cleared->page[cleared->nr++] = *page;
}

static uint8_t state_before(uint64_t found)
{
	return WAS_YOUNG | (found & FOUND_ACTIVE ? WAS_ACTIVE : 0) | (found & FOUND_REFERENCED ? WAS_REFERENCED : 0) |
	       (level_of(found) == 1 ? 0 : WAS_HUGE);
}

/* Is it a page that MADV_COLD will not clear? Then note who else is to, or that nobody can. */
static bool is_for_others(struct page_table *pt, const struct young_page *page, uint64_t size)
{
	struct scan_result *result = &pt->scanner->result;

	if (page->found & IS_KNOWN && !pt->no_leader)
		return false;
	if (page->found & (FOUND_HUGETLB | FOUND_FAILED)) {
		append_run(pt->scanner, &result->uncleared, page->address, page->address + size, PAGE_SIZE);
		return true;
	}
	/* Not on the LRU are pages so new that they still are in a batch of some processor's. */
	if (needs_clear_refs(pt, page->address, page->found) || !(page->found & FOUND_ON_LRU)) {
		append_run(pt->scanner, &result->refs, page->address, page->address + size, PAGE_SIZE);
		if (page->found & FOUND_FILE)
			result->refs_file = true;
		else
			result->refs_anon = true;
		return true;
	}
	return false;
}

/* Have the accessed bit of a young page cleared, or note that it will not be. */
static void clear_page(struct page_table *pt, const struct young_page *page, uint64_t size)
{
	if (is_for_others(pt, page, size) || page->found & SAME_FOLIO)
		return; /* those of one folio are cleared with its first page */
	owe(pt->scanner, page->address, state_before(page->found));
	remember(pt->scanner, page);
	clear_folio(pt, page);
}

/* Judge all young pages of this run: what each is has been found out. */
static void judge(struct page_table *pt, bool clear)
{
	struct scanner *s = pt->scanner;

	for (size_t i = 0; i < s->nr_young; i++) {
		const struct young_page *page = s->young + i;
		uint64_t size = page_size_of(page->found);

		if (!(page->found & (FOUND_ORDINARY | FOUND_FAILED)))
			continue;
		append_run(s, &s->result.young, page->address, page->address + size, size);
		if (clear)
			clear_page(pt, page, size);
	}
	s->nr_young = 0;
	clear_all(pt);
}

/* What a young page is, by its struct page; of something large that does not tell all. */
static void look_at_struct(struct young_page *page, const unsigned char *bytes, uint64_t *last_head)
{
	const struct request *request = loaded.request;
	uint64_t flags, head;
	int mapcount;

	memcpy(&flags, bytes, sizeof(flags));
	memcpy(&head, bytes + request->compound_head_at, sizeof(head));
	memcpy(&mapcount, bytes + request->mapcount_at, sizeof(mapcount));
	if (head & 1 || flags & request->flag_head) {
		head = head & 1 ? head - 1 : request->vmemmap + page->frame / PAGE_SIZE * SIZE_OF_STRUCT_PAGE;
		page->found |= head == *last_head ? SAME_FOLIO : TO_BE_PROBED;
		*last_head = head;
		return;
	}
	*last_head = 0;
	if (flags & request->flag_reserved)
		return;
	page->found |= FOUND_ORDINARY | (flags & request->flag_lru ? FOUND_ON_LRU : 0) |
		       (flags & request->flag_active ? FOUND_ACTIVE : 0) |
		       (flags & request->flag_referenced ? FOUND_REFERENCED : 0) | (mapcount > 0 ? FOUND_SHARED : 0);
}

/* Read struct page of the runs of frames that are laid out: those of the pages from `page` on that are not known. */
static struct young_page *read_structs(struct scanner *s, struct young_page *page, size_t nr_runs, uint64_t *last_head)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	const struct young_page *end = s->young + s->nr_young;

	loaded.request->nr_frame_runs = nr_runs;
	if (bpf_prog_test_run_opts(bpf_program__fd(loaded.read_page_structs), &options))
		for (size_t i = 0; i < nr_runs; i++)
			loaded.frame_runs[i].nr = 0;
	for (size_t i = 0; i < nr_runs; i++) {
		uint64_t frame = loaded.frame_runs[i].frame;

		for (size_t k = 0; k < MAX_FRAMES && page < end; page++) {
			if (page->found & IS_KNOWN) {
				*last_head = 0;
				continue;
			}
			if (page->frame != frame + k * PAGE_SIZE)
				break;
			if (k >= loaded.frame_runs[i].nr)
				page->found |= TO_BE_PROBED;
			else
				look_at_struct(page, loaded.page_structs[i].bytes[k], last_head);
			k++;
		}
	}
	return page;
}

/* The first of the known pages, from the one at `from` on, that does not lie below the address. */
static size_t find_known(const struct young_pages *known, size_t from, uint64_t address)
{
	size_t step = 1, low = from, high;

	if (low == known->nr || known->page[low].address >= address)
		return low;
	while (low + step < known->nr && known->page[low + step].address < address) {
		low += step;
		step *= 2;
	}
	high = low + step < known->nr ? low + step : known->nr;
	while (low + 1 < high) {
		size_t middle = (low + high) / 2;

		if (known->page[middle].address < address)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* Find the young pages that are known from the scan before; return how many are not. */
static size_t recognise(struct scanner *s)
{
	const uint64_t looked_at = IS_WRITABLE | FOUND_FILE | FOUND_PINNED_VMA | FOUND_LEVEL_MASK << FOUND_LEVEL_SHIFT;
	const struct young_pages *known = &s->known;
	size_t at = s->known_at, nr_new = s->nr_young;

	for (size_t i = 0; i < s->nr_young && at < known->nr; i++) {
		struct young_page *page = s->young + i;

		at = find_known(known, at, page->address);
		if (at == known->nr || known->page[at].address != page->address ||
		    known->page[at].frame != page->frame ||
		    (page->found & looked_at) != (IS_WRITABLE | 1ULL << FOUND_LEVEL_SHIFT))
			continue;
		page->found = known->page[at].found | IS_KNOWN;
		nr_new--;
	}
	s->known_at = at;
	return nr_new;
}

/* Read struct page of all young pages that are mapped by PTEs; the rest is to be probed. */
static void look_at_structs(struct scanner *s)
{
	struct young_page *laid_out = s->young;
	struct frame_run *run = loaded.frame_runs;
	size_t nr = 0;
	uint64_t last_head = 0;

	for (size_t i = 0; i < s->nr_young; i++) {
		const struct young_page *page = s->young + i;

		if (page->found & IS_KNOWN)
			continue;
		if (nr && page->frame == run[nr - 1].frame + run[nr - 1].nr * PAGE_SIZE && run[nr - 1].nr < MAX_FRAMES) {
			run[nr - 1].nr++;
			continue;
		}
		if (nr == MAX_FRAME_RUNS) {
			laid_out = read_structs(s, laid_out, nr, &last_head);
			nr = 0;
		}
		run[nr++] = (struct frame_run){.frame = page->frame, .nr = 1};
	}
	if (nr)
		read_structs(s, laid_out, nr, &last_head);
}

/* A probe tells what the page is, unless it has changed since it was seen to be young. */
static uint64_t probed(uint64_t before, uint64_t found)
{
	bool same = found & FOUND_YOUNG && level_of(found) == level_of(before);

	return same ? found : before | FOUND_FAILED;
}

/* Probe large folios and huge pages, each at its first young page. */
static int probe_large(struct page_table *pt)
{
	struct scanner *s = pt->scanner;
	size_t nr = 0;

	for (size_t i = 0; i <= s->nr_young; i++) {
		if (nr && (i == s->nr_young || nr == MAX_PROBES)) {
			int result = probe(pt, s->addresses, nr, WANT_ALL, NULL);

			if (result != PT_OK)
				return result;
			for (size_t k = 0; k < nr; k++)
				s->young[s->index[k]].found =
					probed(s->young[s->index[k]].found, loaded.probes[k].found);
			nr = 0;
		}
		if (i < s->nr_young && s->young[i].found & TO_BE_PROBED) {
			s->index[nr] = i;
			s->addresses[nr++] = s->young[i].address;
		}
	}
	for (size_t i = 1; i < s->nr_young; i++)
		if (s->young[i].found & SAME_FOLIO)
			s->young[i].found = s->young[i - 1].found | SAME_FOLIO;
	return PT_OK;
}

static void append_young(struct scanner *s, uint64_t address, uint64_t entry, uint64_t found)
{
	uint64_t size = page_size_of(found);

	/* The kernel inverts the frame of an entry that is not present, against L1TF. */
	if (!(entry & ENTRY_PRESENT))
		entry = ~entry;
	s->young[s->nr_young++] = (struct young_page){
		.address = address,
		.frame = entry & loaded.request->frame_mask & ~(size - 1),
		.found = found | FOUND_PRESENT | FOUND_YOUNG | (entry & ENTRY_WRITABLE ? IS_WRITABLE : 0),
	};
}

static uint64_t is_page(uint64_t entry)
{
	return (entry / ENTRY_PRESENT | entry / ENTRY_PROT_NONE) & ~(entry / ENTRY_SPECIAL) & 1;
}

/* The bits that any entry has, and those that all have. Most tables are of cold memory, and this is all they cost. */
__attribute__((target_clones("avx2", "default"))) static void bits_of(const uint64_t *entries, size_t nr, uint64_t *any,
								      uint64_t *all)
{
	uint64_t some = 0, every = UINT64_MAX;

	for (size_t i = 0; i < nr; i++) {
		some |= entries[i];
		every &= entries[i];
	}
	*any = some;
	*all = every;
}

static uint64_t count_pages(const uint64_t *entries, size_t nr)
{
	uint64_t nr_pages = 0;

	for (size_t i = 0; i < nr; i++)
		nr_pages += is_page(entries[i]);
	return nr_pages;
}

static void take_table(struct scanner *s, const struct scanned *table, const uint64_t *entries)
{
	uint64_t any, all;
	bool is_full;

	bits_of(entries, table->nr, &any, &all);
	is_full = all & ENTRY_PRESENT && !(any & ENTRY_SPECIAL);
	s->result.resident += (is_full ? table->nr : count_pages(entries, table->nr)) * PAGE_SIZE;
	if (!(any & ENTRY_ACCESSED))
		return;
	for (size_t i = 0; i < table->nr; i++)
		if (entries[i] & ENTRY_ACCESSED && is_page(entries[i]))
			append_young(s, table->address + i * PAGE_SIZE, entries[i], table->found);
}

/* Find out about all that this run of the program has copied. */
static int take(struct page_table *pt, bool clear)
{
	struct scanner *s = pt->scanner;
	int result;

	for (size_t i = 0; i < loaded.request->nr_scanned; i++) {
		const struct scanned *record = loaded.scanned + i;

		if (level_of(record->found) == 1)
			take_table(s, record, loaded.tables[i]);
		else
			append_young(s, record->address, record->entry, record->found);
	}
	if (recognise(s)) {
		look_at_structs(s);
		result = probe_large(pt);
		if (result != PT_OK)
			return result;
	}
	judge(pt, clear);
	return PT_OK;
}

/* Scan the ranges that are laid out: as many runs as it takes. */
static int scan_ranges(struct page_table *pt, bool clear)
{
	struct request *request = loaded.request;
	int nr_stalls = 0, result;

	request->range = 0;
	request->position = 0;
	while (request->range < request->nr_ranges) {
		uint64_t position = request->position;

		result = view_call(pt, &pt->scanning);
		if (result == PT_OK)
			result = take(pt, clear);
		if (result != PT_OK)
			return result;
		nr_stalls = request->position == position ? nr_stalls + 1 : 0;
		if (nr_stalls == MAX_STALLS) {
			pt->scanner->result.complete = false;
			break;
		}
	}
	return PT_OK;
}

static int scan_all(struct page_table *pt, const uint64_t *start, const uint64_t *end, size_t n, bool clear)
{
	struct request *request = loaded.request;

	request->scan_failed = 0;
	request->huge_resident = 0;
	for (size_t first = 0; first < n; first += MAX_SCAN_RANGES) {
		size_t nr = n - first < MAX_SCAN_RANGES ? n - first : MAX_SCAN_RANGES;
		int result;

		for (size_t i = 0; i < nr; i++)
			loaded.scan_ranges[i] = (struct scan_range){start[first + i], end[first + i]};
		request->nr_ranges = nr;
		result = scan_ranges(pt, clear);
		if (result != PT_OK)
			return result;
	}
	pt->scanner->result.resident += request->huge_resident;
	pt->scanner->result.failed_reads = request->scan_failed;
	return PT_OK;
}

/* What is owed by earlier scans to pages that this one has not come to, and what is due now. */
static void settle_all(struct page_table *pt)
{
	struct scanner *s = pt->scanner;
	struct owed owed = s->owed;

	settle_below(s, UINT64_MAX);
	give_back_owed(pt, &s->due, SIZE_MAX);
	s->owed = s->next;
	s->next = owed;
}

static void keep_cleared(struct scanner *s)
{
	struct young_pages known = s->known;

	s->known = s->cleared;
	s->cleared = known;
}

static void begin(struct scanner *s)
{
	struct scan_result *result = &s->result;
	uint64_t begin_ns = now_ns();

	result->young.nr = result->refs.nr = result->uncleared.nr = 0;
	result->complete = true;
	result->resident = 0;
	result->refs_file = result->refs_anon = false;
	result->begin_ns = begin_ns;
	s->nr_young = 0;
	s->known_at = 0;
	s->cleared.nr = 0;
	s->settled = 0;
	s->next.nr = 0;
	s->due.nr = 0;
	s->max_due = (begin_ns - s->last_ns) * GIVE_BACK_SHARE / GIVE_BACK_NS;
	if (s->max_due < MIN_GIVEN_BACK)
		s->max_due = MIN_GIVEN_BACK;
}

static int scan(struct page_table *pt, const uint64_t *start, const uint64_t *end, size_t n, bool clear)
{
	struct scanner *s = pt->scanner;
	int result;

	if (!loaded.scan_task || !loaded.read_page_structs || loaded.request->page_size_of_struct != SIZE_OF_STRUCT_PAGE)
		return PT_NO_SCAN;
	if (!pt->scanning.link && view_open(pt, &pt->scanning, loaded.scan_task))
		return PT_FAILED;
	begin(s);
	pt->nr_ranges = 0;
	result = scan_all(pt, start, end, n, clear);
	s->result.end_ns = now_ns();
	if (result != PT_OK)
		return result;
	if (clear) {
		settle_all(pt);
		keep_cleared(s);
		s->last_ns = s->result.begin_ns;
	}
	return s->out_of_memory ? PT_FAILED : PT_OK;
}

static struct scanner *scanner_open(void)
{
	struct scanner *s = calloc(1, sizeof(*s));

	if (s)
		s->young = malloc(MAX_YOUNG * sizeof(*s->young));
	if (s && s->young)
		return s;
	free(s);
	return NULL;
}

int page_table_scan(struct page_table *pt, const uint64_t *start, const uint64_t *end, size_t n, bool clear,
		    const struct scan_result **found)
{
	int result;

	if (!pt->scanner)
		pt->scanner = scanner_open();
	if (!pt->scanner)
		return PT_FAILED;
	*found = &pt->scanner->result;
	pthread_mutex_lock(&loaded.lock);
	result = scan(pt, start, end, n, clear);
	pthread_mutex_unlock(&loaded.lock);
	return result;
}

void scanner_forget(struct page_table *pt)
{
	view_close(&pt->scanning);
	if (pt->scanner)
		pt->scanner->owed.nr = pt->scanner->known.nr = 0;
}

void scanner_close(struct page_table *pt)
{
	struct scanner *s = pt->scanner;

	if (s) {
		pthread_mutex_lock(&loaded.lock);
		give_back_owed(pt, &s->owed, MAX_GIVEN_BACK);
		pthread_mutex_unlock(&loaded.lock);
		free(s->result.young.run);
		free(s->result.refs.run);
		free(s->result.uncleared.run);
		free(s->owed.run);
		free(s->next.run);
		free(s->due.run);
		free(s->known.page);
		free(s->cleared.page);
		free(s->young);
		free(s);
	}
	pt->scanner = NULL;
	view_close(&pt->scanning);
}
