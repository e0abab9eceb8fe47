/* Dispatching into an arena: bounded, without blocking, and refused where the stack would not hold it. */
#define _GNU_SOURCE
#include "shim.h"

#include <poll.h>
#include <pthread.h>

/* cpg_dispatch copies each event to a buffer of 1 MiB on its stack. The rest is for its lists, libqb and our callbacks. */
#define STACK_NEEDED ((uintptr_t)(1024 + 128) * 1024)

/* A round that delivers nothing took in a piece of a larger message: at most this much was copied. */
#define FRAGMENT ((size_t)1024 * 1024)

/* A readable descriptor with nothing behind it is not normal; one or two may be a race, this many is a broken connection. */
#define STUCK_AFTER 100

int aiocpg_stack_suffices(void)
{
    static _Thread_local uintptr_t low, high;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    pthread_attr_t attributes;
    void *start;
    size_t size;

    if (high == 0) {
        if (pthread_getattr_np(pthread_self(), &attributes) != 0)
            return 1;
        if (pthread_attr_getstack(&attributes, &start, &size) == 0) {
            low = (uintptr_t)start;
            high = low + size;
        }
        pthread_attr_destroy(&attributes);
    }
    /* A stack of somebody's own making cannot be judged. */
    return here < low || here >= high || here - low >= STACK_NEEDED;
}

/* CS_OK, or why this dispatch must not begin. */
static int prepare(cpg_handle_t handle, struct aiocpg_arena *arena)
{
    aiocpg_arena_clear(arena);
    if (aiocpg_cpg.dispatch == NULL)
        return CS_ERR_BAD_HANDLE; /* nothing is loaded, so there are no handles */
    arena->failed = arena->lossy == handle && handle != 0;
    if (arena->failed)
        return AIOCPG_OUT_OF_MEMORY;
    return aiocpg_stack_suffices() ? CS_OK : AIOCPG_STACK_TOO_SMALL;
}

static int dispatch_once(cpg_handle_t handle, struct aiocpg_arena *arena, cs_dispatch_flags_t flag)
{
    struct aiocpg_arena *before = aiocpg_arena_select(arena);
    int status = (int)aiocpg_cpg.dispatch(handle, flag);

    aiocpg_arena_select(before);
    if (!arena->failed)
        return status;
    arena->lossy = handle;
    return AIOCPG_OUT_OF_MEMORY;
}

int aiocpg_dispatch(cpg_handle_t handle, struct aiocpg_arena *arena, cs_dispatch_flags_t flag)
{
    int status = prepare(handle, arena);

    return status == CS_OK ? dispatch_once(handle, arena, flag) : status;
}

static int is_readable(cpg_handle_t handle)
{
    struct pollfd look = {.events = POLLIN};

    return aiocpg_cpg.fd_get(handle, &look.fd) == CS_OK && poll(&look, 1, 0) == 1;
}

static void has_moved(cpg_handle_t handle, struct aiocpg_arena *arena)
{
    if (arena->idle == handle)
        arena->idle = 0;
}

/* The status of a drain that found nothing at all. */
static int judge_nothing(cpg_handle_t handle, struct aiocpg_arena *arena)
{
    if (!is_readable(handle)) {
        has_moved(handle, arena);
        return CS_ERR_TRY_AGAIN;
    }
    if (arena->idle != handle)
        arena->rounds = 0;
    arena->idle = handle;
    return ++arena->rounds < STUCK_AFTER ? CS_ERR_TRY_AGAIN : AIOCPG_STUCK;
}

int aiocpg_drain(cpg_handle_t handle, struct aiocpg_arena *arena, uint32_t max_events, size_t max_bytes)
{
    size_t fragments = 0;
    uint32_t rounds = 0;
    int status = prepare(handle, arena);

    if (status != CS_OK)
        return status;
    do {
        uint32_t before = arena->events;

        status = dispatch_once(handle, arena, CS_DISPATCH_ONE_NONBLOCKING);
        if (status != CS_OK)
            break;
        if (arena->events == before)
            fragments += FRAGMENT;
        rounds++;
    } while (rounds < max_events && arena->used + fragments < max_bytes);
    if (status == CS_ERR_TRY_AGAIN && rounds == 0)
        return judge_nothing(handle, arena);
    has_moved(handle, arena);
    return status;
}
