/* libquorum: its callbacks overwrite, because of the quorum only the newest state counts. */
#include "shim.h"

#include <poll.h>
#include <string.h>

/* As in dispatch.c: a readable descriptor with nothing behind it, so many times in a row, is a broken connection. */
#define STUCK_AFTER 100

/* Where the dispatch that runs on this thread puts what comes. */
static _Thread_local struct aiocpg_quorum *target;

static void take(uint32_t quorate, uint32_t nodeid, uint64_t seq, uint32_t n_nodes, const uint32_t *nodes)
{
    if (target == NULL)
        return;
    if (n_nodes > AIOCPG_QUORUM_NODES)
        n_nodes = AIOCPG_QUORUM_NODES;
    target->told++;
    target->quorate = quorate;
    target->nodeid = nodeid;
    target->seq = seq;
    target->n_nodes = n_nodes;
    memcpy(target->nodes, nodes, n_nodes * sizeof *nodes);
}

void aiocpg_on_quorum_v0(quorum_handle_t handle, uint32_t quorate, uint64_t ring_seq, uint32_t view_list_entries,
                         uint32_t *view_list)
{
    (void)handle;
    take(quorate, 0, ring_seq, view_list_entries, view_list);
}

void aiocpg_on_quorum(quorum_handle_t handle, uint32_t quorate, struct quorum_ring_id ring_id,
                      uint32_t member_list_entries, const uint32_t *member_list)
{
    (void)handle;
    take(quorate, ring_id.nodeid, ring_id.seq, member_list_entries, member_list);
}

int aiocpg_quorum_initialize(quorum_handle_t *handle, uint32_t *type)
{
    /*
     * No callback for the list of nodes: without a provider it is all that comes, and with one it says a fraction of a
     * millisecond earlier what the other one says as well.
     */
    quorum_model_v1_data_t model = {.model = QUORUM_MODEL_V1, .quorum_notify_fn = aiocpg_on_quorum};
    quorum_callbacks_t callbacks = {.quorum_notify_fn = aiocpg_on_quorum_v0};

    if (aiocpg_libquorum.initialize == NULL)
        return CS_ERR_INIT;
    if (aiocpg_libquorum.model_initialize == NULL)
        return (int)aiocpg_libquorum.initialize(handle, &callbacks, type);
    return (int)aiocpg_libquorum.model_initialize(handle, QUORUM_MODEL_V1, (quorum_model_data_t *)&model, type, NULL);
}

/* The status of a drain that found nothing at all. */
static int judge_nothing(quorum_handle_t handle, struct aiocpg_quorum *state)
{
    struct pollfd look = {.events = POLLIN};

    if (aiocpg_libquorum.fd_get(handle, &look.fd) != CS_OK || poll(&look, 1, 0) != 1)
        state->idle = 0;
    else
        state->idle++;
    return state->idle < STUCK_AFTER ? CS_ERR_TRY_AGAIN : AIOCPG_STUCK;
}

int aiocpg_quorum_drain(quorum_handle_t handle, struct aiocpg_quorum *state, uint32_t max_rounds)
{
    struct aiocpg_quorum *before = target;
    uint32_t rounds = 0;
    int status = CS_OK;

    if (aiocpg_libquorum.dispatch == NULL)
        return CS_ERR_BAD_HANDLE; /* nothing is loaded, so there are no handles */
    if (!aiocpg_stack_suffices()) /* quorum_dispatch has the same buffer of 1 MiB that cpg_dispatch has */
        return AIOCPG_STACK_TOO_SMALL;
    target = state;
    while (status == CS_OK && rounds < max_rounds) {
        status = (int)aiocpg_libquorum.dispatch(handle, CS_DISPATCH_ONE_NONBLOCKING);
        rounds += status == CS_OK;
    }
    target = before;
    if (status == CS_ERR_TRY_AGAIN && rounds == 0)
        return judge_nothing(handle, state);
    state->idle = 0;
    return status;
}
