// SPDX-License-Identifier: Apache-2.0
/*
 * The idle page bitmap (mm/page_idle.c) has one bit a frame. To set it clears the accessed bits of the frame's folio in
 * all page tables, and marks the folio idle; to read it asks the page tables again, and tells whether the mark is still
 * there. Only the first frame of a folio counts, and only folios on the LRU take the mark.
 */
#define _GNU_SOURCE
#include "page_idle.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#define PAGE_SIZE   4096ULL
#define HUGE_FRAMES 512ULL

/* Bits of a pagemap entry. */
#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_FRAME   ((1ULL << 55) - 1)

/* Bits of kpageflags. */
#define KPF_COMPOUND_HEAD (1ULL << 15)
#define KPF_COMPOUND_TAIL (1ULL << 16)
#define KPF_ZERO_PAGE     (1ULL << 24)
#define KPF_IDLE          (1ULL << 25)

/* What was found out last of a folio: neighbours in address order often share it. */
struct folio {
	uint64_t first, nr_frames; /* nr_frames is 1 or HUGE_FRAMES: of sizes in between only the head is known */
};

static bool read_word(int file, uint64_t index, uint64_t *word)
{
	ssize_t done;

	do {
		done = pread(file, word, sizeof(*word), index * sizeof(*word));
	} while (done < 0 && errno == EINTR);
	return done == sizeof(*word);
}

static uint64_t flags_of(const struct page_idle *files, uint64_t frame)
{
	uint64_t flags;

	return read_word(files->kpageflags, frame, &flags) ? flags : 0;
}

/* The frame at an address, or one of FRAME_; -1 in *gone where there is no address space. */
static uint64_t frame_at(const struct page_idle *files, uint64_t address, int *gone)
{
	uint64_t entry;
	ssize_t done;

	do {
		done = pread(files->pagemap, &entry, sizeof(entry), address / PAGE_SIZE * sizeof(entry));
	} while (done < 0 && errno == EINTR);
	if (done == 0)
		*gone = -1;
	if (done != sizeof(entry))
		return FRAME_UNKNOWN;
	return entry & ENTRY_PRESENT ? entry & ENTRY_FRAME : FRAME_ABSENT;
}

/*
 * The folio of a frame. Folios are aligned to their size, so the head of a tail page is found by clearing the lowest bits
 * of its number one after the other. It is of 2 MiB where the page in the middle of such a range is a tail page too:
 * those of smaller folios would end before it or begin there.
 */
static struct folio find_folio(const struct page_idle *files, uint64_t frame, uint64_t flags)
{
	uint64_t huge = frame & ~(HUGE_FRAMES - 1), head = frame;

	if (!(flags & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)))
		return (struct folio){frame, 1};
	if (flags_of(files, huge) & KPF_COMPOUND_HEAD && flags_of(files, huge + HUGE_FRAMES / 2) & KPF_COMPOUND_TAIL)
		return (struct folio){huge, HUGE_FRAMES};
	while (flags & KPF_COMPOUND_TAIL && head) {
		head &= head - 1;
		flags = flags_of(files, head);
	}
	return (struct folio){head, 1};
}

/* Find the folio of a frame, in *folio; false where it is no page that is accessed or not: the zero page. */
static bool look_up(const struct page_idle *files, uint64_t frame, struct folio *folio)
{
	uint64_t flags;

	if (folio->nr_frames == HUGE_FRAMES && frame - folio->first < HUGE_FRAMES)
		return true;
	flags = flags_of(files, frame);
	if (flags & KPF_ZERO_PAGE)
		return false;
	*folio = find_folio(files, frame, flags);
	return true;
}

/* Set one bit. Neighbours in its word are left as they are: a 0 that is written changes nothing. */
static void mark(const struct page_idle *files, uint64_t frame)
{
	uint64_t word = 1ULL << frame % 64;
	ssize_t done;

	do {
		done = pwrite(files->bitmap, &word, sizeof(word), frame / 64 * sizeof(word));
	} while (done < 0 && errno == EINTR);
}

int page_idle_mkold(const struct page_idle *files, const uint64_t *addresses, size_t n,
		    struct page_idle_sample *samples, uint8_t *voids)
{
	struct folio folio = {0};
	uint64_t marked = FRAME_ABSENT;
	int gone = 0;

	for (size_t i = 0; i < n; i++) {
		struct page_idle_sample *sample = samples + i;

		sample->frame = frame_at(files, addresses[i], &gone);
		sample->head = FRAME_ABSENT;
		voids[i] = sample->frame == FRAME_UNKNOWN ? IDLE_UNCHECKED : IDLE_VALID;
		if (sample->frame == FRAME_UNKNOWN || sample->frame == FRAME_ABSENT)
			continue;
		if (!look_up(files, sample->frame, &folio)) {
			sample->frame = FRAME_ABSENT;
			continue;
		}
		sample->head = folio.first;
		if (sample->head != marked)
			mark(files, sample->head);
		marked = sample->head;
	}
	/*
	 * Did they take it? kpageflags tell whether the mark is there, without asking the page tables: it is, even where the
	 * page has been accessed again by now.
	 */
	for (size_t i = 0; i < n; i++) {
		if (samples[i].head == FRAME_ABSENT)
			continue;
		if (i && samples[i].head == samples[i - 1].head)
			voids[i] = voids[i - 1];
		else if (!(flags_of(files, samples[i].head) & KPF_IDLE))
			voids[i] = IDLE_UNCLEARED;
	}
	return gone;
}

/* Reading moves what page tables say of other frames in the word, where those are marked, to their marks: nothing is lost. */
static bool is_idle(const struct page_idle *files, uint64_t frame, uint8_t *is_void)
{
	uint64_t word;

	if (!read_word(files->bitmap, frame / 64, &word)) { /* as at the end of memory, in a word that is not whole */
		*is_void = IDLE_UNCHECKED;
		return true;
	}
	return word >> frame % 64 & 1;
}

int page_idle_young(const struct page_idle *files, const uint64_t *addresses, size_t n,
		    const struct page_idle_sample *samples, uint8_t *voids, uint8_t *accessed, uint64_t *page_size)
{
	struct folio folio = {0};
	int gone = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t frame = frame_at(files, addresses[i], &gone);
		bool is_page = frame != FRAME_ABSENT && frame != FRAME_UNKNOWN && look_up(files, frame, &folio);

		accessed[i] = 0;
		page_size[i] = PAGE_SIZE;
		if (frame == FRAME_UNKNOWN)
			voids[i] = IDLE_UNCHECKED;
		if (samples[i].head != FRAME_ABSENT && frame != samples[i].frame)
			voids[i] = IDLE_UNCHECKED; /* moved, swapped out, copied: of the page that was marked it says nothing */
		if (!is_page)
			continue;
		if (folio.nr_frames == HUGE_FRAMES && (addresses[i] / PAGE_SIZE - frame) % HUGE_FRAMES == 0)
			page_size[i] = HUGE_FRAMES * PAGE_SIZE;
		if (voids[i] == IDLE_VALID)
			accessed[i] = !is_idle(files, folio.first, voids + i) && voids[i] == IDLE_VALID;
	}
	return gone;
}
