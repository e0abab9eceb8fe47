/*
 * The part of libcpg.so.4's ABI we use: values, structs and callback types under the names of corosync/corotypes.h and
 * corosync/cpg.h, so that building needs no Corosync. Nothing of it has changed since 2.0; a test compares it with the
 * real headers. Read by the C compiler (through shim.h) and by cffi, hence no directives but plain #define.
 */

typedef uint64_t cpg_handle_t;
typedef uint64_t cpg_iteration_handle_t;

typedef enum {
    CS_OK = 1,
    CS_ERR_LIBRARY = 2,
    CS_ERR_VERSION = 3,
    CS_ERR_INIT = 4,
    CS_ERR_TIMEOUT = 5,
    CS_ERR_TRY_AGAIN = 6,
    CS_ERR_INVALID_PARAM = 7,
    CS_ERR_NO_MEMORY = 8,
    CS_ERR_BAD_HANDLE = 9,
    CS_ERR_BUSY = 10,
    CS_ERR_ACCESS = 11,
    CS_ERR_NOT_EXIST = 12,
    CS_ERR_NAME_TOO_LONG = 13,
    CS_ERR_EXIST = 14,
    CS_ERR_NO_SPACE = 15,
    CS_ERR_INTERRUPT = 16,
    CS_ERR_NAME_NOT_FOUND = 17,
    CS_ERR_NO_RESOURCES = 18,
    CS_ERR_NOT_SUPPORTED = 19,
    CS_ERR_BAD_OPERATION = 20,
    CS_ERR_FAILED_OPERATION = 21,
    CS_ERR_MESSAGE_ERROR = 22,
    CS_ERR_QUEUE_FULL = 23,
    CS_ERR_QUEUE_NOT_AVAILABLE = 24,
    CS_ERR_BAD_FLAGS = 25,
    CS_ERR_TOO_BIG = 26,
    CS_ERR_NO_SECTIONS = 27,
    CS_ERR_CONTEXT_NOT_FOUND = 28,
    CS_ERR_TOO_MANY_GROUPS = 30,
    CS_ERR_SECURITY = 100
} cs_error_t;

typedef enum {
    CS_DISPATCH_ONE = 1,
    CS_DISPATCH_ALL = 2,
    CS_DISPATCH_BLOCKING = 3,
    CS_DISPATCH_ONE_NONBLOCKING = 4
} cs_dispatch_flags_t;

typedef enum {
    CPG_TYPE_UNORDERED = 0,
    CPG_TYPE_FIFO = 1,
    CPG_TYPE_AGREED = 2,
    CPG_TYPE_SAFE = 3
} cpg_guarantee_t;

typedef enum {
    CPG_FLOW_CONTROL_DISABLED = 0,
    CPG_FLOW_CONTROL_ENABLED = 1
} cpg_flow_control_state_t;

typedef enum {
    CPG_REASON_UNDEFINED = 0,
    CPG_REASON_JOIN = 1,
    CPG_REASON_LEAVE = 2,
    CPG_REASON_NODEDOWN = 3,
    CPG_REASON_NODEUP = 4,
    CPG_REASON_PROCDOWN = 5
} cpg_reason_t;

typedef enum {
    CPG_ITERATION_NAME_ONLY = 1,
    CPG_ITERATION_ONE_GROUP = 2,
    CPG_ITERATION_ALL = 3
} cpg_iteration_type_t;

typedef enum { CPG_MODEL_V1 = 1 } cpg_model_t;

#define CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF 0x01
#define CPG_MAX_NAME_LENGTH 128
#define CPG_MEMBERS_MAX 128

struct cpg_address {
    uint32_t nodeid;
    uint32_t pid;
    uint32_t reason;
};

struct cpg_name {
    uint32_t length;
    char value[CPG_MAX_NAME_LENGTH];
};

struct cpg_iteration_description_t {
    struct cpg_name group;
    uint32_t nodeid;
    uint32_t pid;
};

/* The callback takes it by value: {u32, 4 bytes of padding, u64} on LP64. */
struct cpg_ring_id {
    uint32_t nodeid;
    uint64_t seq;
};

typedef void (*cpg_deliver_fn_t)(cpg_handle_t handle, const struct cpg_name *group_name, uint32_t nodeid, uint32_t pid,
                                 void *msg, size_t msg_len);

typedef void (*cpg_confchg_fn_t)(cpg_handle_t handle, const struct cpg_name *group_name,
                                 const struct cpg_address *member_list, size_t member_list_entries,
                                 const struct cpg_address *left_list, size_t left_list_entries,
                                 const struct cpg_address *joined_list, size_t joined_list_entries);

typedef void (*cpg_totem_confchg_fn_t)(cpg_handle_t handle, struct cpg_ring_id ring_id, uint32_t member_list_entries,
                                       const uint32_t *member_list);

typedef struct {
    cpg_model_t model;
} cpg_model_data_t;

typedef struct {
    cpg_model_t model;
    cpg_deliver_fn_t cpg_deliver_fn;
    cpg_confchg_fn_t cpg_confchg_fn;
    cpg_totem_confchg_fn_t cpg_totem_confchg_fn;
    unsigned int flags;
} cpg_model_v1_data_t;
