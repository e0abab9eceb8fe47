/* Finds libcpg.so.4 at first use, so that the package builds and imports without it and never bundles a copy. */
#include "shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct aiocpg_table aiocpg_cpg;

struct symbol {
    const char *name;
    size_t offset;
    int needed;
};

#define NEEDED(field) {"cpg_" #field, offsetof(struct aiocpg_table, field), 1}
#define WANTED(field) {"cpg_" #field, offsetof(struct aiocpg_table, field), 0}

static const struct symbol symbols[] = {
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

_Static_assert(sizeof symbols / sizeof *symbols == sizeof(struct aiocpg_table) / sizeof(void *),
               "every function of the table is looked up");

static int find_all(void *library, struct aiocpg_table *table)
{
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(library, symbols[i].name);

        if (found == NULL && symbols[i].needed)
            return 0;
        memcpy((char *)table + symbols[i].offset, &found, sizeof found);
    }
    return 1;
}

static void explain(char *reason, size_t size)
{
    const char *text = dlerror();

    if (size == 0)
        return;
    strncpy(reason, text != NULL ? text : "libcpg.so.4 cannot be loaded", size - 1);
    reason[size - 1] = '\0';
}

const struct aiocpg_table *aiocpg_load(char *reason, size_t size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int loaded;
    struct aiocpg_table table;
    int ok;

    pthread_mutex_lock(&lock);
    if (!loaded) {
        void *library = dlopen("libcpg.so.4", RTLD_NOW | RTLD_LOCAL);

        if (library != NULL && find_all(library, &table)) {
            aiocpg_cpg = table;
            loaded = 1; /* the library stays open for the life of the process */
        } else {
            explain(reason, size);
            if (library != NULL)
                dlclose(library);
        }
    }
    ok = loaded;
    pthread_mutex_unlock(&lock);
    return ok ? &aiocpg_cpg : NULL;
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
