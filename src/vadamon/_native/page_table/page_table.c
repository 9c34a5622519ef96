// SPDX-License-Identifier: Apache-2.0
/* Accessed bits of another process: read by the eBPF program, cleared by process_madvise(). */
#define _GNU_SOURCE
#include "internal.h"

#include <bpf/bpf.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "program.h" /* the eBPF object, as bytes; made by the build */

#define MAX_RETRIES   8    /* of a run that gave way to a writer of the mmap lock */
#define SHARED_ROUNDS 1000 /* for which shared anonymous memory is looked for after it was last seen ... */
#define SEARCH_ROUNDS 16   /* ... and else only in one round of so many */
#define MAX_STRIDE    16
#define MAX_CANDIDATES (64 * 1024) /* GiB of memory below which the direct map's start is looked for */

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

struct loaded loaded = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say(char *error, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
}

static int no_print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* Bits of a page-table entry that hold the frame's address: not those that AMD's memory encryption uses. */
static uint64_t frame_mask(void)
{
	unsigned int a, b, c, d, bits = 46;
	uint64_t mask;

	if (__get_cpuid(0x80000008, &a, &b, &c, &d))
		bits = a & 0xff;
	if (bits > 52)
		bits = 52;
	mask = ((1ULL << bits) - 1) & ~(PAGE_SIZE - 1);
	if (__get_cpuid(0x8000001f, &a, &b, &c, &d) && (a & 3))
		mask &= ~(1ULL << (b & 0x3f));
	return mask;
}

static unsigned int page_table_levels(void)
{
	/* The kernel takes la57 out of cpuinfo where it was started with no5lvl: CPUID alone does not tell. */
	char line[8192];
	unsigned int levels = 4;
	FILE *file = fopen("/proc/cpuinfo", "re");

	if (!file)
		return levels;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "flags", 5)) {
			if (strstr(line, " la57"))
				levels = 5;
			break;
		}
	fclose(file);
	return levels;
}

static void close_iterator(struct view *view)
{
	if (view->iterator >= 0)
		close(view->iterator);
	view->iterator = -1;
}

void view_close(struct view *view)
{
	close_iterator(view);
	bpf_link__destroy(view->link);
	view->link = NULL;
}

int view_open(struct page_table *pt, struct view *view, const struct bpf_program *program)
{
	union bpf_iter_link_info info = {.task.tid = pt->tid};
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));

	view_close(view);
	view->link = bpf_program__attach_iter(program, &options);
	return view->link ? PT_OK : PT_FAILED;
}

static bool is_same_address_space(const struct page_table *pt)
{
	const struct request *request = loaded.request;

	return !pt->mm || (request->mm == pt->mm && request->exec_id == pt->exec_id && request->tgid == pt->tgid);
}

/*
 * The program ends the iteration each time, and the next read goes on where that one was: at the same VMA, or the one
 * after. That spares making an iterator anew each time. Where there is none left to go on from, a new one begins at the
 * first VMA.
 */
int view_call(struct page_table *pt, struct view *view)
{
	char nothing;

	for (int i = 0; i < 2; i++) {
		loaded.request->seen = 0;
		if (view->iterator < 0)
			view->iterator = bpf_iter_create(bpf_link__fd(view->link));
		if (view->iterator < 0)
			return PT_FAILED;
		while (read(view->iterator, &nothing, 1) < 0 && errno == EINTR)
			;
		if (loaded.request->seen)
			return is_same_address_space(pt) ? PT_OK : PT_CHANGED;
		close_iterator(view);
	}
	return PT_GONE;
}

/* One run over the probes that are laid out; PT_OK when as many as can be are done. */
static int run(struct page_table *pt)
{
	struct request *request = loaded.request;
	int result;

	request->cursor = 0;
	for (int i = 0; i < MAX_RETRIES; i++) {
		result = view_call(pt, &pt->probing);
		if (result != PT_OK)
			return result;
		if (request->cursor >= request->nr_probes)
			break;
	}
	for (uint32_t i = request->cursor; i < request->nr_probes; i++)
		loaded.probes[i].found = FOUND_FAILED;
	return PT_OK;
}

static int attach(struct page_table *pt, pid_t tid, char *error, size_t size)
{
	int result;

	scanner_forget(pt);
	pt->tid = tid;
	pt->mm = 0;
	pt->nr = 0;
	pt->no_leader = false;
	if (view_open(pt, &pt->probing, loaded.probe_task)) {
		say(error, size, "the eBPF iterator cannot be attached: %s", strerror(errno));
		return PT_FAILED;
	}
	loaded.request->nr_probes = 0;
	result = run(pt);
	if (result == PT_OK) {
		pt->mm = loaded.request->mm;
		pt->exec_id = loaded.request->exec_id;
		pt->tgid = loaded.request->tgid;
	}
	return result;
}

static bool is_locked_down(void)
{
	char modes[128] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");

	if (!file)
		return false;
	if (!fgets(modes, sizeof(modes), file))
		modes[0] = 0;
	fclose(file);
	return strstr(modes, "[confidentiality]");
}

static const char *why_not_loaded(int error)
{
	if (error == -EPERM)
		return "no right to load an eBPF program: run as root, or with CAP_BPF and CAP_PERFMON";
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return "this kernel has no BTF (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF";
	if (is_locked_down())
		return "this kernel is locked down (confidentiality): eBPF programs may not read its memory";
	return "this kernel refuses the eBPF program: it needs Linux 6.1 or later";
}

static int map_memory(struct bpf_object *object, const char *name, size_t size, void **memory)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	*memory = map ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0) : MAP_FAILED;
	return *memory == MAP_FAILED ? PT_FAILED : PT_OK;
}

static struct bpf_program *find_program(struct bpf_object *object, const char *name)
{
	struct bpf_program *found = bpf_object__find_program_by_name(object, name);

	return found && bpf_program__fd(found) >= 0 ? found : NULL;
}

static int find_programs(struct bpf_object *object)
{
	loaded.probe_task = find_program(object, "probe_task");
	loaded.scan_task = find_program(object, "scan_task");
	loaded.read_page_structs = find_program(object, "read_page_structs");
	return loaded.probe_task ? PT_OK : PT_FAILED;
}

/* Load the object, and give it in *object; without the programs that scan, if so asked. */
static int load_object(struct bpf_object **object, bool with_scan)
{
	struct bpf_program *each;
	int result;

	*object = bpf_object__open_mem(program, sizeof(program), NULL);
	if (!*object)
		return -errno;
	bpf_object__for_each_program(each, *object)
		bpf_program__set_autoload(each, with_scan || !strcmp(bpf_program__name(each), "probe_task"));
	result = bpf_object__load(*object);
	if (result)
		bpf_object__close(*object);
	return result;
}

static int map_memories(struct bpf_object *object)
{
	const struct {
		const char *name;
		size_t size;
		void *memory;
	} maps[] = {
		{".bss", PAGE_SIZE, &loaded.request},
		{"probes", MAX_PROBES * sizeof(*loaded.probes), &loaded.probes},
		{"scan_ranges", MAX_SCAN_RANGES * sizeof(*loaded.scan_ranges), &loaded.scan_ranges},
		{"scanned", MAX_TABLES * sizeof(*loaded.scanned), &loaded.scanned},
		{"tables", MAX_TABLES * sizeof(*loaded.tables), &loaded.tables},
		{"frame_runs", MAX_FRAME_RUNS * sizeof(*loaded.frame_runs), &loaded.frame_runs},
		{"page_structs", MAX_FRAME_RUNS * sizeof(*loaded.page_structs), &loaded.page_structs},
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		if (map_memory(object, maps[i].name, maps[i].size, maps[i].memory))
			return PT_FAILED;
	return PT_OK;
}

static int load(char *error, size_t size)
{
	struct bpf_object *object;
	int result;

	libbpf_set_print(no_print);
	result = load_object(&object, true);
	if (result && result != -EPERM)
		result = load_object(&object, false); /* a verifier may take the one and not the others */
	if (result) {
		say(error, size, "%s", why_not_loaded(result));
		return PT_FAILED;
	}
	if (find_programs(object) || map_memories(object)) {
		say(error, size, "the eBPF program's memory cannot be mapped: %s", strerror(errno));
		goto failed;
	}
	loaded.object = object;
	loaded.request->levels = page_table_levels();
	loaded.request->frame_mask = frame_mask();
	return PT_OK;
failed:
	bpf_object__close(object);
	return PT_FAILED;
}

/* Does a walk with this start of the direct map find the words that stand in a page of ours? */
static bool finds_words(struct page_table *pt, uint64_t page_offset, const uint64_t *words)
{
	loaded.request->page_offset = page_offset;
	memset(loaded.request->magic, 0, sizeof(loaded.request->magic));
	return run(pt) == PT_OK && !memcmp(loaded.request->magic, words, sizeof(loaded.request->magic));
}

/*
 * Find the direct map. Its start is a multiple of 1 GiB, and the root table that mm->pgd points to lies in it: so it is
 * at most as many GiB below that pointer as there is memory. The right one is the one with which a walk of our own
 * address space comes to a page with the words that we wrote there. Tried from above, so that no candidate reads below
 * the map.
 */
static bool find_direct_map(struct page_table *pt)
{
	uint64_t *words = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t top = loaded.request->pgd & ~(GIB - 1);
	bool found = false;

	if (words == MAP_FAILED)
		return false;
	madvise(words, PAGE_SIZE, MADV_NOHUGEPAGE);
	if (getentropy(words, 2 * sizeof(*words)))
		words[0] = 0x9e3779b97f4a7c15ULL ^ (uint64_t)words, words[1] = ~words[0];
	loaded.request->nr_probes = 1;
	loaded.request->calibrate = 1;
	loaded.probes[0].address = (uint64_t)words;
	for (uint64_t i = 0; i < MAX_CANDIDATES && !found; i++)
		found = finds_words(pt, top - i * GIB, words);
	munmap(words, PAGE_SIZE);
	return found;
}

/* Find the array of struct page, by two pages of a kernel stack that are known by pointer and by frame. */
static bool find_struct_pages(struct page_table *pt)
{
	const struct request *r = loaded.request;
	uint64_t begin[2];

	for (int i = 0; i < 2; i++) {
		if (!r->stack_page[i] || !r->stack_frame[i])
			return false;
		begin[i] = r->stack_page[i] - r->stack_frame[i] / PAGE_SIZE * r->page_size_of_struct;
	}
	loaded.request->vmemmap = begin[0];
	return begin[0] == begin[1];
}

static int calibrate(struct page_table *pt, char *error, size_t size)
{
	int result = attach(pt, gettid(), error, size);

	if (result != PT_OK) {
		if (result != PT_FAILED)
			say(error, size, "the eBPF program does not see this process: its pid namespace is not the machine's");
		return PT_FAILED;
	}
	if (loaded.request->layout_unknown) {
		say(error, size, "this kernel's struct page is not one that vadamon knows");
		return PT_FAILED;
	}
	if (!find_direct_map(pt) || !find_struct_pages(pt)) {
		say(error, size, "the kernel's direct map was not found by trial");
		return PT_FAILED;
	}
	loaded.request->calibrate = 0;
	loaded.ready = true;
	return PT_OK;
}

static int open_target(struct page_table *pt, char *error, size_t size)
{
	struct iovec here = {.iov_base = &(char){0}, .iov_len = 1}, nowhere = {.iov_base = NULL, .iov_len = 1};
	char path[64];

	pt->pidfd = syscall(SYS_pidfd_open, pt->pid, 0);
	if (pt->pidfd < 0) {
		say(error, size, "process %d: %s", pt->pid, strerror(errno));
		return PT_FAILED;
	}
	/* Of no range: only asks for the right to. A thread group whose leader has ended answers ESRCH. */
	if (syscall(SYS_process_madvise, pt->pidfd, pt->ranges, 0, MADV_COLD, 0) < 0 && errno != ESRCH) {
		say(error, size, errno == EPERM || errno == EACCES
			? "process %d: no right to clear its accessed bits: run as root, or with CAP_SYS_NICE and CAP_SYS_PTRACE"
			: "process %d: process_madvise(): %2$s", pt->pid, strerror(errno));
		return PT_FAILED;
	}
	/* Giving back needs more rights than looking. Nothing is mapped at 0, so this asks for the right and reads nothing. */
	if (process_vm_readv(pt->tid, &here, 1, &nowhere, 1, 0) < 0 && errno == EPERM) {
		say(error, size,
		    "process %d: no right to give back to reclaim what is taken from it: run as root, or with CAP_SYS_PTRACE",
		    pt->pid);
		return PT_FAILED;
	}
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pt->pid);
	pt->pagemap = open(path, O_RDONLY | O_CLOEXEC); /* may fail: needed only where the kernel does not count mappings */
	return PT_OK;
}

static int open_locked(struct page_table *pt, pid_t tid, char *error, size_t size)
{
	int result;

	if (!loaded.object && load(error, size))
		return PT_FAILED;
	if (!loaded.ready && calibrate(pt, error, size))
		return PT_FAILED;
	result = attach(pt, tid, error, size);
	if (result == PT_GONE)
		say(error, size, "process %d has no address space", pt->pid);
	return result;
}

struct page_table *page_table_open(pid_t pid, pid_t tid, double flush_budget, char *error, size_t size)
{
	struct page_table *pt = calloc(1, sizeof(*pt));
	int result;

	if (!pt) {
		say(error, size, "out of memory");
		return NULL;
	}
	pt->pid = pid;
	pt->tid = tid;
	pt->stride = 1;
	pt->flush_budget = flush_budget;
	pt->probing.iterator = pt->scanning.iterator = pt->pidfd = pt->pagemap = -1;
	result = open_target(pt, error, size);
	if (result == PT_OK) {
		pthread_mutex_lock(&loaded.lock);
		result = open_locked(pt, tid, error, size);
		pthread_mutex_unlock(&loaded.lock);
	}
	if (result == PT_OK)
		return pt;
	page_table_close(pt);
	return NULL;
}

int page_table_attach(struct page_table *pt, pid_t tid, char *error, size_t size)
{
	int result;

	pthread_mutex_lock(&loaded.lock);
	result = attach(pt, tid, error, size);
	pthread_mutex_unlock(&loaded.lock);
	return result;
}

void page_table_close(struct page_table *pt)
{
	if (!pt)
		return;
	scanner_close(pt);
	view_close(&pt->probing);
	if (pt->pidfd >= 0)
		close(pt->pidfd);
	if (pt->pagemap >= 0)
		close(pt->pagemap);
	free(pt->addresses);
	free(pt->before);
	free(pt);
}

int probe(struct page_table *pt, const uint64_t *addresses, size_t n, enum want_folio want_folio, const uint8_t *before)
{
	loaded.request->nr_probes = n;
	loaded.request->want_folio = want_folio;
	for (size_t i = 0; i < n; i++)
		loaded.probes[i] = (struct probe){addresses[i], before ? before[i] & WAS_YOUNG : 0};
	return run(pt);
}

static bool exclusively_mapped(struct page_table *pt, uint64_t address)
{
	uint64_t entry;

	return pread(pt->pagemap, &entry, sizeof(entry), address / PAGE_SIZE * sizeof(entry)) == sizeof(entry) &&
	       (entry >> 56 & 1);
}

/* Samples from `first` on that lie in the range could not be cleared. */
static void void_range(const uint64_t *addresses, size_t n, uint32_t first, struct iovec range, uint8_t *voids)
{
	uint64_t end = (uint64_t)range.iov_base + range.iov_len;

	for (size_t i = first; i < n && addresses[i] < end; i++)
		voids[i] = VOID_UNCLEARED;
}

size_t clear_from(struct page_table *pt, size_t i)
{
	ssize_t done;

	do {
		done = syscall(SYS_process_madvise, pt->pidfd, pt->ranges + i, pt->nr_ranges - i, MADV_COLD, 0);
	} while (done < 0 && errno == EINTR);
	if (done < 0 && errno == ESRCH)
		pt->no_leader = true;
	for (; i < pt->nr_ranges && done >= (ssize_t)pt->ranges[i].iov_len; i++)
		done -= pt->ranges[i].iov_len;
	return i;
}

/* Clear all ranges; where the kernel stops at one, void its samples and go on after it. */
static void clear_ranges(struct page_table *pt, const uint64_t *addresses, size_t n, uint8_t *voids)
{
	for (size_t i = 0; i < pt->nr_ranges; i++) {
		i = clear_from(pt, i);
		if (i < pt->nr_ranges)
			void_range(addresses, n, pt->range_of[i], pt->ranges[i], voids);
	}
	pt->nr_ranges = 0;
}

static bool same_folio_as_last(struct page_table *pt, uint64_t address)
{
	struct iovec *last = pt->ranges + pt->nr_ranges - 1;

	return pt->nr_ranges && address < (uint64_t)last->iov_base + last->iov_len;
}

static bool is_shared(struct page_table *pt, uint64_t address, uint64_t found)
{
	return found & FOUND_SHARED || (found & FOUND_UNSURE && !exclusively_mapped(pt, address));
}

bool needs_clear_refs(struct page_table *pt, uint64_t address, uint64_t found)
{
	if (!(found & FOUND_ORDINARY) || found & FOUND_HUGETLB)
		return false;
	return pt->no_leader || found & (FOUND_PINNED_VMA | FOUND_PARTIAL) || is_shared(pt, address, found);
}

/* Decide about one sample, by what was found at its address. */
static void prepare(struct page_table *pt, const uint64_t *addresses, size_t n, uint32_t i, uint64_t found,
		    uint8_t *voids, struct mkold_summary *summary)
{
	bool young = found & FOUND_YOUNG;

	voids[i] = VALID;
	pt->before[i] = 0;
	if ((i + pt->round) % pt->stride) {
		voids[i] = VOID_PACED;
		return;
	}
	if (found & FOUND_FAILED) {
		voids[i] = VOID_UNCHECKED;
		return;
	}
	if (!(found & FOUND_PRESENT))
		return;
	if (found & FOUND_FOLIO && !(found & FOUND_ORDINARY)) {
		pt->before[i] = NOT_ORDINARY;
		return;
	}
	summary->present++;
	if (found & FOUND_HUGETLB) {
		if (young)
			voids[i] = VOID_UNCLEARED;
		return;
	}
	if (needs_clear_refs(pt, addresses[i], found)) {
		voids[i] = VOID_REFS;
		summary->refs_young += young;
		if (found & FOUND_FILE)
			summary->refs_file++;
		else
			summary->refs_anon++;
		return;
	}
	if (!young || same_folio_as_last(pt, addresses[i]))
		return;
	if (!(found & FOUND_ON_LRU)) {
		voids[i] = VOID_UNCLEARED; /* so new that it still is in a batch of some processor's */
		return;
	}
	pt->before[i] = WAS_YOUNG | (found & FOUND_ACTIVE ? WAS_ACTIVE : 0) |
			(found & FOUND_REFERENCED ? WAS_REFERENCED : 0);
	if (pt->nr_ranges == MAX_RANGES)
		clear_ranges(pt, addresses, n, voids);
	pt->range_of[pt->nr_ranges] = i;
	pt->ranges[pt->nr_ranges++] = folio_range(addresses[i], found);
}

static int keep_addresses(struct page_table *pt, const uint64_t *addresses, size_t n)
{
	if (n > pt->capacity) {
		uint64_t *kept = realloc(pt->addresses, n * sizeof(*kept));
		uint8_t *before = realloc(pt->before, n);

		pt->addresses = kept ? kept : pt->addresses;
		pt->before = before ? before : pt->before;
		if (!kept || !before)
			return PT_FAILED;
		pt->capacity = n;
	}
	memcpy(pt->addresses, addresses, n * sizeof(*addresses));
	pt->nr = n;
	return PT_OK;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/*
 * Each page that is cleared costs the target an interrupt and a TLB miss, about as long as it takes us. Where that is
 * more than its due, only every second sample is used, or every third, ... in turns: whether a sample is used must not
 * depend on what it would find.
 */
static void pace(struct page_table *pt, uint64_t begin_ns, uint64_t spent_ns)
{
	double share;

	if (pt->last_ns) {
		pt->flush_ns += (spent_ns * (double)pt->stride - pt->flush_ns) / 16;
		pt->interval_ns += (begin_ns - pt->last_ns - pt->interval_ns) / 16;
		share = pt->flush_ns / pt->interval_ns / pt->flush_budget;
		pt->stride = share >= MAX_STRIDE ? MAX_STRIDE : (uint32_t)share + 1;
	}
	pt->last_ns = begin_ns;
}

/* Is one of the samples that are laid out, and to be used in this round, on a young page that only clear_refs clears? */
static bool meets_clear_refs(struct page_table *pt, const uint64_t *addresses, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t found = loaded.probes[i].found;

		if (!((i + pt->round) % pt->stride) && found & FOUND_YOUNG && needs_clear_refs(pt, addresses[i], found))
			return true;
	}
	return false;
}

static int mkold(struct page_table *pt, const uint64_t *addresses, size_t n, bool may_clear_refs, uint8_t *voids,
		 struct mkold_summary *summary)
{
	bool search = pt->round < pt->search_until || pt->round % SEARCH_ROUNDS == 0;
	uint64_t begin_ns, flush_ns;

	for (size_t first = 0; first < n; first += MAX_PROBES) {
		size_t nr = n - first < MAX_PROBES ? n - first : MAX_PROBES;
		int result = probe(pt, addresses + first, nr, search ? WANT_ALL : WANT_YOUNG_AND_FILES, NULL);

		if (result != PT_OK)
			return result;
		if (may_clear_refs && meets_clear_refs(pt, addresses, nr))
			return PT_CLEAR_REFS;
		for (size_t i = 0; i < nr; i++)
			prepare(pt, addresses, n, first + i, loaded.probes[i].found, voids, summary);
	}
	begin_ns = now_ns();
	clear_ranges(pt, addresses, n, voids);
	flush_ns = now_ns() - begin_ns;
	pace(pt, begin_ns, flush_ns);
	if (summary->refs_anon)
		pt->search_until = pt->round + SHARED_ROUNDS;
	pt->round++;
	return PT_OK;
}

int page_table_mkold(struct page_table *pt, const uint64_t *addresses, size_t n, bool may_clear_refs, uint8_t *voids,
		     struct mkold_summary *summary)
{
	int result;

	memset(summary, 0, sizeof(*summary));
	pt->nr_ranges = 0;
	if (keep_addresses(pt, addresses, n))
		return PT_FAILED;
	pthread_mutex_lock(&loaded.lock);
	result = mkold(pt, addresses, n, may_clear_refs, voids, summary);
	pthread_mutex_unlock(&loaded.lock);
	if (result != PT_OK)
		pt->nr = pt->nr_ranges = 0;
	return result;
}

/* Read one byte of each page, which marks it accessed for reclaim; go on after those that cannot be read. */
void touch(struct page_table *pt)
{
	static char bytes[MAX_RANGES];
	struct iovec local = {.iov_base = bytes};
	size_t i = 0;

	while (i < pt->nr_ranges) {
		ssize_t done;

		local.iov_len = pt->nr_ranges - i;
		done = process_vm_readv(pt->tid, &local, 1, pt->ranges + i, pt->nr_ranges - i, 0);
		if (done < 0 && errno == EINTR)
			continue;
		i += done > 0 ? (size_t)done : 0;
		if (i < pt->nr_ranges)
			i++;
	}
	pt->nr_ranges = 0;
}

/*
 * Give reclaim back what MADV_COLD took: the first touch makes a page referenced, the second active. A page that was
 * accessed again shows that by its own accessed bit. Touching a huge page sets its accessed bit and no more.
 *
 * A page that another process has come to map meanwhile, by fork(), goes without: to read it through process_vm_readv()
 * would give the target a copy of its own.
 */
void give_back(struct page_table *pt, uint8_t before, uint64_t address, uint64_t found)
{
	bool still_owed = before & WAS_YOUNG && !(found & FOUND_YOUNG);
	int touches = (before & WAS_ACTIVE ? 2 : 0) + (before & WAS_REFERENCED ? 1 : 0) + still_owed;

	if (level_of(found) != 1)
		touches = still_owed;
	if (!(found & FOUND_PRESENT) || is_shared(pt, address, found))
		return;
	if (pt->nr_ranges + touches > MAX_RANGES)
		touch(pt);
	while (touches--)
		pt->ranges[pt->nr_ranges++] = (struct iovec){.iov_base = (void *)address, .iov_len = 1};
}

/* Judge one sample by what is found now, and queue what its page is owed. */
static void check(struct page_table *pt, const struct young *young, size_t i, uint64_t found)
{
	uint8_t before = pt->before[i];

	if (found & FOUND_FAILED)
		young->voids[i] = VOID_UNCHECKED;
	young->accessed[i] = found & FOUND_YOUNG && !(before & NOT_ORDINARY) && young->voids[i] == VALID;
	if (before & WAS_YOUNG)
		give_back(pt, before, young->addresses[i], found);
}

/* Judge an address that no mkold prepared, soon after clear_refs: that cleared some pages, of the rest we know nothing. */
static void check_after_clear_refs(struct page_table *pt, const struct young *young, size_t i, uint64_t found)
{
	bool known = !(found & FOUND_PRESENT) || needs_clear_refs(pt, young->addresses[i], found);

	young->voids[i] = found & FOUND_FAILED || !known ? VOID_UNCHECKED : VALID;
	young->accessed[i] = known && found & FOUND_YOUNG;
}

static int check_all(struct page_table *pt, const struct young *young)
{
	for (size_t first = 0; first < young->n; first += MAX_PROBES) {
		size_t nr = young->n - first < MAX_PROBES ? young->n - first : MAX_PROBES;
		int result = probe(pt, young->addresses + first, nr, young->unprepared ? WANT_ALL : WANT_OWED,
				   young->unprepared ? NULL : pt->before + first);

		if (result != PT_OK)
			return result;
		for (size_t i = first; i < first + nr; i++) {
			uint64_t found = loaded.probes[i - first].found;

			young->page_size[i] = page_size_of(found);
			if (young->unprepared)
				check_after_clear_refs(pt, young, i, found);
			else
				check(pt, young, i, found);
		}
	}
	touch(pt);
	return PT_OK;
}

int page_table_young(struct page_table *pt, const struct young *young)
{
	int result;

	if (!young->unprepared && (young->n != pt->nr || memcmp(young->addresses, pt->addresses, young->n * sizeof(uint64_t)))) {
		/* Not those of the last mkold: nothing is owed, and every answer counts. */
		if (keep_addresses(pt, young->addresses, young->n))
			return PT_FAILED;
		memset(pt->before, 0, young->n);
		memset(young->voids, VALID, young->n);
	}
	pthread_mutex_lock(&loaded.lock);
	result = check_all(pt, young);
	pthread_mutex_unlock(&loaded.lock);
	pt->nr = 0;
	pt->nr_ranges = 0;
	return result;
}

void page_table_identity(const struct page_table *pt, uint64_t *mm, uint64_t *exec_id)
{
	*mm = pt->mm;
	*exec_id = pt->exec_id;
}
