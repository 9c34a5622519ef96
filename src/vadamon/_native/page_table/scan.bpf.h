/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Copy whole page tables, for user space to look at every accessed bit in them. Part of page_table.bpf.c, whose rules
 * hold here too: each VMA is found with the mmap lock held for reading, and nothing is written.
 *
 * A run is short, so that the lock is never held for as long as a millisecond: it ends when MAX_TABLES have been copied
 * or MAX_STEPS been taken, and the next one goes on from request.position. A step is 512 GiB or 1 GiB where upper
 * tables are missing, and else 2 MiB.
 */
#define MAX_STEPS 16384

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SCAN_RANGES);
	__type(key, u32);
	__type(value, struct scan_range);
} scan_ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_TABLES);
	__type(key, u32);
	__type(value, struct scanned);
} scanned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_TABLES);
	__type(key, u32);
	__type(value, struct entries);
} tables SEC(".maps");

struct scan {
	struct task_struct *task;
	struct walk walk;
	u64 end; /* of the range, within its VMA */
};

static __always_inline bool scan_is_full(void)
{
	return request.nr_scanned >= MAX_TABLES || request.nr_steps >= MAX_STEPS;
}

static __always_inline u64 next_boundary(u64 address, int shift)
{
	return ((address >> shift) + 1) << shift;
}

static __always_inline void append_scanned(u64 address, u64 found, u64 nr, u64 entry)
{
	u32 key = request.nr_scanned;
	struct scanned *record = bpf_map_lookup_elem(&scanned, &key);

	if (!record)
		return;
	record->address = address;
	record->found = found;
	record->nr = nr;
	record->entry = entry;
	request.nr_scanned = key + 1;
}

static __always_inline void scan_huge_page(struct scan *scan, u64 address, u64 entry, u64 found, u64 size)
{
	if (!(found & FOUND_PRESENT))
		return;
	request.huge_resident += size;
	if (found & FOUND_YOUNG)
		append_scanned(address & ~(size - 1), found | scan->walk.vma_found, 1, entry);
}

static __always_inline void scan_table(struct scan *scan, u64 table, u64 address, u64 next)
{
	u64 first = (address >> PAGE_SHIFT) & (NR_ENTRIES - 1), nr = (next - address) >> PAGE_SHIFT;
	u64 size = nr * sizeof(u64);
	u32 key = request.nr_scanned;
	struct entries *copy = bpf_map_lookup_elem(&tables, &key);

	barrier_var(size);
	if (!copy || size > sizeof(*copy))
		return;
	if (bpf_probe_read_kernel(copy, size, (void *)(table + first * sizeof(u64)))) {
		request.scan_failed++;
		return;
	}
	append_scanned(address, scan->walk.vma_found | 1ULL << FOUND_LEVEL_SHIFT, nr, 0);
}

/* Read all of the PMD table of an address; false where there is none, and where to go on is in request.position. */
static __always_inline bool enter_pmd_table(struct scan *scan, u64 address, struct entries *pmds)
{
	struct walk *walk = &scan->walk;
	u64 entry = 0, found = 0;
	int shift;

	if (walk->pmd_table && walk->pmd_base == address >> PUD_SHIFT)
		return true;
	walk->pmd_base = address >> PUD_SHIFT;
	walk->pmd_table = find_pmd_table(walk->pgd, address, &entry, &found, &shift);
	if (walk->pmd_table) {
		if (!bpf_probe_read_kernel(pmds, sizeof(*pmds), (void *)walk->pmd_table))
			return true;
		found = FOUND_FAILED;
		walk->pmd_table = 0;
	}
	if (found & FOUND_FAILED)
		request.scan_failed++;
	else
		scan_huge_page(scan, address, entry, found, 1ULL << PUD_SHIFT);
	request.position = next_boundary(address, shift);
	return false;
}

static int scan_step(u32 i, struct scan *scan)
{
	u64 address = request.position, next = next_boundary(address, PMD_SHIFT), entry;
	struct entries *pmds;
	u32 key = 0;

	if (address >= scan->end || scan_is_full())
		return 1;
	pmds = bpf_map_lookup_elem(&scratch, &key);
	if (!pmds)
		return 1;
	request.nr_steps++;
	if (!enter_pmd_table(scan, address, pmds))
		return 0;
	entry = pmds->entry[(address >> PMD_SHIFT) & (NR_ENTRIES - 1)];
	request.position = next;
	if (entry & ENTRY_LEAF)
		scan_huge_page(scan, address, entry, leaf(entry, 2), PMD_SIZE);
	else if (entry & ENTRY_PRESENT)
		scan_table(scan, table_of(entry), address, next < scan->end ? next : scan->end);
	return 0;
}

static long scan_vma(struct task_struct *task, struct vm_area_struct *vma, struct scan *scan)
{
	enter_vma(&scan->walk, vma);
	if (scan->end > scan->walk.vma_end)
		scan->end = scan->walk.vma_end;
	if (!scan->walk.no_pages)
		bpf_loop(MAX_STEPS, scan_step, scan, 0);
	else
		request.position = scan->end;
	/* A step goes beyond the end of the VMA where its last table does: the next VMA may share that table. */
	if (request.position > scan->end)
		request.position = scan->end;
	return 0;
}

static int scan_next(u32 i, struct scan *scan)
{
	u32 key = request.range;
	struct scan_range *range;
	long error;

	if (key >= request.nr_ranges || scan_is_full())
		return 1;
	range = bpf_map_lookup_elem(&scan_ranges, &key);
	if (!range)
		return 1;
	if (request.position < range->start)
		request.position = range->start;
	if (request.position >= range->end) {
		request.range = key + 1;
		return 0;
	}
	request.nr_steps++;
	scan->end = range->end;
	error = bpf_find_vma(scan->task, request.position, scan_vma, scan, 0);
	if (error == -ENOENT) {
		request.position = next_boundary(request.position, PMD_SHIFT);
		return 0;
	}
	/* Somebody waits to write: let go of the lock, and be called again for the rest. */
	return error != 0;
}

SEC("iter/task_vma")
int scan_task(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct scan scan = {.task = task};

	if (!task || !ctx->vma)
		return 0;
	identify(task);
	request.nr_steps = 0;
	request.nr_scanned = 0;
	scan.walk.pgd = (u64)task->mm->pgd;
	bpf_loop(2 * MAX_STEPS, scan_next, &scan, 0);
	return 1; /* ends the iteration */
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_FRAME_RUNS);
	__type(key, u32);
	__type(value, struct frame_run);
} frame_runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_FRAME_RUNS);
	__type(key, u32);
	__type(value, struct page_structs);
} page_structs SEC(".maps");

static int read_frame_run(u32 i, void *unused)
{
	struct frame_run *run = bpf_map_lookup_elem(&frame_runs, &i);
	struct page_structs *structs = bpf_map_lookup_elem(&page_structs, &i);
	u64 size;

	if (!run || !structs || i >= request.nr_frame_runs)
		return 1;
	size = run->nr * SIZE_OF_STRUCT_PAGE;
	barrier_var(size);
	if (size > sizeof(*structs) || bpf_probe_read_kernel(structs, size, (void *)page_struct(run->frame)))
		run->nr = 0;
	return 0;
}

#define FLAG_MASK(name) (1ULL << bpf_core_enum_value(enum pageflags, name))

/* The struct page of many frames at once: one read for each run of them. Needs no task, and no lock. */
SEC("syscall")
int read_page_structs(void *ctx)
{
	request.page_size_of_struct = bpf_core_type_size(struct page);
	request.compound_head_at = bpf_core_field_offset(struct page, compound_head);
	request.mapcount_at = bpf_core_field_offset(struct page, _mapcount);
	request.flag_lru = FLAG_MASK(PG_lru);
	request.flag_head = FLAG_MASK(PG_head);
	request.flag_active = FLAG_MASK(PG_active);
	request.flag_referenced = FLAG_MASK(PG_referenced);
	request.flag_reserved = FLAG_MASK(PG_reserved);
	bpf_loop(MAX_FRAME_RUNS, read_frame_run, NULL, 0);
	return 0;
}
