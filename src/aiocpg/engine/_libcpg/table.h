/*
 * libcpg's functions as pointers, found by name when the library is loaded. Uses Corosync's type names only, so a test
 * can compile it against the real header and assign the real functions to it. Read by the C compiler and by cffi.
 */

struct aiocpg_table {
    cs_error_t (*model_initialize)(cpg_handle_t *, cpg_model_t, cpg_model_data_t *, void *);
    cs_error_t (*finalize)(cpg_handle_t);
    cs_error_t (*fd_get)(cpg_handle_t, int *);
    cs_error_t (*max_atomic_msgsize_get)(cpg_handle_t, uint32_t *); /* since 2.3.5, else NULL */
    cs_error_t (*context_get)(cpg_handle_t, void **);
    cs_error_t (*context_set)(cpg_handle_t, void *);
    cs_error_t (*dispatch)(cpg_handle_t, cs_dispatch_flags_t);
    cs_error_t (*join)(cpg_handle_t, const struct cpg_name *);
    cs_error_t (*leave)(cpg_handle_t, const struct cpg_name *);
    cs_error_t (*mcast_joined)(cpg_handle_t, cpg_guarantee_t, const struct iovec *, unsigned int);
    cs_error_t (*membership_get)(cpg_handle_t, struct cpg_name *, struct cpg_address *, int *);
    cs_error_t (*local_get)(cpg_handle_t, unsigned int *);
    cs_error_t (*flow_control_state_get)(cpg_handle_t, cpg_flow_control_state_t *);
    cs_error_t (*iteration_initialize)(cpg_handle_t, cpg_iteration_type_t, const struct cpg_name *,
                                       cpg_iteration_handle_t *);
    cs_error_t (*iteration_next)(cpg_iteration_handle_t, struct cpg_iteration_description_t *);
    cs_error_t (*iteration_finalize)(cpg_iteration_handle_t);
    cs_error_t (*zcb_alloc)(cpg_handle_t, size_t, void **); /* the three zcb_ may be NULL */
    cs_error_t (*zcb_free)(cpg_handle_t, void *);
    cs_error_t (*zcb_mcast_joined)(cpg_handle_t, cpg_guarantee_t, void *, size_t);
};
