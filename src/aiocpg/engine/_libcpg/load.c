/*
 * Finds libcpg.so.4 and libquorum.so.5 at first use, each by itself, so that the package builds and imports without them
 * and never bundles a copy.
 */
#include "shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct aiocpg_table aiocpg_cpg;
struct aiocpg_quorum_table aiocpg_libquorum;

struct symbol {
    const char *name;
    size_t offset;
    int needed;
};

struct library {
    const char *name;
    const struct symbol *symbols;
    size_t count;
    void *table; /* where the functions go when all that are needed were found */
    int loaded;
};

#define NEEDED(field) {"cpg_" #field, offsetof(struct aiocpg_table, field), 1}
#define WANTED(field) {"cpg_" #field, offsetof(struct aiocpg_table, field), 0}

static const struct symbol cpg_symbols[] = {
    NEEDED(model_initialize),
    NEEDED(finalize),
    NEEDED(fd_get),
    WANTED(max_atomic_msgsize_get),
    NEEDED(context_get),
    NEEDED(context_set),
    NEEDED(dispatch),
    NEEDED(join),
    NEEDED(leave),
    NEEDED(mcast_joined),
    NEEDED(membership_get),
    NEEDED(local_get),
    NEEDED(flow_control_state_get),
    NEEDED(iteration_initialize),
    NEEDED(iteration_next),
    NEEDED(iteration_finalize),
    WANTED(zcb_alloc),
    WANTED(zcb_free),
    WANTED(zcb_mcast_joined),
};

_Static_assert(sizeof cpg_symbols / sizeof *cpg_symbols == sizeof(struct aiocpg_table) / sizeof(void *),
               "every function of the table is looked up");

#define QUORUM_NEEDED(field) {"quorum_" #field, offsetof(struct aiocpg_quorum_table, field), 1}
#define QUORUM_WANTED(field) {"quorum_" #field, offsetof(struct aiocpg_quorum_table, field), 0}

static const struct symbol quorum_symbols[] = {
    QUORUM_WANTED(model_initialize),
    QUORUM_NEEDED(initialize),
    QUORUM_NEEDED(finalize),
    QUORUM_NEEDED(fd_get),
    QUORUM_NEEDED(dispatch),
    QUORUM_NEEDED(trackstart),
};

#define QUORUM_COUNT (sizeof quorum_symbols / sizeof *quorum_symbols)

_Static_assert(QUORUM_COUNT == sizeof(struct aiocpg_quorum_table) / sizeof(void *),
               "every function of the table is looked up");

static struct library libcpg = {"libcpg.so.4", cpg_symbols, sizeof cpg_symbols / sizeof *cpg_symbols, &aiocpg_cpg, 0};
static struct library libquorum = {"libquorum.so.5", quorum_symbols, QUORUM_COUNT, &aiocpg_libquorum, 0};

/* Looks for all functions first: the table is all NULL or complete, since other threads may be reading it. */
static int find_all(void *opened, const struct library *library)
{
    size_t i;

    for (i = 0; i < library->count; i++)
        if (dlsym(opened, library->symbols[i].name) == NULL && library->symbols[i].needed)
            return 0;
    for (i = 0; i < library->count; i++) {
        void *found = dlsym(opened, library->symbols[i].name);

        memcpy((char *)library->table + library->symbols[i].offset, &found, sizeof found);
    }
    return 1;
}

static void explain(const char *name, char *reason, size_t size)
{
    const char *text = dlerror();

    if (size == 0)
        return;
    strncpy(reason, text != NULL ? text : name, size - 1);
    reason[size - 1] = '\0';
}

static const void *load(struct library *library, char *reason, size_t size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int ok;

    pthread_mutex_lock(&lock);
    if (!library->loaded) {
        void *opened = dlopen(library->name, RTLD_NOW | RTLD_LOCAL);

        if (opened != NULL && find_all(opened, library)) {
            library->loaded = 1; /* the library stays open for the life of the process */
        } else {
            explain(library->name, reason, size);
            if (opened != NULL)
                dlclose(opened);
        }
    }
    ok = library->loaded;
    pthread_mutex_unlock(&lock);
    return ok ? library->table : NULL;
}

const struct aiocpg_table *aiocpg_load(char *reason, size_t size)
{
    return load(&libcpg, reason, size);
}

const struct aiocpg_quorum_table *aiocpg_quorum_load(char *reason, size_t size)
{
    return load(&libquorum, reason, size);
}

int aiocpg_initialize(cpg_handle_t *handle, unsigned int flags)
{
    cpg_model_v1_data_t model = {
        .model = CPG_MODEL_V1,
        .cpg_deliver_fn = aiocpg_on_deliver,
        .cpg_confchg_fn = aiocpg_on_confchg,
        .cpg_totem_confchg_fn = aiocpg_on_ring,
        .flags = flags,
    };

    if (aiocpg_cpg.model_initialize == NULL)
        return CS_ERR_INIT;
    /* libcpg refuses unknown flags only after connecting, and then leaks the handle, the socket and 3 MiB of /dev/shm. */
    if (flags & ~(unsigned int)CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF)
        return CS_ERR_INVALID_PARAM;
    return aiocpg_cpg.model_initialize(handle, CPG_MODEL_V1, (cpg_model_data_t *)&model, NULL);
}
