// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/*
 * Look up sampling addresses in the page table of one task, and only look.
 *
 * The iterator hands us the first VMA of the task, with a reference to its mm and the mmap lock held for reading. All
 * the work is done in that one call: each further VMA is found with bpf_find_vma(), which takes the lock for reading
 * once more, so that the time depends on the number of addresses and not on the number of mappings:
 *
 *      VMA 1        VMA 2                 VMA 3
 *     |------|     |-------------|       |------|
 *                    a1   a2  a3     a4    a5          addresses, sorted
 *     called         find: a1 a2 a3  find: find: a5
 *                                    none
 *
 * A page table cannot be freed under us: that is the rule for walkers, a known VMA and the mmap lock held for reading.
 * Where the kernel frees tables with the lock held by others (retraction of file tables, reclaim of empty ones) it
 * waits for RCU readers, and a BPF program is one. All reads are fault-safe on top of that.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "probe.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

/* Only what we read of the kernel's structures: CO-RE finds the offsets on the kernel that runs. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mm_struct {
	void *pgd;
};

struct page {
	unsigned long compound_head;
	struct {
		int counter;
	} _mapcount;
};

struct folio___order_own {
	unsigned char _folio_order;
};

struct folio___order_in_flags {
	unsigned long _flags_1;
};

struct folio___counted {
	struct {
		int counter;
	} _large_mapcount;
};

struct vm_struct {
	struct page **pages;
	unsigned int nr_pages;
};

struct task_struct {
	struct mm_struct *mm;
	int tgid;
	u64 self_exec_id;
	void *stack;
	struct vm_struct *stack_vm_area;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	void *vm_file;
};

struct bpf_iter__task_vma {
	void *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

#pragma clang attribute pop

enum pageflags {
	PG_referenced,
	PG_lru,
	PG_head,
	PG_active,
	PG_reserved,
};

#define FLAG(flags, name) ((flags) >> bpf_core_enum_value(enum pageflags, name) & 1)

#define VM_PFNMAP  0x00000400UL
#define VM_LOCKED  0x00002000UL
#define VM_IO      0x00004000UL
#define VM_HUGETLB 0x00400000UL

#define ENTRY_PRESENT   (1ULL << 0)
#define ENTRY_ACCESSED  (1ULL << 5)
#define ENTRY_LEAF      (1ULL << 7) /* in a PMD or PUD */
#define ENTRY_PROT_NONE (1ULL << 8) /* in a leaf that is not present: a page all the same, for NUMA hints or PROT_NONE */
#define ENTRY_SPECIAL   (1ULL << 9) /* in a PTE: no struct page to speak of, as the zero page */

#define PAGE_SHIFT 12
#define PMD_SHIFT  21
#define PUD_SHIFT  30
#define P4D_SHIFT  39
#define PGD_SHIFT  48
#define PMD_SIZE   (1ULL << PMD_SHIFT)
#define NR_ENTRIES 512
#define ENOENT     2

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_PROBES);
	__type(key, u32);
	__type(value, struct probe);
} probes SEC(".maps");

/* Room for a page table, too large for the stack. */
struct entries {
	u64 entry[NR_ENTRIES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct entries);
} scratch SEC(".maps");

struct request request;

/* Where a walk stands. The tables of the last address are kept: the next one mostly lies in the same ones. */
struct walk {
	u64 pgd;
	u64 vma_start;
	u64 vma_end;
	u64 vma_found;    /* FOUND_ bits that are true of the whole VMA */
	bool no_pages;    /* PFN mappings and device memory */
	u64 pmd_table;    /* of the 1 GiB at pmd_base */
	u64 pmd_base;
	u64 pte_table;    /* of the 2 MiB at pte_base */
	u64 pte_base;
};

static __always_inline int read_entry(u64 table, u64 address, int shift, u64 *entry)
{
	u64 index = (address >> shift) & (NR_ENTRIES - 1);

	return bpf_probe_read_kernel(entry, sizeof(*entry), (void *)(table + index * sizeof(u64)));
}

static __always_inline u64 table_of(u64 entry)
{
	return request.page_offset + (entry & request.frame_mask);
}

static __always_inline u64 leaf(u64 entry, u64 level)
{
	u64 found = level << FOUND_LEVEL_SHIFT;

	if (entry & (ENTRY_PRESENT | ENTRY_PROT_NONE))
		found |= FOUND_PRESENT;
	/* A special PTE (the zero page, a device) is no ordinary page: it counts as not accessed. */
	if ((entry & ENTRY_ACCESSED) && (found & FOUND_PRESENT) && !(level == 1 && (entry & ENTRY_SPECIAL)))
		found |= FOUND_YOUNG;
	return found;
}

/*
 * The kernel's PMD table for an address; 0 and *found where the walk ends before. A leaf PUD is left in *entry, and in
 * *shift the level of the last entry read.
 */
static __always_inline u64 find_pmd_table(u64 pgd, u64 address, u64 *entry, u64 *found, int *shift)
{
	u64 table = pgd;

	*shift = PGD_SHIFT;
	if (request.levels == 5) {
		if (read_entry(table, address, PGD_SHIFT, entry))
			goto failed;
		if (!(*entry & ENTRY_PRESENT))
			return 0;
		table = table_of(*entry);
	}
	*shift = P4D_SHIFT;
	if (read_entry(table, address, P4D_SHIFT, entry))
		goto failed;
	if (!(*entry & ENTRY_PRESENT))
		return 0;
	*shift = PUD_SHIFT;
	if (read_entry(table_of(*entry), address, PUD_SHIFT, entry))
		goto failed;
	if (*entry & ENTRY_LEAF) {
		*found = leaf(*entry, 3);
		return 0;
	}
	if (!(*entry & ENTRY_PRESENT))
		return 0;
	return table_of(*entry);
failed:
	*found = FOUND_FAILED;
	return 0;
}

/* Find the leaf entry of an address: what was found, and the entry itself. */
static __always_inline u64 walk_to_leaf(struct walk *walk, u64 address, u64 *entry)
{
	u64 found = 0;
	int shift;

	*entry = 0;
	if (walk->pte_table && walk->pte_base == address >> PMD_SHIFT)
		goto pte;
	if (!walk->pmd_table || walk->pmd_base != address >> PUD_SHIFT) {
		walk->pmd_table = find_pmd_table(walk->pgd, address, entry, &found, &shift);
		walk->pmd_base = address >> PUD_SHIFT;
		if (!walk->pmd_table)
			return found;
	}
	walk->pte_table = 0;
	if (read_entry(walk->pmd_table, address, PMD_SHIFT, entry))
		return FOUND_FAILED;
	if (*entry & ENTRY_LEAF)
		return leaf(*entry, 2);
	if (!(*entry & ENTRY_PRESENT))
		return 0;
	walk->pte_table = table_of(*entry);
	walk->pte_base = address >> PMD_SHIFT;
pte:
	if (read_entry(walk->pte_table, address, PAGE_SHIFT, entry))
		return FOUND_FAILED;
	return leaf(*entry, 1);
}

static __always_inline u64 frame_of(u64 entry)
{
	/* The kernel inverts the frame of an entry that is not present, against L1TF. */
	if (!(entry & ENTRY_PRESENT))
		entry = ~entry;
	return entry & request.frame_mask;
}

static __always_inline u64 page_struct(u64 frame)
{
	return request.vmemmap + (frame >> PAGE_SHIFT) * bpf_core_type_size(struct page);
}

/* MADV_COLD splits a large folio unless it is given all of it: is all of it mapped here, in one page table? */
static __always_inline bool wholly_mapped(struct walk *walk, u64 address, u64 frame, u64 index, u64 nr)
{
	u64 place = (address >> PAGE_SHIFT) & (NR_ENTRIES - 1);
	u64 start = (address >> PAGE_SHIFT << PAGE_SHIFT) - (index << PAGE_SHIFT);
	struct entries *entries;
	u32 key = 0;
	u64 size;

	if (place < index || place - index + nr > NR_ENTRIES)
		return false;
	if (start < walk->vma_start || start + (nr << PAGE_SHIFT) > walk->vma_end)
		return false;
	entries = bpf_map_lookup_elem(&scratch, &key);
	if (!entries)
		return false;
	/* The verifier wants to see the bound on the very value that is passed. */
	size = nr * sizeof(u64);
	barrier_var(size);
	if (size > sizeof(*entries))
		return false;
	if (bpf_probe_read_kernel(entries, size, (void *)(walk->pte_table + (place - index) * sizeof(u64))))
		return false;
	frame -= index << PAGE_SHIFT;
	for (u32 i = 0; i < NR_ENTRIES; i++) {
		if (i >= nr)
			break;
		if (!(entries->entry[i] & (ENTRY_PRESENT | ENTRY_PROT_NONE)) ||
		    frame_of(entries->entry[i]) != frame + ((u64)i << PAGE_SHIFT))
			return false;
	}
	return true;
}

/* The head of a page's folio, by which its flags are known. */
static __always_inline u64 folio_of(u64 page)
{
	struct page *p = (void *)page;
	u64 head = BPF_CORE_READ(p, compound_head);

	return head & 1 ? head - 1 : page;
}

static __always_inline u64 order_of(u64 folio)
{
	struct folio___order_own *own = (void *)folio;
	struct folio___order_in_flags *flags = (void *)folio;

	if (bpf_core_field_exists(own->_folio_order))
		return BPF_CORE_READ(own, _folio_order);
	return BPF_CORE_READ(flags, _flags_1) & 0xff;
}

/* Of a large folio: how large, where in it we are, and whether it is mapped here alone and as a whole. */
static __always_inline u64 large_folio(struct walk *walk, u64 address, u64 frame, u64 folio, u64 page, u64 found)
{
	struct folio___counted *counted = (void *)folio;
	u64 order = order_of(folio), index = (page - folio) / bpf_core_type_size(struct page);
	bool of_ptes = (found >> FOUND_LEVEL_SHIFT & FOUND_LEVEL_MASK) == 1;

	found |= (order << FOUND_ORDER_SHIFT) | (index << FOUND_INDEX_SHIFT);
	if (of_ptes && order > 9)
		return found | FOUND_PARTIAL; /* larger than a page table */
	if (!bpf_core_field_exists(counted->_large_mapcount))
		found |= FOUND_UNSURE;
	else if ((u64)BPF_CORE_READ(counted, _large_mapcount.counter) + 1 != (of_ptes ? 1ULL << order : 1))
		return found | FOUND_SHARED; /* or mapped in part */
	if (of_ptes && found & FOUND_YOUNG && !wholly_mapped(walk, address, frame, index, 1ULL << order))
		found |= FOUND_PARTIAL;
	return found;
}

/*
 * What reclaim knows of the page, and what stands in the way of clearing its accessed bit. Not static, so that the
 * verifier looks at it once, and not again in every state of the loops around it.
 */
__noinline u64 folio_state(struct walk *walk, u64 address, u64 entry, u64 found)
{
	int level = found >> FOUND_LEVEL_SHIFT & FOUND_LEVEL_MASK;
	u64 frame = frame_of(entry), flags = 0, page, folio;
	struct page *p;

	if (!walk)
		return found;
	if (level == 1 && (entry & ENTRY_SPECIAL))
		return found;
	/* Of a leaf PMD or PUD the frame is that of its first page. (Bit 12 of such an entry is PAT, not address.) */
	if (level == 2)
		frame &= ~(PMD_SIZE - 1);
	if (level == 3)
		frame &= ~((1ULL << PUD_SHIFT) - 1);
	page = page_struct(frame);
	folio = folio_of(page);
	/* The flags are the first word of a struct page on every kernel. */
	if (bpf_probe_read_kernel(&flags, sizeof(flags), (void *)folio))
		return found | FOUND_FAILED;
	if (walk->vma_found & FOUND_HUGETLB)
		return found | FOUND_ORDINARY;
	if (FLAG(flags, PG_reserved))
		return found;
	if (FLAG(flags, PG_lru))
		found |= FOUND_ON_LRU;
	else if (level != 1)
		return found; /* the huge zero page */
	found |= FOUND_ORDINARY;
	if (FLAG(flags, PG_active))
		found |= FOUND_ACTIVE;
	if (FLAG(flags, PG_referenced))
		found |= FOUND_REFERENCED;
	if (folio != page || FLAG(flags, PG_head))
		return large_folio(walk, address, frame, folio, page, found);
	p = (void *)page;
	if (BPF_CORE_READ(p, _mapcount.counter) > 0)
		found |= FOUND_SHARED;
	return found;
}

static __always_inline bool wants_folio(const struct walk *walk, u64 found, bool is_owed)
{
	if (!(found & FOUND_PRESENT))
		return false;
	if (request.want_folio == WANT_OWED)
		return is_owed;
	return request.want_folio == WANT_ALL || found & FOUND_YOUNG || walk->vma_found & FOUND_FILE;
}

/* One address of the VMA at hand; ends the loop at the first address beyond it. */
static int probe_one(u32 i, struct walk *walk)
{
	u32 key = request.cursor;
	struct probe *probe;
	u64 entry, found;

	if (key >= request.nr_probes)
		return 1;
	probe = bpf_map_lookup_elem(&probes, &key);
	if (!probe || probe->address >= walk->vma_end)
		return 1;
	request.cursor = key + 1;
	found = walk->no_pages ? 0 : walk_to_leaf(walk, probe->address, &entry);
	if (wants_folio(walk, found, probe->found))
		found = folio_state(walk, probe->address, entry, found | FOUND_FOLIO);
	if (request.calibrate && (found & FOUND_PRESENT))
		bpf_probe_read_kernel(request.magic, sizeof(request.magic),
				      (void *)(request.page_offset + frame_of(entry)));
	probe->found = found | walk->vma_found | FOUND_MAPPED;
	return 0;
}

struct visit {
	struct task_struct *task;
	struct walk walk;
};

static __always_inline void enter_vma(struct walk *walk, struct vm_area_struct *vma)
{
	u64 flags = vma->vm_flags;

	walk->vma_start = vma->vm_start;
	walk->vma_end = vma->vm_end;
	walk->vma_found = 0;
	if (flags & (VM_LOCKED | VM_HUGETLB))
		walk->vma_found |= FOUND_PINNED_VMA;
	if (flags & VM_HUGETLB)
		walk->vma_found |= FOUND_HUGETLB;
	if (vma->vm_file)
		walk->vma_found |= FOUND_FILE;
	walk->no_pages = flags & (VM_PFNMAP | VM_IO);
}

static long probe_vma(struct task_struct *task, struct vm_area_struct *vma, struct visit *visit)
{
	struct walk *walk = &visit->walk;

	enter_vma(walk, vma);
	bpf_loop(MAX_PROBES, probe_one, walk, 0);
	return 0;
}

static int probe_next(u32 i, struct visit *visit)
{
	u32 key = request.cursor;
	struct probe *probe;
	long error;

	if (key >= request.nr_probes)
		return 1;
	probe = bpf_map_lookup_elem(&probes, &key);
	if (!probe)
		return 1;
	error = bpf_find_vma(visit->task, probe->address, probe_vma, visit, 0);
	if (error == -ENOENT) {
		probe->found = 0;
		request.cursor = key + 1;
		return 0;
	}
	/* Somebody waits to write: let go of the lock, and be called again for the rest. */
	return error != 0;
}

/*
 * Two pages of a kernel stack: known as struct page by the area that vmalloc() keeps, and by frame through the page
 * table. The two together tell where the array of struct page begins.
 */
static __always_inline void probe_stack(struct task_struct *task, struct walk *walk)
{
	u64 stack = (u64)task->stack, entry;
	struct page **pages = task->stack_vm_area->pages;

	for (int i = 0; i < 2; i++) {
		if (!(walk_to_leaf(walk, stack + ((u64)i << PAGE_SHIFT), &entry) & FOUND_PRESENT))
			return;
		request.stack_frame[i] = frame_of(entry);
		bpf_probe_read_kernel(&request.stack_page[i], sizeof(u64), pages + i);
	}
	request.page_size_of_struct = bpf_core_type_size(struct page);
}

/* Tell whose address space it is. */
static __always_inline void identify(struct task_struct *task)
{
	request.seen = 1;
	request.tgid = task->tgid;
	request.mm = (u64)task->mm;
	request.exec_id = task->self_exec_id;
}

SEC("iter/task_vma")
int probe_task(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct visit visit = {.task = task};
	struct walk *walk = &visit.walk;

	if (!task || !ctx->vma)
		return 0;
	walk->pgd = (u64)task->mm->pgd;
	identify(task);
	request.pgd = walk->pgd;
	request.layout_unknown = !bpf_core_field_exists(struct page, compound_head) ||
				 !bpf_core_field_exists(struct page, _mapcount);
	if (request.calibrate && task->stack_vm_area)
		probe_stack(task, walk);
	walk->pmd_table = 0;
	walk->pte_table = 0;
	bpf_loop(MAX_PROBES, probe_next, &visit, 0);
	/* Not called again for the VMAs that follow: a result other than 0 ends the iteration. */
	return 1;
}

#include "scan.bpf.h"
