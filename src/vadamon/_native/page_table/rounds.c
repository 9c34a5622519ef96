// SPDX-License-Identifier: Apache-2.0
/*
 * Rounds of samples, one after the other, without a step of Python in between. After each sleep the processor has to
 * fetch anew what runs then: a round that Python steps through takes several times as long.
 *
 *   pick -> mkold -> sleep -> young -> count        pick -> mkold -> ...
 *   |<------------- one round ------------->|
 *
 * What is rare is left to the caller, in the middle of a round if need be, to go on with it from the stage that it is in.
 */
#define _GNU_SOURCE
#include <Python.h> /* before any other, says Python */

#include "../sampling.h"
#include "internal.h"

#include <time.h>

/* So that a round that is left to the caller has cleared nothing. */
_Static_assert(MAX_ROUND_REGIONS <= MAX_PROBES, "all are looked at together");

/* The last tick whose time has come. */
static int64_t ticks_passed(const struct rounds *r, int64_t at_least)
{
	int64_t passed = (int64_t)(now_ns() - r->start_ns) / (int64_t)r->sample_ns;

	return passed > at_least ? passed : at_least;
}

static int sleep_until(uint64_t ns)
{
	struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Pick addresses and clear their pages. False where the caller has to clear them: nothing was, so far. */
static bool prepare_round(struct page_table *pt, struct rounds *r)
{
	bool may_clear_refs = now_ns() >= r->clear_refs_from_ns;
	struct mkold_summary summary;

	pick_addresses(r->rng, r->region_start, r->region_end, r->n, r->addresses);
	if (page_table_mkold(pt, r->addresses, r->n, may_clear_refs, r->voids, &summary) != PT_OK)
		return false;
	/* None of those that need clear_refs is young. */
	if (may_clear_refs)
		for (size_t i = 0; i < r->n; i++)
			if (r->voids[i] == VOID_REFS)
				r->voids[i] = VALID;
	return true;
}

static void count_round(struct rounds *r)
{
	const struct found found = {r->n, r->accessed, r->voids, r->addresses, r->page_sizes};

	count_accesses(&found, r->nr_accesses, r->nr_valid);
	for (size_t i = 0; i < r->n; i++)
		r->nr_void[r->voids[i]]++;
}

enum stage page_table_rounds(struct page_table *pt, struct rounds *r)
{
	const struct young young = {r->addresses, r->n, r->voids, r->accessed, r->page_sizes, false};

	while (r->now < r->end) {
		int64_t tick = ticks_passed(r, r->now) + 1;
		uint64_t due_ns = r->start_ns + tick * r->sample_ns, woken_ns;

		if (due_ns > r->until_ns)
			break;
		r->due = tick;
		if (!prepare_round(pt, r))
			return PICKED;
		if (sleep_until(due_ns))
			return PREPARED;
		woken_ns = now_ns();
		if (page_table_young(pt, &young) != PT_OK)
			return PREPARED;
		count_round(r);
		r->nr_samples++;
		r->nr_late += woken_ns - due_ns > r->sample_ns / 2;
		r->last = tick;
		r->now = ticks_passed(r, tick);
	}
	return BETWEEN;
}
