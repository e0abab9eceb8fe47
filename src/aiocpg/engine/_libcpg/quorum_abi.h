/*
 * The part of libquorum.so.5's ABI we use, under the names of corosync/quorum.h; as abi.h is for libcpg. Model V1 came
 * with Corosync 3.1. Read by the C compiler (through shim.h) and by cffi, hence no directives but plain #define.
 */

typedef uint64_t quorum_handle_t;

typedef enum { QUORUM_MODEL_V0 = 0, QUORUM_MODEL_V1 = 1 } quorum_model_t;

#define QUORUM_FREE 0
#define QUORUM_SET 1

/* Of corosync/corotypes.h: the present state, then each change. */
#define CS_TRACK_CHANGES 0x02

/* The callbacks take it by value: {u32, 4 bytes of padding, u64} on LP64. */
struct quorum_ring_id {
    uint32_t nodeid;
    uint64_t seq;
};

typedef void (*quorum_notification_fn_t)(quorum_handle_t handle, uint32_t quorate, uint64_t ring_seq,
                                         uint32_t view_list_entries, uint32_t *view_list);

typedef void (*quorum_v1_quorum_notification_fn_t)(quorum_handle_t handle, uint32_t quorate,
                                                   struct quorum_ring_id ring_id, uint32_t member_list_entries,
                                                   const uint32_t *member_list);

typedef void (*quorum_v1_nodelist_notification_fn_t)(quorum_handle_t handle, struct quorum_ring_id ring_id,
                                                     uint32_t member_list_entries, const uint32_t *member_list,
                                                     uint32_t joined_list_entries, const uint32_t *joined_list,
                                                     uint32_t left_list_entries, const uint32_t *left_list);

typedef struct {
    quorum_notification_fn_t quorum_notify_fn;
} quorum_callbacks_t;

typedef struct {
    quorum_model_t model;
} quorum_model_data_t;

typedef struct {
    quorum_model_t model;
    quorum_v1_quorum_notification_fn_t quorum_notify_fn;
    quorum_v1_nodelist_notification_fn_t nodelist_notify_fn;
} quorum_model_v1_data_t;
