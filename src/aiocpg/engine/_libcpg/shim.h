/* Everything our C files share. The fragments have no directives of their own because cffi reads them as well. */
#ifndef AIOCPG_SHIM_H
#define AIOCPG_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "abi.h"
#include "table.h"
#include "api.h"
#include "quorum_abi.h"
#include "quorum_table.h"
#include "quorum_api.h"

/* All NULL until aiocpg_load() has succeeded, constant from then on. */
extern struct aiocpg_table aiocpg_cpg;

/* Likewise, of aiocpg_quorum_load(). */
extern struct aiocpg_quorum_table aiocpg_libquorum;

/* The callbacks; they append to the arena of the dispatch that runs on this thread. */
void aiocpg_on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *msg,
                       size_t length);
void aiocpg_on_confchg(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *members,
                       size_t n_members, const struct cpg_address *left, size_t n_left,
                       const struct cpg_address *joined, size_t n_joined);
void aiocpg_on_ring(cpg_handle_t handle, struct cpg_ring_id ring_id, uint32_t n_nodes, const uint32_t *nodes);

/* Those of libquorum, by model; they write to the state of the dispatch that runs on this thread. */
void aiocpg_on_quorum_v0(quorum_handle_t handle, uint32_t quorate, uint64_t ring_seq, uint32_t view_list_entries,
                         uint32_t *view_list);
void aiocpg_on_quorum(quorum_handle_t handle, uint32_t quorate, struct quorum_ring_id ring_id,
                      uint32_t member_list_entries, const uint32_t *member_list);

/* The arena the callbacks of this thread write to; returns the one before. */
struct aiocpg_arena *aiocpg_arena_select(struct aiocpg_arena *arena);
void aiocpg_arena_clear(struct aiocpg_arena *arena);

/* Whether this thread has stack enough left for cpg_dispatch. */
int aiocpg_stack_suffices(void);

#endif
