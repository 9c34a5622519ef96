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
#define KPF_RESERVED      (1ULL << 32)
#define KPF_COMPOUND      (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)
#define KPF_NOT_ORDINARY  (KPF_ZERO_PAGE | KPF_RESERVED)

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

/* Set one bit. Neighbours in its word are left as they are: a 0 that is written changes nothing. */
static void mark(const struct page_idle *files, uint64_t frame)
{
	uint64_t word = 1ULL << frame % 64;
	ssize_t done;

	do {
		done = pwrite(files->bitmap, &word, sizeof(word), frame / 64 * sizeof(word));
	} while (done < 0 && errno == EINTR);
}

/*
 * The folio of a frame that is part of one, into *sample. Folios are aligned to their size, so the head of a tail page is
 * found by clearing the lowest bits of its number one after the other. It is of 2 MiB where the page in the middle of such
 * a range is a tail page too: those of smaller folios would end before it or begin there.
 */
static void find_folio(const struct page_idle *files, uint64_t flags, struct page_idle_sample *sample)
{
	uint64_t huge = sample->frame & ~(HUGE_FRAMES - 1);

	if (flags_of(files, huge) & KPF_COMPOUND_HEAD && flags_of(files, huge + HUGE_FRAMES / 2) & KPF_COMPOUND_TAIL) {
		sample->head = huge;
		sample->nr_frames = HUGE_FRAMES;
		return;
	}
	while (flags & KPF_COMPOUND_TAIL && sample->head) {
		sample->head &= sample->head - 1;
		flags = flags_of(files, sample->head);
	}
}

static bool same_huge_page(const struct page_idle_sample *sample, const struct page_idle_sample *last)
{
	return last->nr_frames == HUGE_FRAMES && sample->frame - last->head < HUGE_FRAMES;
}

/*
 * Mark the folio of a frame; 0, or why that tells nothing. Most frames are a folio of their own, so the frame itself is
 * marked first: the bit of a tail page is ignored. kpageflags tell whether the mark was taken, without asking the page
 * tables: it is there even if the page has been accessed again by now.
 */
static uint8_t mark_folio(const struct page_idle *files, struct page_idle_sample *sample)
{
	uint64_t flags;

	mark(files, sample->frame);
	flags = flags_of(files, sample->frame);
	if (flags & KPF_NOT_ORDINARY)
		sample->frame = FRAME_ABSENT;
	if (sample->frame == FRAME_ABSENT)
		return IDLE_VALID;
	if (flags & KPF_COMPOUND)
		find_folio(files, flags, sample);
	if (sample->head != sample->frame) {
		mark(files, sample->head);
		flags = flags_of(files, sample->head);
	}
	return flags & KPF_IDLE ? IDLE_VALID : IDLE_UNCLEARED;
}

int page_idle_mkold(const struct page_idle *files, const uint64_t *addresses, size_t n,
		    struct page_idle_sample *samples, uint8_t *voids)
{
	int gone = 0;

	for (size_t i = 0; i < n; i++) {
		struct page_idle_sample *sample = samples + i, *last = i ? sample - 1 : NULL;
		uint64_t frame = frame_at(files, addresses[i], &gone);

		*sample = (struct page_idle_sample){.frame = frame, .head = frame, .nr_frames = 1};
		voids[i] = frame == FRAME_UNKNOWN ? IDLE_UNCHECKED : IDLE_VALID;
		if (frame == FRAME_UNKNOWN || frame == FRAME_ABSENT)
			continue;
		if (last && same_huge_page(sample, last)) {
			sample->head = last->head;
			sample->nr_frames = HUGE_FRAMES;
			voids[i] = voids[i - 1];
		} else {
			voids[i] = mark_folio(files, sample);
		}
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

/* A page has come since: it was accessed, if it is an ordinary one. */
static bool has_come(const struct page_idle *files, uint64_t frame)
{
	return frame != FRAME_ABSENT && !(flags_of(files, frame) & KPF_NOT_ORDINARY);
}

int page_idle_young(const struct page_idle *files, const uint64_t *addresses, size_t n,
		    const struct page_idle_sample *samples, uint8_t *voids, uint8_t *accessed, uint64_t *page_size)
{
	int gone = 0;

	for (size_t i = 0; i < n; i++) {
		const struct page_idle_sample *sample = samples + i;
		uint64_t frame = frame_at(files, addresses[i], &gone);
		/* An address can lie in a huge page's frames without being mapped as one: then it is at another place in it. */
		bool is_huge = sample->nr_frames == HUGE_FRAMES && (addresses[i] / PAGE_SIZE - sample->frame) % HUGE_FRAMES == 0;

		accessed[i] = 0;
		page_size[i] = is_huge ? HUGE_FRAMES * PAGE_SIZE : PAGE_SIZE;
		if (frame == FRAME_UNKNOWN)
			voids[i] = IDLE_UNCHECKED;
		else if (sample->frame == FRAME_ABSENT)
			accessed[i] = has_come(files, frame);
		else if (frame != sample->frame)
			voids[i] = IDLE_UNCHECKED; /* moved, swapped out, copied: of the page that was marked it says nothing */
		else if (voids[i] == IDLE_VALID)
			accessed[i] = !is_idle(files, sample->head, voids + i);
	}
	return gone;
}
