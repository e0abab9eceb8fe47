/*
 * What our own C offers to Python. Read by the C compiler and by cffi, hence no directives but plain #define.
 */

/* Statuses of our own, beside those of cs_error_t. */
#define AIOCPG_NOT_WRITABLE -1    /* the daemon has not read our earlier requests: wait until the descriptor is writable */
#define AIOCPG_HUNG_UP -2         /* the daemon closed the connection */
#define AIOCPG_OUT_OF_MEMORY -3   /* an event could not be kept: the stream has a hole, the connection must end */
#define AIOCPG_STACK_TOO_SMALL -4 /* this thread must not dispatch; nothing was done */
#define AIOCPG_STUCK -5           /* the descriptor stays readable and nothing comes: the connection is broken */

/* Kinds of records, and what their other three fields hold. */
#define AIOCPG_NAME 0    /* -, -, length: the group of the records that follow */
#define AIOCPG_MESSAGE 1 /* sender's nodeid, sender's pid, length of each of count messages in a row */
#define AIOCPG_CONFCHG 2 /* members, left, length: struct cpg_address of members, left, joined */
#define AIOCPG_RING 3    /* representative's nodeid, number of nodes, length: uint64_t seq, then uint32_t nodeids */

struct aiocpg_record {
    uint32_t kind;
    uint32_t nodeid;
    uint32_t pid;
    uint32_t length;
    uint32_t count; /* 1 but for messages: their bytes lie one after the other */
};

/*
 * What one drain collects: records, and their bytes one after the other. One thread at a time uses it; it may do so for
 * several handles in turn.
 */
struct aiocpg_arena {
    struct aiocpg_record *records; /* owned */
    size_t count;
    size_t capacity;
    unsigned char *bytes; /* owned */
    size_t used;
    size_t size;
    size_t limit;         /* most bytes it may hold, 0 for no limit */
    uint32_t events;      /* what was collected: names do not count, each message does */
    int failed;           /* an event was lost for want of memory */
    struct cpg_name name; /* the group of the last record */
    cpg_handle_t lossy;   /* the handle it was lost for, which must not go on; 0 for none */
    cpg_handle_t idle;    /* the handle whose descriptor was readable with nothing there; 0 for none */
    uint32_t rounds;      /* how many drains in a row found it so */
};

/* One per sending handle. One thread at a time uses it. */
struct aiocpg_guard {
    cpg_handle_t handle;
    int fd;
    int credits;       /* sends left until the descriptor is looked at again */
    int grant;         /* credits that one look gives */
    uint32_t max_size; /* most bytes of one message */
};

/* The functions of libcpg, or NULL with the reason in a text of at most size bytes. May be called again after a failure. */
const struct aiocpg_table *aiocpg_load(char *reason, size_t size);

/* cpg_model_initialize with our callbacks; flags other than 0 and 1 are CS_ERR_INVALID_PARAM without a call. */
int aiocpg_initialize(cpg_handle_t *handle, unsigned int flags);

/* One cpg_dispatch of any kind into an emptied arena. */
int aiocpg_dispatch(cpg_handle_t handle, struct aiocpg_arena *arena, cs_dispatch_flags_t flag);

/*
 * Empties the arena, then dispatches without blocking until max_events or max_bytes are reached (CS_OK, at least one
 * round), nothing is left (CS_ERR_TRY_AGAIN), or another status comes. What was collected before it is in the arena.
 */
int aiocpg_drain(cpg_handle_t handle, struct aiocpg_arena *arena, uint32_t max_events, size_t max_bytes);

/* An empty arena, NULL when there is no memory for it. */
struct aiocpg_arena *aiocpg_arena_new(size_t limit);

/* Gives memory beyond keep bytes back; the contents are gone. */
void aiocpg_arena_trim(struct aiocpg_arena *arena, size_t keep);
void aiocpg_arena_free(struct aiocpg_arena *arena);

/* Fills the guard of an open handle; it looks at the descriptor before its first send. Returns cs_error_t. */
int aiocpg_guard_open(struct aiocpg_guard *guard, cpg_handle_t handle, int fd);

/* Multicasts one message, AGREED, and never spins: cs_error_t or one of the statuses above. */
int aiocpg_mcast(struct aiocpg_guard *guard, const char *data, size_t length);

/* Multicasts n messages that lie one after the other, up to the first not taken, whose status it returns. */
int aiocpg_mcast_many(struct aiocpg_guard *guard, const char *blob, const uint32_t *lengths, size_t n, size_t *taken);
