/* What our own C offers to Python of libquorum. Read by the C compiler and by cffi. */

/* The most nodes of a ring (PROCESSOR_COUNT_MAX of the daemon). */
#define AIOCPG_QUORUM_NODES 384

/* What the daemon told last. One per handle; one thread at a time uses it. */
struct aiocpg_quorum {
    uint32_t told; /* how often it has told anything */
    uint32_t quorate;
    uint32_t nodeid; /* the ring's representative; 0 from a library of model V0, which does not tell it */
    uint32_t n_nodes;
    uint64_t seq;
    uint32_t nodes[AIOCPG_QUORUM_NODES];
    uint32_t idle; /* how many drains in a row found the descriptor readable and nothing there */
};

/* As aiocpg_load, for libquorum. */
const struct aiocpg_quorum_table *aiocpg_quorum_load(char *reason, size_t size);

/* quorum_model_initialize with our callback, or quorum_initialize where the library is older. */
int aiocpg_quorum_initialize(quorum_handle_t *handle, uint32_t *type);

/*
 * Dispatches without blocking until nothing is left (CS_ERR_TRY_AGAIN), max_rounds were made (CS_OK), or another status
 * comes. The state is the newest of all that was told.
 */
int aiocpg_quorum_drain(quorum_handle_t handle, struct aiocpg_quorum *state, uint32_t max_rounds);
