/*
 * Sending that never spins.
 *
 * Every request to the daemon writes one byte into the connection's socket, and libqb repeats that write at full speed
 * while the socket is full, for as long as the daemon does not read. So the socket must never fill up:
 *
 * - poll() calls it writable while at most 1/4 of its send buffer is used;
 * - a byte takes 768 bytes of the buffer (x86-64, measured: 278 writes fill the default 212992);
 * - one look allows (3/4 of the buffer) / 2048 writes, 64 at most: 69 + 64 of the 278 at the default, and at any size
 *   less than 1/4 + 3/4 * 768/2048, little more than a half. The other half is for requests that are not counted here
 *   (join, leave, queries): each waits for its reply, so only abandoned ones stay unread.
 */
#include "shim.h"

#include <poll.h>
#include <sys/socket.h>

#define MOST_CREDITS 64
#define BYTES_PER_WRITE 2048
#define OLD_MAX_ATOMIC (1024 * 1024 - 1024) /* in a library older than the call that tells (2.3.5) */

static int credits_for(int fd)
{
    int size = 0;
    socklen_t length = sizeof size;
    int credits;

    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) != 0)
        return 1;
    credits = size / 4 * 3 / BYTES_PER_WRITE;
    if (credits < 1)
        return 1;
    return credits < MOST_CREDITS ? credits : MOST_CREDITS;
}

int aiocpg_guard_open(struct aiocpg_guard *guard, cpg_handle_t handle, int fd)
{
    guard->handle = handle;
    guard->fd = fd;
    guard->credits = 0;
    guard->grant = credits_for(fd);
    guard->max_size = OLD_MAX_ATOMIC;
    if (aiocpg_cpg.fd_get == NULL)
        return CS_ERR_BAD_HANDLE; /* nothing is loaded, so there are no handles */
    if (aiocpg_cpg.max_atomic_msgsize_get == NULL)
        return CS_OK;
    return (int)aiocpg_cpg.max_atomic_msgsize_get(handle, &guard->max_size);
}

/* CS_OK when there are credits, taken from the descriptor if need be. */
static int look(struct aiocpg_guard *guard)
{
    struct pollfd look = {.fd = guard->fd, .events = POLLOUT};

    if (guard->credits > 0)
        return CS_OK;
    if (poll(&look, 1, 0) < 0)
        return AIOCPG_NOT_WRITABLE; /* out of kernel memory: as good as congested */
    if (look.revents & POLLNVAL)
        return CS_ERR_BAD_HANDLE;
    if (look.revents & (POLLHUP | POLLERR))
        return AIOCPG_HUNG_UP;
    if (!(look.revents & POLLOUT))
        return AIOCPG_NOT_WRITABLE;
    guard->credits = guard->grant;
    return CS_OK;
}

int aiocpg_mcast(struct aiocpg_guard *guard, const char *data, size_t length)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    int status;

    if (aiocpg_cpg.mcast_joined == NULL)
        return CS_ERR_BAD_HANDLE;
    if (length > guard->max_size)
        return CS_ERR_TOO_BIG; /* libcpg would fragment it, with a blocking round trip for each piece */
    status = look(guard);
    if (status != CS_OK)
        return status;
    guard->credits--;
    status = (int)aiocpg_cpg.mcast_joined(guard->handle, CPG_TYPE_AGREED, &piece, 1);
    /* A daemon that died leaves its TRY_AGAIN in shared memory for ever; the next look sees that it hung up. */
    if (status != CS_OK)
        guard->credits = 0;
    return status;
}

int aiocpg_mcast_many(struct aiocpg_guard *guard, const char *blob, const uint32_t *lengths, size_t n, size_t *taken)
{
    int status = CS_OK;

    for (*taken = 0; *taken < n; ++*taken) {
        status = aiocpg_mcast(guard, blob, lengths[*taken]);
        if (status != CS_OK)
            break;
        blob += lengths[*taken];
    }
    return status;
}
