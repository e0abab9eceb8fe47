/*
 * What libcpg does at its best in one C process that sends and receives its own messages: the anchor of the benchmarks.
 *
 * usage: reference SIZE SECONDS WARMUP_SECONDS. Prints one JSON object: a throughput run for each burst (how many sends
 * before it dispatches), then a closed loop (send one, wait for it). Messages sent to warm up are counted apart.
 */
#include "../tests/interop/client.h"

#include <sys/resource.h>
#include <time.h>

#define LATENCY_SAMPLES_MAX 4000000u

struct tally {
	double seconds;
	double cpu_seconds;
	size_t messages;
	size_t warmup_messages;
};

static const size_t bursts[] = {16, 64, 256, 1024};

static struct client client;
static size_t sent;
static size_t received;
static bool joined;
static unsigned char *message;
static size_t message_size;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* User and system time of this process. */
static double cpu_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *data,
		       size_t size)
{
	(void)handle;
	(void)group;
	(void)data;
	if (!client_is_own(&client, nodeid, pid))
		client_die(CLIENT_CORRUPT, "somebody else is in the group");
	client_seen(&client, size);
	received++;
}

static void on_confchg(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *members,
		       size_t member_entries, const struct cpg_address *left, size_t left_entries,
		       const struct cpg_address *joining, size_t joined_entries)
{
	(void)handle;
	(void)group;
	(void)members;
	(void)member_entries;
	(void)left;
	(void)left_entries;
	(void)joining;
	joined = joined || joined_entries > 0;
}

static void on_ring(cpg_handle_t handle, struct cpg_ring_id ring_id, uint32_t entries, const uint32_t *nodes)
{
	(void)handle;
	(void)ring_id;
	(void)entries;
	(void)nodes;
}

static void send_burst(size_t burst)
{
	enum client_outcome outcome = CLIENT_SENT;

	for (size_t i = 0; i < burst && outcome == CLIENT_SENT; i++) {
		outcome = client_send(&client, message, message_size);
		sent += outcome == CLIENT_SENT;
	}
	if (client_dispatch_all(&client) == 0 && outcome != CLIENT_SENT)
		client_wait(&client, outcome);
}

static void receive_rest(void)
{
	while (received < sent)
		if (!client_dispatch(&client))
			client_wait(&client, CLIENT_SENT);
}

static void flood(size_t burst, double seconds)
{
	double end = now() + seconds;

	do
		send_burst(burst);
	while (now() < end);
	receive_rest();
}

static void round_trip(void)
{
	enum client_outcome outcome;

	while ((outcome = client_send(&client, message, message_size)) != CLIENT_SENT)
		client_wait(&client, outcome);
	sent++;
	receive_rest();
}

static struct tally measure_throughput(size_t burst, double seconds, double warmup)
{
	struct tally tally;
	size_t before = received;
	double started, cpu_started;

	flood(burst, warmup);
	tally.warmup_messages = received - before;
	before = received;
	started = now();
	cpu_started = cpu_now();
	flood(burst, seconds);
	tally.cpu_seconds = cpu_now() - cpu_started;
	tally.seconds = now() - started;
	tally.messages = received - before;
	return tally;
}

static void print_tally(const char *separator, size_t burst, struct tally tally)
{
	printf("%s{\"burst\": %zu, \"messages\": %zu, \"warmup_messages\": %zu, \"messages_per_second\": %.1f, "
	       "\"bytes_per_second\": %.1f, \"cpu_per_message\": %.9f}",
	       separator, burst, tally.messages, tally.warmup_messages, (double)tally.messages / tally.seconds,
	       (double)tally.messages * (double)message_size / tally.seconds,
	       tally.cpu_seconds / (double)tally.messages);
}

static void print_throughput(double seconds, double warmup)
{
	printf("\"runs\": [");
	for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++)
		print_tally(i == 0 ? "" : ", ", bursts[i], measure_throughput(bursts[i], seconds, warmup));
	printf("]");
}

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* The smallest sample that at least this share of all samples does not exceed. */
static double percentile(const double *sorted, size_t count, double share)
{
	size_t rank = (size_t)(share * (double)count);

	if ((double)rank < share * (double)count)
		rank++;
	return sorted[rank > 0 ? rank - 1 : 0];
}

static size_t sample_latency(double *samples, double seconds)
{
	double end = now() + seconds, started;
	size_t count = 0;

	do {
		started = now();
		round_trip();
		samples[count++] = now() - started;
	} while (now() < end && count < LATENCY_SAMPLES_MAX);
	return count;
}

static void print_latency(double seconds, double warmup)
{
	double *samples = malloc(LATENCY_SAMPLES_MAX * sizeof(*samples));
	size_t warmed, count;
	double cpu_started;

	if (samples == NULL)
		client_die(CLIENT_USAGE, "no memory for the samples");
	warmed = sample_latency(samples, warmup);
	cpu_started = cpu_now();
	count = sample_latency(samples, seconds);
	cpu_started = cpu_now() - cpu_started;
	qsort(samples, count, sizeof(*samples), compare_doubles);
	printf("\"latency\": {\"messages\": %zu, \"warmup_messages\": %zu, \"p50\": %.9f, \"p99\": %.9f, \"p999\": %.9f, "
	       "\"cpu_per_message\": %.9f}",
	       count, warmed, percentile(samples, count, 0.5), percentile(samples, count, 0.99),
	       percentile(samples, count, 0.999), cpu_started / (double)count);
	free(samples);
}

static void open_group(void)
{
	static const char name[] = "benchmark-reference";
	cpg_model_v1_data_t model = {.model = CPG_MODEL_V1,
				     .cpg_deliver_fn = on_deliver,
				     .cpg_confchg_fn = on_confchg,
				     .cpg_totem_confchg_fn = on_ring};

	client_initialize(&client, &model);
	client_join(&client, name, sizeof(name) - 1);
	while (!joined)
		if (!client_dispatch(&client))
			client_wait(&client, CLIENT_SENT);
}

int main(int argc, char **argv)
{
	double seconds, warmup;

	if (argc != 4)
		client_die(CLIENT_USAGE, "usage: reference SIZE SECONDS WARMUP_SECONDS");
	message_size = strtoul(argv[1], NULL, 10);
	seconds = strtod(argv[2], NULL);
	warmup = strtod(argv[3], NULL);
	message = calloc(1, message_size + 1);
	if (message == NULL || seconds <= 0 || warmup < 0)
		client_die(CLIENT_USAGE, "a size in bytes and times in seconds are wanted");
	client_deadline((unsigned int)(8 * (seconds + warmup)) + 60);
	open_group();
	printf("{\"size\": %zu, \"seconds\": %g, ", message_size, seconds);
	print_throughput(seconds, warmup);
	printf(", ");
	print_latency(seconds, warmup);
	puts("}");
	client_require("cpg_finalize", cpg_finalize(client.handle));
	free(message);
	return CLIENT_DONE;
}
