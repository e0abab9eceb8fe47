/*
 * The arena: where the callbacks put what libcpg hands them. Its pointers live only during the callback, so everything
 * is copied. An event is kept whole or not at all, and after one that cannot be kept no more are taken.
 */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)64 * 1024)
#define FIRST_RECORDS ((size_t)256)
#define HEAP_BLOCK ((size_t)4 * 1024 * 1024)

static _Thread_local struct aiocpg_arena *current;

struct aiocpg_arena *aiocpg_arena_select(struct aiocpg_arena *arena)
{
    struct aiocpg_arena *before = current;

    current = arena;
    return before;
}

/*
 * What a drain brings is freed again a turn or two of the loop later. glibc gives the top of its heap back to the kernel
 * as soon as 128 KiB are free there, and takes it anew with a page fault for each 4 KiB: a fifth to a third of the CPU
 * time of messages of 40 kB. A large block that is freed makes it keep twice as much from then on, as in any program
 * that uses one (mallopt(3), "dynamic mmap threshold"; a threshold that the program has set stays).
 */
static void keep_the_heap(void)
{
    void *volatile block = malloc(HEAP_BLOCK); /* or the compiler would see that nobody uses it */

    free(block);
}

struct aiocpg_arena *aiocpg_arena_new(size_t limit)
{
    struct aiocpg_arena *arena = calloc(1, sizeof *arena);

    keep_the_heap();
    if (arena != NULL)
        arena->limit = limit;
    return arena;
}

void aiocpg_arena_clear(struct aiocpg_arena *arena)
{
    arena->count = 0;
    arena->used = 0;
    arena->events = 0;
    arena->name.length = 0; /* no group has an empty name, so the first record is preceded by one */
}

/* Doubling keeps the number of copies small; realloc moves blocks of this size by page tables anyway. */
static size_t grown(size_t size, size_t first, size_t need)
{
    size_t wanted = size < first ? first : size;

    while (wanted < need)
        wanted *= 2;
    return wanted;
}

static int reserve_bytes(struct aiocpg_arena *arena, size_t more)
{
    size_t need = arena->used + more;
    size_t size;
    void *moved;

    if (need <= arena->size)
        return 1;
    if (arena->limit != 0 && need > arena->limit)
        return 0;
    size = grown(arena->size, FIRST_BYTES, need);
    if (arena->limit != 0 && size > arena->limit)
        size = arena->limit;
    moved = realloc(arena->bytes, size);
    if (moved == NULL)
        return 0;
    arena->bytes = moved;
    arena->size = size;
    return 1;
}

static int reserve_records(struct aiocpg_arena *arena, size_t more)
{
    size_t need = arena->count + more;
    size_t capacity;
    void *moved;

    if (need <= arena->capacity)
        return 1;
    capacity = grown(arena->capacity, FIRST_RECORDS, need);
    moved = realloc(arena->records, capacity * sizeof *arena->records);
    if (moved == NULL)
        return 0;
    arena->records = moved;
    arena->capacity = capacity;
    return 1;
}

static void put_record(struct aiocpg_arena *arena, uint32_t kind, uint32_t nodeid, uint32_t pid, size_t length)
{
    struct aiocpg_record record = {kind, nodeid, pid, (uint32_t)length, 1};

    arena->records[arena->count++] = record;
}

static void put_bytes(struct aiocpg_arena *arena, const void *data, size_t length)
{
    if (length == 0)
        return; /* the pointer may be NULL then */
    memcpy(arena->bytes + arena->used, data, length);
    arena->used += length;
}

static int same_name(const struct cpg_name *a, const struct cpg_name *b)
{
    return a->length == b->length && memcmp(a->value, b->value, a->length) == 0;
}

static void put_name(struct aiocpg_arena *arena, const struct cpg_name *name)
{
    put_record(arena, AIOCPG_NAME, 0, 0, name->length);
    put_bytes(arena, name->value, name->length);
    arena->name = *name;
}

/* Whether one more message like this only lengthens the row that the last record stands for. */
static int is_next_in_row(const struct aiocpg_arena *arena, uint32_t nodeid, uint32_t pid, size_t length)
{
    const struct aiocpg_record *last;

    if (arena->count == 0)
        return 0;
    last = &arena->records[arena->count - 1];
    return last->kind == AIOCPG_MESSAGE && last->nodeid == nodeid && last->pid == pid &&
           last->length == length;
}

/* Opens an event of the group (NULL for none) with length bytes to follow. NULL when it cannot be kept. */
static struct aiocpg_arena *begin(const struct cpg_name *group, uint32_t kind, uint32_t nodeid, uint32_t pid,
                                  size_t length)
{
    struct aiocpg_arena *arena = current;

    /* Without an arena there is nowhere to say it; cannot happen, since only our own dispatch calls cpg_dispatch. */
    if (arena == NULL || arena->failed)
        return NULL;
    if (length > UINT32_MAX || (group != NULL && group->length > CPG_MAX_NAME_LENGTH) || !reserve_records(arena, 2) ||
        !reserve_bytes(arena, length + CPG_MAX_NAME_LENGTH)) {
        arena->failed = 1;
        return NULL;
    }
    if (group != NULL && !same_name(group, &arena->name))
        put_name(arena, group);
    if (kind == AIOCPG_MESSAGE && is_next_in_row(arena, nodeid, pid, length))
        arena->records[arena->count - 1].count++;
    else
        put_record(arena, kind, nodeid, pid, length);
    arena->events++;
    return arena;
}

void aiocpg_on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *msg,
                       size_t length)
{
    struct aiocpg_arena *arena = begin(group, AIOCPG_MESSAGE, nodeid, pid, length);

    (void)handle;
    if (arena != NULL)
        put_bytes(arena, msg, length);
}

void aiocpg_on_confchg(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *members,
                       size_t n_members, const struct cpg_address *left, size_t n_left,
                       const struct cpg_address *joined, size_t n_joined)
{
    size_t length = (n_members + n_left + n_joined) * sizeof(struct cpg_address);
    struct aiocpg_arena *arena = begin(group, AIOCPG_CONFCHG, (uint32_t)n_members, (uint32_t)n_left, length);

    (void)handle;
    if (arena == NULL)
        return;
    put_bytes(arena, members, n_members * sizeof *members);
    put_bytes(arena, left, n_left * sizeof *left);
    put_bytes(arena, joined, n_joined * sizeof *joined);
}

void aiocpg_on_ring(cpg_handle_t handle, struct cpg_ring_id ring_id, uint32_t n_nodes, const uint32_t *nodes)
{
    size_t length = sizeof ring_id.seq + n_nodes * sizeof *nodes;
    struct aiocpg_arena *arena = begin(NULL, AIOCPG_RING, ring_id.nodeid, n_nodes, length);

    (void)handle;
    if (arena == NULL)
        return;
    put_bytes(arena, &ring_id.seq, sizeof ring_id.seq);
    put_bytes(arena, nodes, n_nodes * sizeof *nodes);
}

void aiocpg_arena_trim(struct aiocpg_arena *arena, size_t keep)
{
    void *smaller;

    aiocpg_arena_clear(arena);
    if (arena->size > keep && (smaller = realloc(arena->bytes, keep)) != NULL) {
        arena->bytes = smaller;
        arena->size = keep;
    }
    keep /= sizeof *arena->records;
    if (arena->capacity > keep && (smaller = realloc(arena->records, keep * sizeof *arena->records)) != NULL) {
        arena->records = smaller;
        arena->capacity = keep;
    }
}

void aiocpg_arena_free(struct aiocpg_arena *arena)
{
    free(arena->records);
    free(arena->bytes);
    free(arena);
}
