/*
 * One process's place in one group, for our own C programs: join, send within a window, dispatch, wait.
 *
 * What is sent and what is done with what arrives is the program's business. Nothing here is needed to use aiocpg;
 * it is what a careful C program does, and so both a peer to interoperate with and something to measure against.
 */
#ifndef AIOCPG_CLIENT_H
#define AIOCPG_CLIENT_H

#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Own bytes sent and not yet seen back: above this the daemon falls back to its slow path. */
#define CLIENT_WINDOW (768u * 1024u)
/* What the rings hold for a message beside its payload. */
#define CLIENT_OVERHEAD 192u
/* A writable socket has room for about 200 notifications; a send into a full one spins inside libqb. */
#define CLIENT_SENDS_PER_CHECK 64u

enum client_exit {
	CLIENT_DONE = 0,
	CLIENT_USAGE = 2,
	CLIENT_DEADLINE = 3, /* what was waited for did not come in time */
	CLIENT_LOST = 4,     /* a call failed, or the daemon went away */
	CLIENT_CORRUPT = 5   /* a message is not what its sender made */
};

enum client_outcome { CLIENT_SENT, CLIENT_WINDOW_FULL, CLIENT_NOT_WRITABLE, CLIENT_CONGESTED };

struct client {
	cpg_handle_t handle;
	struct cpg_name group;
	int fd;
	uint32_t nodeid;
	uint32_t pid;
	uint32_t max_atomic;
	size_t in_flight;
	unsigned int licence; /* sends left before the socket must be looked at again */
};

__attribute__((noreturn, format(printf, 2, 3)))
static inline void client_die(int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(code);
}

static inline void client_require(const char *call, cs_error_t status)
{
	if (status != CS_OK)
		client_die(CLIENT_LOST, "%s: error %d", call, (int)status);
}

static inline void client_on_alarm(int signal_number)
{
	static const char text[] = "deadline passed\n";

	(void)signal_number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(CLIENT_LOST);
	_exit(CLIENT_DEADLINE);
}

/* An alarm also ends libcpg's calls that wait for a reply, which have no timeout. */
static inline void client_deadline(unsigned int seconds)
{
	signal(SIGALRM, client_on_alarm);
	alarm(seconds);
}

static inline void client_initialize(struct client *client, cpg_model_v1_data_t *model)
{
	cs_error_t status;

	while ((status = cpg_model_initialize(&client->handle, CPG_MODEL_V1, (cpg_model_data_t *)model, client)) ==
	       CS_ERR_TRY_AGAIN)
		poll(NULL, 0, 20); /* the daemon is not ready; nothing tells when it is */
	client_require("cpg_model_initialize", status);
	client_require("cpg_fd_get", cpg_fd_get(client->handle, &client->fd));
	client_require("cpg_local_get", cpg_local_get(client->handle, &client->nodeid));
	client_require("cpg_max_atomic_msgsize_get", cpg_max_atomic_msgsize_get(client->handle, &client->max_atomic));
	client->pid = (uint32_t)getpid();
}

/* The name is counted, not terminated: bytes behind the length are zero, and a trailing NUL may belong to it. */
static inline void client_join(struct client *client, const char *name, size_t length)
{
	cs_error_t status;

	if (length < 1 || length > CPG_MAX_NAME_LENGTH - 1)
		client_die(CLIENT_USAGE, "a group name has 1 to %d bytes", CPG_MAX_NAME_LENGTH - 1);
	memset(&client->group, 0, sizeof(client->group));
	memcpy(client->group.value, name, length);
	client->group.length = (uint32_t)length;
	while ((status = cpg_join(client->handle, &client->group)) == CS_ERR_TRY_AGAIN)
		poll(NULL, 0, 20);
	client_require("cpg_join", status);
}

static inline bool client_is_own(const struct client *client, uint32_t nodeid, uint32_t pid)
{
	return nodeid == client->nodeid && pid == client->pid;
}

/* To be called for every own message that came back; it frees the window. */
static inline void client_seen(struct client *client, size_t size)
{
	client->in_flight -= size + CLIENT_OVERHEAD;
}

static inline int client_poll(const struct client *client, short events, int milliseconds)
{
	struct pollfd entry = {.fd = client->fd, .events = events, .revents = 0};

	if (poll(&entry, 1, milliseconds) < 0 && errno != EINTR)
		client_die(CLIENT_LOST, "poll: %s", strerror(errno));
	if (entry.revents & (POLLHUP | POLLERR | POLLNVAL))
		client_die(CLIENT_LOST, "the daemon went away");
	return entry.revents;
}

static inline bool client_may_send(struct client *client)
{
	if (client->licence == 0 && (client_poll(client, POLLOUT, 0) & POLLOUT))
		client->licence = CLIENT_SENDS_PER_CHECK;
	return client->licence > 0;
}

/* A status above the atomic size can be CS_OK although the connection broke, and only a hang-up tells. */
static inline enum client_outcome client_classify(struct client *client, cs_error_t status, size_t size)
{
	if (size > client->max_atomic)
		client_poll(client, 0, 0);
	if (status == CS_ERR_TRY_AGAIN || status == CS_ERR_INTERRUPT)
		return CLIENT_CONGESTED;
	client_require("cpg_mcast_joined", status);
	client->in_flight += size + CLIENT_OVERHEAD;
	return CLIENT_SENT;
}

static inline enum client_outcome client_send(struct client *client, const void *data, size_t size)
{
	struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

	if (client->in_flight > 0 && client->in_flight + size + CLIENT_OVERHEAD > CLIENT_WINDOW)
		return CLIENT_WINDOW_FULL;
	if (!client_may_send(client))
		return CLIENT_NOT_WRITABLE;
	client->licence--;
	return client_classify(client, cpg_mcast_joined(client->handle, CPG_TYPE_AGREED, &piece, 1), size);
}

/* One event, if there is one. */
static inline bool client_dispatch(struct client *client)
{
	cs_error_t status = cpg_dispatch(client->handle, CS_DISPATCH_ONE_NONBLOCKING);

	if (status == CS_ERR_TRY_AGAIN)
		return false;
	client_require("cpg_dispatch", status);
	return true;
}

static inline size_t client_dispatch_all(struct client *client)
{
	size_t events = 0;

	while (client_dispatch(client))
		events++;
	return events;
}

/* Nothing on the descriptor tells when congestion ends, so that alone is waited for by time. */
static inline void client_wait(const struct client *client, enum client_outcome outcome)
{
	short events = outcome == CLIENT_NOT_WRITABLE ? POLLIN | POLLOUT : POLLIN;

	client_poll(client, events, outcome == CLIENT_CONGESTED ? 2 : -1);
}

#endif
