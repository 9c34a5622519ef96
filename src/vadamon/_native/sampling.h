/* SPDX-License-Identifier: Apache-2.0 */
/* What each sample of each region costs: picking an address, and counting what was found there. */
#ifndef VADAMON_SAMPLING_H
#define VADAMON_SAMPLING_H

#include <numpy/random/distributions.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pick an address in each range [start, end): the very ones that NumPy's Generator.integers() would draw. */
static inline void pick_addresses(bitgen_t *rng, const uint64_t *start, const uint64_t *end, size_t n,
				  uint64_t *addresses)
{
	for (size_t i = 0; i < n; i++)
		addresses[i] = random_bounded_uint64(rng, start[i], end[i] - start[i] - 1, 0, false);
}

/* What was found at n addresses, sorted. Where `void_reason` is not 0 it tells nothing; it may be NULL. */
struct found {
	size_t n;
	const uint8_t *accessed, *void_reason;
	const uint64_t *addresses, *page_sizes; /* may be NULL: none is in the page of another, then */
};

/* Count a sample of each region. Those in the same page, which may be a huge one, count as the first of them does. */
static inline void count_accesses(const struct found *found, uint32_t *nr_accesses, uint32_t *nr_valid)
{
	uint64_t page, last_page = 0;
	size_t first = 0;

	for (size_t i = 0; i < found->n; i++) {
		if (found->addresses) {
			page = found->addresses[i] & -(found->page_sizes[i] ? found->page_sizes[i] : 1);
			if (page != last_page)
				first = i;
			last_page = page;
		} else {
			first = i;
		}
		if (found->void_reason && found->void_reason[first])
			continue;
		nr_valid[i]++;
		nr_accesses[i] += found->accessed[first] != 0;
	}
}

#endif
