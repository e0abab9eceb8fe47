/*
 * A member of a group written in C: it sends numbered messages, records everything that is delivered to it, and ends.
 *
 * Records, one a line: "J ADDRESS REASON" and "L ADDRESS REASON" for joins and departures, "M ADDRESS LENGTH SEQUENCE CRC"
 * for messages, with "-" for the sequence of an empty one. Exit codes are those of client.h.
 *
 * A message is a header of five little-endian words (magic, nodeid, pid, sequence, crc32 of the rest) and a rest that
 * follows from the sequence; payload.py makes the same bytes.
 */
#include "client.h"

#include <getopt.h>

#define MAGIC 0x47504341u /* "ACPG" */
#define HEADER_BYTES 20u

struct options {
	const char *group;
	bool trailing_nul;
	size_t members;
	size_t count;
	size_t size;
	size_t empty;
	size_t large;
	size_t expected;
	unsigned int deadline;
	const char *record;
	bool leave;
};

static struct client client;
static struct options options = {.members = 1, .size = 64, .deadline = 60};
static FILE *record;
static uint32_t crc_table[256];
static size_t present; /* members in the group */
static size_t received;
static bool gone; /* our own departure was delivered */

static void crc_prepare(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t value = byte;

		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? (value >> 1) ^ 0xedb88320u : value >> 1;
		crc_table[byte] = value;
	}
}

static uint32_t crc32_of(const unsigned char *data, size_t size)
{
	uint32_t value = 0xffffffffu;

	for (size_t i = 0; i < size; i++)
		value = crc_table[(value ^ data[i]) & 0xff] ^ (value >> 8);
	return ~value;
}

static void put_word(unsigned char *at, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(word >> (8 * i));
}

static uint32_t get_word(const unsigned char *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void fill_message(unsigned char *message, size_t size, uint32_t sequence)
{
	unsigned char *rest = message + HEADER_BYTES;

	if (size == 0)
		return;
	for (size_t i = 0; i < size - HEADER_BYTES; i++)
		rest[i] = (unsigned char)(sequence + i);
	put_word(message, MAGIC);
	put_word(message + 4, client.nodeid);
	put_word(message + 8, client.pid);
	put_word(message + 12, sequence);
	put_word(message + 16, crc32_of(rest, size - HEADER_BYTES));
}

static void check_message(const unsigned char *message, size_t size, uint32_t nodeid, uint32_t pid)
{
	if (size < HEADER_BYTES || get_word(message) != MAGIC)
		client_die(CLIENT_CORRUPT, "a message of %zu bytes without our header from %u:%u", size, nodeid, pid);
	if (get_word(message + 4) != nodeid || get_word(message + 8) != pid)
		client_die(CLIENT_CORRUPT, "a message of %u:%u names another sender", nodeid, pid);
	if (get_word(message + 16) != crc32_of(message + HEADER_BYTES, size - HEADER_BYTES))
		client_die(CLIENT_CORRUPT, "a message of %u:%u was changed on the way", nodeid, pid);
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *message,
		       size_t size)
{
	(void)handle;
	(void)group;
	received++;
	if (client_is_own(&client, nodeid, pid))
		client_seen(&client, size);
	if (size == 0) {
		fprintf(record, "M %u:%u 0 - %08x\n", nodeid, pid, 0u);
		return;
	}
	check_message(message, size, nodeid, pid);
	fprintf(record, "M %u:%u %zu %u %08x\n", nodeid, pid, size, get_word((unsigned char *)message + 12),
		crc32_of(message, size));
}

static void record_changes(char kind, const struct cpg_address *list, size_t entries)
{
	for (size_t i = 0; i < entries; i++)
		fprintf(record, "%c %u:%u %u\n", kind, list[i].nodeid, list[i].pid, list[i].reason);
}

static void on_confchg(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *members,
		       size_t member_entries, const struct cpg_address *left, size_t left_entries,
		       const struct cpg_address *joined, size_t joined_entries)
{
	(void)handle;
	(void)group;
	(void)members;
	present = member_entries;
	record_changes('L', left, left_entries);
	record_changes('J', joined, joined_entries);
	for (size_t i = 0; i < left_entries; i++)
		gone = gone || client_is_own(&client, left[i].nodeid, left[i].pid);
}

static void on_ring(cpg_handle_t handle, struct cpg_ring_id ring_id, uint32_t entries, const uint32_t *nodes)
{
	(void)handle;
	(void)ring_id;
	(void)entries;
	(void)nodes;
}

/* The numbered ones come first, then the empty ones, then the large one. */
static size_t size_of(size_t index)
{
	if (index < options.count)
		return options.size;
	return index < options.count + options.empty ? 0 : options.large;
}

static uint32_t sequence_of(size_t index)
{
	return (uint32_t)(index < options.count ? index : options.count);
}

static void send_message(unsigned char *message, size_t size, uint32_t sequence)
{
	enum client_outcome outcome;

	fill_message(message, size, sequence);
	while ((outcome = client_send(&client, message, size)) != CLIENT_SENT)
		if (client_dispatch_all(&client) == 0)
			client_wait(&client, outcome);
}

static void send_all(void)
{
	size_t total = options.count + options.empty + (options.large > 0);
	size_t largest = options.large > options.size ? options.large : options.size;
	unsigned char *message = malloc(largest);

	if (message == NULL)
		client_die(CLIENT_USAGE, "no memory for a message of %zu bytes", largest);
	for (size_t index = 0; index < total; index++) {
		send_message(message, size_of(index), sequence_of(index));
		if (index % CLIENT_SENDS_PER_CHECK == 0)
			client_dispatch_all(&client);
	}
	free(message);
}

static void dispatch_until_present(void)
{
	while (present < options.members)
		if (!client_dispatch(&client))
			client_wait(&client, CLIENT_SENT);
}

static void dispatch_until_received(void)
{
	while (received < options.expected)
		if (!client_dispatch(&client))
			client_wait(&client, CLIENT_SENT);
}

static void leave(void)
{
	client_require("cpg_leave", cpg_leave(client.handle, &client.group));
	while (!gone)
		if (!client_dispatch(&client))
			client_wait(&client, CLIENT_SENT);
}

static const struct option long_options[] = {
	{"group", required_argument, NULL, 'g'},   {"trailing-nul", no_argument, NULL, '0'},
	{"members", required_argument, NULL, 'm'}, {"count", required_argument, NULL, 'c'},
	{"size", required_argument, NULL, 's'},	   {"empty", required_argument, NULL, 'e'},
	{"large", required_argument, NULL, 'l'},   {"expected", required_argument, NULL, 'x'},
	{"deadline", required_argument, NULL, 'd'}, {"record", required_argument, NULL, 'r'},
	{"leave", no_argument, NULL, 'v'},	   {NULL, 0, NULL, 0},
};

static size_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		client_die(CLIENT_USAGE, "not a number: %s", text);
	return value;
}

static void set_option(int option)
{
	switch (option) {
	case 'g': options.group = optarg; break;
	case '0': options.trailing_nul = true; break;
	case 'm': options.members = number(optarg); break;
	case 'c': options.count = number(optarg); break;
	case 's': options.size = number(optarg); break;
	case 'e': options.empty = number(optarg); break;
	case 'l': options.large = number(optarg); break;
	case 'x': options.expected = number(optarg); break;
	case 'd': options.deadline = (unsigned int)number(optarg); break;
	case 'r': options.record = optarg; break;
	case 'v': options.leave = true; break;
	default: client_die(CLIENT_USAGE, "usage: member --group NAME --record FILE [options, see the source]");
	}
}

static void read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(option);
	if (options.group == NULL || options.record == NULL || optind < argc)
		set_option('?');
	if (options.size < HEADER_BYTES || (options.large > 0 && options.large < HEADER_BYTES))
		client_die(CLIENT_USAGE, "a message with a header has at least %u bytes", HEADER_BYTES);
}

static void open_record(void)
{
	record = fopen(options.record, "w");
	if (record == NULL)
		client_die(CLIENT_USAGE, "%s: %s", options.record, strerror(errno));
	setvbuf(record, NULL, _IOLBF, 0); /* a record cut short by the deadline still says how far we came */
}

int main(int argc, char **argv)
{
	cpg_model_v1_data_t model = {.model = CPG_MODEL_V1,
				     .cpg_deliver_fn = on_deliver,
				     .cpg_confchg_fn = on_confchg,
				     .cpg_totem_confchg_fn = on_ring};

	read_options(argc, argv);
	crc_prepare();
	open_record();
	client_deadline(options.deadline);
	client_initialize(&client, &model);
	/* The terminator of the argument is the NUL that belongs to the name. */
	client_join(&client, options.group, strlen(options.group) + options.trailing_nul);
	dispatch_until_present();
	send_all();
	dispatch_until_received();
	if (options.leave)
		leave();
	client_require("cpg_finalize", cpg_finalize(client.handle));
	return fclose(record) == 0 ? CLIENT_DONE : CLIENT_LOST;
}
