// SPDX-License-Identifier: Apache-2.0
/*
 * Rounds of samples, one after the other, without a step of Python in between. After each sleep the processor has to
 * fetch anew what runs then: a round that Python steps through takes several times as long.
 *
 *   pick -> mkold          young -> count
 *   pick -> mkold -> sleep -> young -> count        pick -> mkold -> ...
 *   |<------------- one round ------------->|
 *
 * of two processes. What is rare is left to the caller, in the middle of a round if need be, to go on with it from the
 * process and the stage that it is in.
 */
#define _GNU_SOURCE
#include <Python.h> /* before any other, says Python */

#include "../sampling.h"
#include "internal.h"

#include <time.h>

/* So that a round that is left to the caller has cleared nothing. */
_Static_assert(MAX_ROUND_REGIONS <= MAX_PROBES, "all are looked at together");

/* The last tick whose time has come at a time. */
static int64_t ticks_passed(const struct rounds *r, uint64_t ns, int64_t at_least)
{
	int64_t passed = (int64_t)(ns - r->start_ns) / (int64_t)r->sample_ns;

	return passed > at_least ? passed : at_least;
}

/* The tick of the next sample. One of which less than half is left would see too little: it is left out. */
static int64_t next_tick(const struct rounds *r)
{
	return ticks_passed(r, now_ns() + (r->sample_ns - 1) / 2, r->now) + 1;
}

static uint64_t due_ns(const struct rounds *r, int64_t tick)
{
	return r->start_ns + tick * r->sample_ns;
}

static int sleep_until(uint64_t ns)
{
	struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Pick addresses and clear their pages. False where the caller has to clear them: nothing was, so far. */
static bool prepare_target(struct round_target *t, struct bitgen *rng)
{
	bool may_clear_refs = now_ns() >= t->clear_refs_from_ns;
	struct mkold_summary summary;

	pick_addresses(rng, t->region_start, t->region_end, t->n, t->addresses);
	if (page_table_mkold(t->pt, t->addresses, t->n, may_clear_refs, t->voids, &summary) != PT_OK)
		return false;
	/* None of those that need clear_refs is young. */
	if (may_clear_refs)
		for (size_t i = 0; i < t->n; i++)
			if (t->voids[i] == VOID_REFS)
				t->voids[i] = VALID;
	return true;
}

/* False where the caller has to look: nothing is counted yet. */
static bool check_target(struct round_target *t)
{
	const struct young young = {t->addresses, t->n, t->voids, t->accessed, t->page_sizes, false};
	const struct found found = {t->n, t->accessed, t->voids, t->addresses, t->page_sizes};

	if (page_table_young(t->pt, &young) != PT_OK)
		return false;
	count_accesses(&found, t->nr_accesses, t->nr_valid);
	for (size_t i = 0; i < t->n; i++)
		t->nr_void[t->voids[i]]++;
	return true;
}

static bool prepare_round(struct rounds *r)
{
	for (r->nr_done = 0; r->nr_done < r->nr_targets; r->nr_done++)
		if (!prepare_target(r->targets + r->nr_done, r->rng))
			return false;
	return true;
}

static bool check_round(struct rounds *r)
{
	for (r->nr_done = 0; r->nr_done < r->nr_targets; r->nr_done++)
		if (!check_target(r->targets + r->nr_done))
			return false;
	return true;
}

enum stage page_table_rounds(struct rounds *r)
{
	while (r->now < r->end) {
		uint64_t woken_ns;

		if (due_ns(r, next_tick(r)) > r->until_ns)
			break;
		if (!prepare_round(r))
			return PICKED;
		r->nr_done = 0;
		r->due = next_tick(r); /* by now: to prepare many regions takes its time */
		if (due_ns(r, r->due) > r->until_ns || sleep_until(due_ns(r, r->due)))
			return PREPARED;
		woken_ns = now_ns();
		if (!check_round(r))
			return PREPARED;
		r->nr_samples++;
		r->nr_late += woken_ns - due_ns(r, r->due) > r->sample_ns / 2;
		r->last = r->due;
		r->now = ticks_passed(r, now_ns(), r->due);
	}
	return BETWEEN;
}
