/* libquorum's functions as pointers; as table.h is for libcpg. Read by the C compiler and by cffi. */

struct aiocpg_quorum_table {
    cs_error_t (*model_initialize)(quorum_handle_t *, quorum_model_t, quorum_model_data_t *, uint32_t *,
                                   void *); /* since 3.1, else NULL */
    cs_error_t (*initialize)(quorum_handle_t *, quorum_callbacks_t *, uint32_t *);
    cs_error_t (*finalize)(quorum_handle_t);
    cs_error_t (*fd_get)(quorum_handle_t, int *);
    cs_error_t (*dispatch)(quorum_handle_t, cs_dispatch_flags_t);
    cs_error_t (*trackstart)(quorum_handle_t, unsigned int);
};
