/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshakes: what the signer costs a relay: TLS handshakes of the front door, with the key in the
 * process and with a signer beside it, in turns. Prints a table, or JSON with --json.
 *
 * Both ends of each handshake are in this process, on one thread, as engines without sockets; so
 * the time is a client's and a relay's together, and what differs is the signer. "CPU" is of this
 * process, what a relay's worker spends and a client with it; "signer" is the signer's own.
 *
 * links: core/key_file.c
 * links: core/helper.c relay/signer/signer.c relay/signer/serve.c relay/signer/made.c core/engine/keyring.c core/engine/certificate.c
 * links: core/engine/identity.c core/engine/identity_relay.c core/engine/identity_verify.c
 * links: core/engine/tag.c core/engine/tls.c core/parse/signing.c core/parse/keyblock.c
 * links: core/parse/wire.c core/parse/reason.c core/addr.c core/log*.c core/file.c core/isolation.c
 * links: core/passing.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/engine/tls.h"
#include "relay/signer/signer.h"
#include "tests/support/certs.h"

#define AT_ONCE	   32u /* SIGNING_UNDER_WAY of a worker */
#define HANDSHAKES 1024u
#define ROUNDS	   9u

enum way { OWN_KEY, SIGNER_ONE, SIGNER_MANY, WAYS };

static const struct {
	const char *name;
	unsigned at_once;
} ways[WAYS] = {
	[OWN_KEY] = {"the key in the process", 1},
	[SIGNER_ONE] = {"a signer, one handshake after the other", 1},
	[SIGNER_MANY] = {"a signer, 32 under way", AT_ONCE},
};

static SSL_CTX *own_context, *signer_context, *client_context;
static int channel;
static clockid_t signer_clock;

static void bench_die(const char *what)
{
	fprintf(stderr, "handshakes: %s\n", what);
	exit(EXIT_FAILURE);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ask_signer(struct tls *server, uint64_t number)
{
	uint8_t packet[SIGNING_INPUT_MAX + 64];
	struct signing_request request = {.duty = SIGNING_SIGN, .number = number};
	struct tls_signing wanted;
	size_t len;

	if (!tls_ask_signature(server, &wanted) || !tls_key_id(server, request.key))
		bench_die("no signature is wanted");
	request.algorithm = wanted.algorithm;
	CBS_init(&request.input, wanted.input, wanted.len);
	if (!signing_request_encode(&request, packet, sizeof packet, &len) ||
	    send(channel, packet, len, 0) < 0)
		bench_die("the signer cannot be asked");
}

static void take_answer(struct tls *const servers[])
{
	uint8_t packet[SIGNING_PACKET_MAX];
	struct signing_reply reply;
	ssize_t n = recv(channel, packet, sizeof packet, 0);

	if (n <= 0 || !signing_reply_decode(packet, (size_t)n, &reply) || reply.status)
		bench_die("the signer does not sign");
	tls_give_signature(servers[reply.number], CBS_data(&reply.data), CBS_len(&reply.data));
}

/* So many handshakes at once, to their ends. */
static void shake(enum way way)
{
	struct tls *clients[AT_ONCE], *servers[AT_ONCE];
	unsigned count = ways[way].at_once;

	for (unsigned i = 0; i < count; i++) {
		clients[i] = tls_new(client_context, false);
		servers[i] = tls_new(way == OWN_KEY ? own_context : signer_context, true);
		if (!clients[i] || !servers[i])
			bench_die("out of memory");
		(void)!tls_handshake(clients[i]);
		certs_carry(clients[i], servers[i], 65536);
		(void)!tls_handshake(servers[i]);
		if (way != OWN_KEY)
			ask_signer(servers[i], i);
	}
	for (unsigned i = 0; i < count && way != OWN_KEY; i++)
		take_answer(servers);
	for (unsigned i = 0; i < count; i++) {
		if (!certs_handshake(clients[i], servers[i], 65536))
			bench_die("a handshake fails");
		tls_free(clients[i]);
		tls_free(servers[i]);
	}
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return one < other ? -1 : one > other;
}

static SSL_CTX *context_of(const struct certs_ca *ca, const struct certs_pair *pair, bool front,
			   bool own)
{
	char why[512];
	struct identity *id = identity_new(ca->pem, pair->certificate, own ? pair->key : NULL,
					   time(NULL), why, sizeof why);

	if (!id)
		bench_die(why);
	return front ? identity_front_context(id) : identity_dial_context(id);
}

static void signer_begin(const struct certs_ca *ca, const struct certs_pair *pair)
{
	static struct signer signer;
	char path[] = "/tmp/postern-handshakes-XXXXXX", text[16384], *read = NULL;
	int fd = mkstemp(path);
	size_t len;

	certs_yaml(ca->pem, pair->certificate, pair->key, text, sizeof text);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || signer_start(&signer, path) ||
	    signer_read(&signer, SIGNING_CONFIG, &read, &len) ||
	    signer_channel(&signer, &channel) || signer_seal(&signer) ||
	    clock_getcpuclockid(signer.helper.pid, &signer_clock))
		bench_die("the signer does not start");
	free(read);
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	struct certs_ca ca = certs_make_ca("Bench");
	struct certs_pair pair =
		certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	double wall[WAYS][ROUNDS], cpu[WAYS][ROUNDS], signing[WAYS][ROUNDS];

	signer_begin(&ca, &pair);
	own_context = context_of(&ca, &pair, true, true);
	signer_context = context_of(&ca, &pair, true, false);
	client_context = context_of(&ca, &pair, false, true);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned way = 0; way < WAYS; way++) {
			double from = seconds(CLOCK_MONOTONIC);
			double cpu_from = seconds(CLOCK_PROCESS_CPUTIME_ID);
			double signing_from = seconds(signer_clock);

			for (unsigned n = 0; n < HANDSHAKES; n += ways[way].at_once)
				shake((enum way)way);
			wall[way][round] = (seconds(CLOCK_MONOTONIC) - from) / HANDSHAKES * 1e6;
			cpu[way][round] =
				(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_from) / HANDSHAKES * 1e6;
			signing[way][round] =
				(seconds(signer_clock) - signing_from) / HANDSHAKES * 1e6;
		}
	if (!json)
		printf("%-42s %12s %9s %9s %9s\n", "a client and a relay, EC P-256", "handshakes/s",
		       "time us", "CPU us", "signer us");
	for (unsigned way = 0; way < WAYS; way++) {
		qsort(wall[way], ROUNDS, sizeof(double), compare);
		qsort(cpu[way], ROUNDS, sizeof(double), compare);
		qsort(signing[way], ROUNDS, sizeof(double), compare);
		double us = wall[way][ROUNDS / 2], spent = cpu[way][ROUNDS / 2];
		double signer_us = signing[way][ROUNDS / 2];

		if (json)
			printf("%s{\"name\": \"%s\", \"us\": %.1f, \"cpu_us\": %.1f, "
			       "\"signer_us\": %.1f}",
			       way ? ",\n " : "[", ways[way].name, us, spent, signer_us);
		else
			printf("%-42s %12.0f %9.1f %9.1f %9.1f\n", ways[way].name, 1e6 / us, us,
			       spent, signer_us);
	}
	if (json)
		puts("]");
	return 0;
}
