// SPDX-License-Identifier: Apache-2.0
/*
 * Counters of pages, in chunks of 2 MiB. A chunk is made when the first of its pages is accessed: memory that never was
 * costs nothing, however much of it there is; its age is that of its mapping.
 */
#include "page_heat.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT  12
#define CHUNK_SHIFT 21
#define CHUNK_SIZE  (1ULL << CHUNK_SHIFT)
#define NR_PAGES    512
#define MAX_AGE     UINT16_MAX

struct chunk {
	uint64_t base;
	uint16_t age[NR_PAGES];
	uint8_t count[NR_PAGES]; /* of accesses in this aggregation interval, */
	uint8_t last[NR_PAGES];  /* and in the one before */
	uint8_t nr_void[NR_PAGES];
	bool any_void;
};

/* What is mapped, and since when. */
struct span {
	uint64_t start, end, born;
};

struct page_heat {
	struct chunk **chunks; /* sorted */
	size_t nr_chunks, chunks_capacity;
	struct span *spans; /* sorted */
	size_t nr_spans;
	struct heat_run *runs; /* of the last aggregation */
	size_t nr_runs, runs_capacity;
	uint64_t nr_aggregations;
	unsigned int nr_scans, nr_samples, last_nr_samples;
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct page_heat *page_heat_new(void)
{
	return calloc(1, sizeof(struct page_heat));
}

void page_heat_free(struct page_heat *heat)
{
	if (!heat)
		return;
	for (size_t i = 0; i < heat->nr_chunks; i++)
		free(heat->chunks[i]);
	free(heat->chunks);
	free(heat->spans);
	free(heat->runs);
	free(heat);
}

/* The first chunk that ends above the address. */
static size_t find_chunk(const struct page_heat *heat, uint64_t address)
{
	size_t low = 0, high = heat->nr_chunks;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (heat->chunks[middle]->base + CHUNK_SIZE > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The first span that ends above the address. */
static size_t find_span(const struct page_heat *heat, uint64_t address)
{
	size_t low = 0, high = heat->nr_spans;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (heat->spans[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static uint16_t age_of(const struct page_heat *heat, const struct span *span)
{
	return min(heat->nr_aggregations - span->born, MAX_AGE);
}

static unsigned int page_in(const struct chunk *chunk, uint64_t address)
{
	return (address - chunk->base) >> PAGE_SHIFT;
}

static struct chunk *insert_chunk(struct page_heat *heat, size_t at, uint64_t base)
{
	struct chunk *chunk;

	if (heat->nr_chunks == heat->chunks_capacity) {
		size_t capacity = heat->chunks_capacity ? 2 * heat->chunks_capacity : 64;
		struct chunk **chunks = realloc(heat->chunks, capacity * sizeof(*chunks));

		if (!chunks)
			return NULL;
		heat->chunks = chunks;
		heat->chunks_capacity = capacity;
	}
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->base = base;
	for (size_t i = find_span(heat, base); i < heat->nr_spans && heat->spans[i].start < base + CHUNK_SIZE; i++) {
		unsigned int first = page_in(chunk, max(heat->spans[i].start, base));
		unsigned int end = page_in(chunk, min(heat->spans[i].end, base + CHUNK_SIZE));

		for (unsigned int page = first; page < end; page++)
			chunk->age[page] = age_of(heat, heat->spans + i);
	}
	memmove(heat->chunks + at + 1, heat->chunks + at, (heat->nr_chunks - at) * sizeof(*heat->chunks));
	heat->chunks[at] = chunk;
	heat->nr_chunks++;
	return chunk;
}

int page_heat_add_scan(struct page_heat *heat)
{
	if (heat->nr_scans == PAGE_HEAT_MAX_SCANS)
		return -1;
	heat->nr_scans++;
	return 0;
}

int page_heat_count(struct page_heat *heat, const uint64_t *start, const uint64_t *end, size_t n, bool as_void)
{
	size_t at = n ? find_chunk(heat, start[0]) : 0;

	for (size_t i = 0; i < n; i++)
		for (uint64_t address = start[i]; address < end[i];) {
			uint64_t base = address & ~(CHUNK_SIZE - 1), stop = min(end[i], base + CHUNK_SIZE);
			struct chunk *chunk;
			uint8_t *counters;

			while (at < heat->nr_chunks && heat->chunks[at]->base < base)
				at++;
			if (at == heat->nr_chunks || heat->chunks[at]->base != base)
				chunk = insert_chunk(heat, at, base);
			else
				chunk = heat->chunks[at];
			if (!chunk)
				return -1;
			counters = as_void ? chunk->nr_void : chunk->count;
			chunk->any_void |= as_void;
			for (unsigned int page = page_in(chunk, address); page < page_in(chunk, stop); page++)
				counters[page]++;
			address = stop;
		}
	return 0;
}

/* Forget what is known of pages: another mapping is there now. */
static void reset(struct page_heat *heat, uint64_t start, uint64_t end)
{
	for (size_t i = find_chunk(heat, start); i < heat->nr_chunks && heat->chunks[i]->base < end; i++) {
		struct chunk *chunk = heat->chunks[i];
		unsigned int first = page_in(chunk, max(start, chunk->base));
		unsigned int nr = page_in(chunk, min(end, chunk->base + CHUNK_SIZE)) - first;

		memset(chunk->age + first, 0, nr * sizeof(*chunk->age));
		memset(chunk->count + first, 0, nr);
		memset(chunk->last + first, 0, nr);
		memset(chunk->nr_void + first, 0, nr);
	}
}

static void drop_unmapped_chunks(struct page_heat *heat)
{
	size_t kept = 0, span = 0;

	for (size_t i = 0; i < heat->nr_chunks; i++) {
		struct chunk *chunk = heat->chunks[i];

		while (span < heat->nr_spans && heat->spans[span].end <= chunk->base)
			span++;
		if (span < heat->nr_spans && heat->spans[span].start < chunk->base + CHUNK_SIZE)
			heat->chunks[kept++] = chunk;
		else
			free(chunk);
	}
	heat->nr_chunks = kept;
}

static void append_span(struct span *spans, size_t *nr, uint64_t start, uint64_t end, uint64_t born)
{
	if (start >= end)
		return;
	if (*nr && spans[*nr - 1].end == start && spans[*nr - 1].born == born)
		spans[*nr - 1].end = end;
	else
		spans[(*nr)++] = (struct span){start, end, born};
}

int page_heat_set_ranges(struct page_heat *heat, const uint64_t *start, const uint64_t *end, size_t n)
{
	/* Each old and each new range begins at most one part that was mapped, and one that was not. */
	struct span *spans = malloc((2 * (n + heat->nr_spans) + 1) * sizeof(*spans));
	size_t nr = 0;

	if (!spans)
		return -1;
	for (size_t i = 0; i < n; i++) {
		uint64_t address = start[i];

		for (size_t k = find_span(heat, address); k < heat->nr_spans && heat->spans[k].start < end[i]; k++) {
			const struct span *old = heat->spans + k;

			if (old->start > address) {
				reset(heat, address, old->start);
				append_span(spans, &nr, address, old->start, heat->nr_aggregations);
				address = old->start;
			}
			append_span(spans, &nr, address, min(old->end, end[i]), old->born);
			address = min(old->end, end[i]);
		}
		if (address < end[i]) {
			reset(heat, address, end[i]);
			append_span(spans, &nr, address, end[i], heat->nr_aggregations);
		}
	}
	free(heat->spans);
	heat->spans = spans;
	heat->nr_spans = nr;
	drop_unmapped_chunks(heat);
	return 0;
}

/* Scale a count out of `out_of` scans, a half rounded up. */
static uint8_t scale(unsigned int count, unsigned int out_of, unsigned int nr_samples)
{
	return (2 * count * nr_samples + out_of) / (2 * out_of);
}

static void sum_up_chunk(const struct page_heat *heat, struct chunk *chunk, unsigned int nr_samples)
{
	if (heat->last_nr_samples && heat->last_nr_samples != nr_samples)
		for (unsigned int i = 0; i < NR_PAGES; i++)
			chunk->last[i] = scale(chunk->last[i], heat->last_nr_samples, nr_samples);
	if (!chunk->any_void && heat->nr_scans == nr_samples)
		return;
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		unsigned int nr_valid = heat->nr_scans - chunk->nr_void[i];

		chunk->count[i] = nr_valid ? scale(chunk->count[i], nr_valid, nr_samples) : chunk->last[i];
	}
}

unsigned int page_heat_sum_up(struct page_heat *heat, unsigned int nr_samples)
{
	uint8_t largest = 0;

	for (size_t i = 0; i < heat->nr_chunks; i++) {
		struct chunk *chunk = heat->chunks[i];

		sum_up_chunk(heat, chunk, nr_samples);
		for (unsigned int page = 0; page < NR_PAGES; page++)
			largest = chunk->count[page] > largest ? chunk->count[page] : largest;
	}
	heat->nr_samples = nr_samples;
	return largest;
}

static bool is_unknown(const struct page_heat *heat, const struct chunk *chunk, unsigned int page)
{
	return chunk->nr_void[page] == heat->nr_scans;
}

/* As regions: new where the accesses changed by more than the threshold, or between none and some; else one older. */
static void update_ages(const struct page_heat *heat, struct chunk *chunk, unsigned int threshold)
{
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		unsigned int now = chunk->count[i], last = chunk->last[i];
		unsigned int difference = now > last ? now - last : last - now;
		bool changed = difference > threshold || !now != !last;
		unsigned int older = chunk->age[i] + !is_unknown(heat, chunk, i);

		chunk->age[i] = changed ? 0 : older > MAX_AGE ? MAX_AGE : older;
	}
}

static int append_run(struct page_heat *heat, struct heat_run run)
{
	struct heat_run *last = heat->runs + heat->nr_runs - 1;

	if (heat->nr_runs && last->end == run.start && last->nr_accesses == run.nr_accesses && last->age == run.age &&
	    last->unknown == run.unknown) {
		last->end = run.end;
		return 0;
	}
	if (heat->nr_runs == heat->runs_capacity) {
		size_t capacity = heat->runs_capacity ? 2 * heat->runs_capacity : 256;
		struct heat_run *runs = realloc(heat->runs, capacity * sizeof(*runs));

		if (!runs)
			return -1;
		heat->runs = runs;
		heat->runs_capacity = capacity;
	}
	heat->runs[heat->nr_runs++] = run;
	return 0;
}

/* Runs of the pages of a chunk that lie in [start, end). */
static int append_chunk(struct page_heat *heat, const struct chunk *chunk, uint64_t start, uint64_t end)
{
	unsigned int stop = page_in(chunk, end);

	for (unsigned int first = page_in(chunk, start), page = first; first < stop; first = page) {
		struct heat_run run = {
			.start = chunk->base + ((uint64_t)first << PAGE_SHIFT),
			.nr_accesses = chunk->count[first],
			.age = chunk->age[first],
			.unknown = is_unknown(heat, chunk, first),
		};

		for (page = first + 1; page < stop; page++)
			if (chunk->count[page] != run.nr_accesses || chunk->age[page] != run.age ||
			    is_unknown(heat, chunk, page) != run.unknown)
				break;
		run.end = chunk->base + ((uint64_t)page << PAGE_SHIFT);
		if (append_run(heat, run))
			return -1;
	}
	return 0;
}

static int append_span_runs(struct page_heat *heat, const struct span *span)
{
	size_t at = find_chunk(heat, span->start);

	for (uint64_t address = span->start, stop; address < span->end; address = stop) {
		const struct chunk *chunk = at < heat->nr_chunks ? heat->chunks[at] : NULL;

		if (chunk && chunk->base <= address) {
			stop = min(span->end, chunk->base + CHUNK_SIZE);
			at++;
			if (append_chunk(heat, chunk, address, stop))
				return -1;
			continue;
		}
		stop = chunk ? min(span->end, chunk->base) : span->end;
		if (append_run(heat, (struct heat_run){
				.start = address,
				.end = stop,
				.age = age_of(heat, span),
				.unknown = !heat->nr_scans,
			}))
			return -1;
	}
	return 0;
}

int page_heat_end(struct page_heat *heat, unsigned int threshold, const struct heat_run **runs, size_t *nr_runs)
{
	int error = 0;

	heat->nr_aggregations++;
	heat->nr_runs = 0;
	for (size_t i = 0; i < heat->nr_chunks; i++)
		update_ages(heat, heat->chunks[i], threshold);
	for (size_t i = 0; i < heat->nr_spans && !error; i++)
		error = append_span_runs(heat, heat->spans + i);
	for (size_t i = 0; i < heat->nr_chunks; i++) {
		struct chunk *chunk = heat->chunks[i];

		memcpy(chunk->last, chunk->count, sizeof(chunk->last));
		memset(chunk->count, 0, sizeof(chunk->count));
		memset(chunk->nr_void, 0, sizeof(chunk->nr_void));
		chunk->any_void = false;
	}
	heat->last_nr_samples = heat->nr_samples;
	heat->nr_scans = 0;
	*runs = heat->runs;
	*nr_runs = heat->nr_runs;
	return error;
}
