/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer: what a sealed relay has done by it, and what the signer itself cannot do.
 *
 * links: core/key_file.c core/helper.c
 * links: relay/signer/signer.c relay/signer/serve.c relay/signer/made.c relay/signer/pair.c core/engine/keyring.c
 * links: core/engine/front_certificate.c core/engine/certificate.c
 * links: core/engine/identity.c core/engine/identity_relay.c core/engine/identity_verify.c
 * links: core/engine/tag.c core/engine/tls.c core/parse/signing.c core/parse/keyblock.c core/parse/wire.c
 * links: core/parse/reason.c core/addr.c core/log*.c core/file.c core/isolation.c core/passing.c
 * links: core/clock.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c core/memory.c
 * links: tests/support/child.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/ssl.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/parse/keyblock.h"
#include "core/sanitized.h"
#include "relay/signer/internal.h"
#include "relay/signer/pair.h"
#include "tests/support/certs.h"
#include "tests/support/child.h"

static char dir[64], config[96], neighbour[96];
static struct certs_ca ca;
static struct certs_pair relay;
static uint8_t relay_key[SIGNING_KEY_BYTES];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void write_config(const char *name)
{
	static char text[16384];
	int n = snprintf(text, sizeof(text), "name: %s\n", name);

	certs_yaml(ca.pem, relay.certificate, relay.key, text + n, sizeof(text) - (size_t)n);
	write_file(config, text);
}

static int setup(void **context)
{
	X509 *x;

	umask(077);
	snprintf(dir, sizeof(dir), "/tmp/postern-signer-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(config, sizeof(config), "%s/relay.yaml", dir);
	snprintf(neighbour, sizeof(neighbour), "%s/outside", dir);
	ca = certs_make_ca("Example");
	relay = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	x = certificate_of_pem(relay.certificate);
	assert_true(keyring_id_of_certificate(x, relay_key));
	X509_free(x);
	write_config("front");
	write_file(neighbour, "not for you\n");
	return 0;
}

static int teardown(void **context)
{
	char command[128];

	certs_free_pair(&relay);
	certs_free_ca(&ca);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* One that has read its file, and has one channel unless channel is NULL. */
static void start_sealed(struct signer *s, int *channel)
{
	char *text = NULL;
	size_t len;

	assert_int_equal(signer_start(s, config), 0);
	assert_int_equal(signer_read(s, SIGNING_CONFIG, &text, &len), 0);
	free(text);
	if (channel)
		assert_int_equal(signer_channel(s, channel), 0);
	assert_int_equal(signer_seal(s), 0);
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static void test_the_file_comes_without_its_key(void **context)
{
	uint8_t id[SIGNING_KEY_BYTES], unknown[SIGNING_KEY_BYTES] = {1};
	struct signer s;
	char *text = NULL, body[33];
	size_t len = 0;

	/* A line of the key itself. */
	snprintf(body, sizeof(body), "%s", strchr(relay.key, '\n') + 1);
	assert_int_equal(signer_start(&s, config), 0);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), -ENOKEY);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	assert_non_null(strstr(text, "name: front"));
	assert_null(strstr(text, body));
	assert_true(keyblock_refers(text, id));
	assert_memory_equal(id, relay_key, sizeof(id));
	free(text);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0);
	assert_int_equal(signer_has(&s, unknown, SIGNING_IDENTITY), -ENOKEY);
	signer_stop(&s);
	child_lives(s.helper.pid, false);
}

static void test_a_replaced_file_is_read(void **context)
{
	struct signer s;
	char *text, other[128];
	size_t len;

	start_sealed(&s, NULL);
	snprintf(other, sizeof(other), "%s.tmp", config);
	write_file(other, "name: other\n");
	assert_int_equal(rename(other, config), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	assert_string_equal(text, "name: other\n");
	free(text);
	/* The key that it had stays: a running relay goes on with its certificate. */
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0);
	assert_int_equal(unlink(config), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), -ENOENT);
	/* No writer is waited for. */
	assert_int_equal(mkfifo(config, 0600), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), -EINVAL);
	assert_int_equal(unlink(config), 0);
	write_config("front");
	signer_stop(&s);
}

/* At the start, and at SIGHUP; its key is not taken. */
static void test_a_file_that_others_may_read(void **context)
{
	struct signer s;
	char *text, wanted[256];
	size_t len;

	snprintf(wanted, sizeof(wanted),
		 "holds a key and is open to more than its owner (mode 0644); type: chmod 600 %s",
		 config);
	assert_int_equal(chmod(config, 0644), 0);
	assert_int_equal(signer_start(&s, config), 0);
	for (int turn = 0; turn < 2; turn++) {
		text = NULL;
		assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), -EKEYREJECTED);
		assert_string_equal(text, wanted);
		assert_int_equal(len, strlen(wanted));
		free(text);
		assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), -ENOKEY);
		if (turn == 0)
			assert_int_equal(signer_seal(&s), 0);
	}
	assert_int_equal(chmod(config, 0600), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	free(text);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0);
	signer_stop(&s);
}

static void test_a_file_behind_a_link(void **context)
{
	struct signer s;
	char there[96], link[128], *text;
	size_t len;

	snprintf(there, sizeof(there), "%s/there", dir);
	assert_int_equal(mkdir(there, 0700), 0);
	snprintf(link, sizeof(link), "%s/link.yaml", there);
	assert_int_equal(symlink(config, link), 0);
	assert_int_equal(signer_start(&s, link), 0);
	assert_int_equal(signer_seal(&s), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	assert_non_null(strstr(text, "name: front"));
	free(text);
	signer_stop(&s);
}

static void test_a_pipe_is_read_at_the_start(void **context)
{
	struct signer s;
	char pipe_path[96], *text;
	size_t len;

	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", dir);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	if (fork() == 0) {
		write_file(pipe_path, "name: piped\n");
		_exit(0);
	}
	assert_int_equal(signer_start(&s, pipe_path), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	assert_string_equal(text, "name: piped\n");
	free(text);
	assert_int_equal(signer_seal(&s), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), -EINVAL);
	signer_stop(&s);
}

static void test_a_large_file(void **context)
{
	char *big = malloc(SIGNER_FILE_MAX + 2), *text = NULL;
	struct signer s;
	size_t len;

	assert_non_null(big);
	memset(big, '#', SIGNER_FILE_MAX + 1);
	big[SIGNER_FILE_MAX + 1] = '\0';
	write_file(config, big);
	assert_int_equal(signer_start(&s, config), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), -EFBIG);
	big[SIGNER_FILE_MAX] = '\0';
	write_file(config, big);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	assert_int_equal(len, SIGNER_FILE_MAX);
	assert_memory_equal(text, big, SIGNER_FILE_MAX);
	free(text);
	free(big);
	write_config("front");
	signer_stop(&s);
}

static void test_start_tells_what_is_missing(void **context)
{
	struct signer s;

	assert_int_equal(signer_start(&s, "/nonexistent/relay.yaml"), -ENOENT);
}

/* ---- a pair for the front door ---------------------------------------------------------------
 */

static char chain_path[96], key_path[96];

static void write_pair(const struct certs_pair *certificate, const struct certs_pair *key)
{
	char text[8192];

	snprintf(text, sizeof(text), "%s%s", certificate->certificate, ca.pem);
	write_file(chain_path, text);
	write_file(key_path, key->key);
	assert_int_equal(chmod(chain_path, 0644), 0);
	assert_int_equal(chmod(key_path, 0600), 0);
}

static void not_taken(struct signer *s, const struct pair_paths *paths, const char *path,
		      const char *what)
{
	char why[PAIR_WHY_BYTES];

	assert_null(pair_read(s, paths, why));
	if (!strstr(why, path) || !strstr(why, what))
		fail_msg("%s", why);
}

/* As an ACME client keeps them: links in one directory to files in another. */
static struct pair_paths pair_behind_links(void)
{
	static char chain_link[128], key_link[128];
	char live[80];

	snprintf(chain_path, sizeof(chain_path), "%s/archive/chain", dir);
	snprintf(key_path, sizeof(key_path), "%s/archive/key", dir);
	snprintf(live, sizeof(live), "%s/archive", dir);
	assert_int_equal(mkdir(live, 0700), 0);
	snprintf(live, sizeof(live), "%s/live", dir);
	assert_int_equal(mkdir(live, 0700), 0);
	snprintf(chain_link, sizeof(chain_link), "%s/chain.pem", live);
	snprintf(key_link, sizeof(key_link), "%s/key.pem", live);
	assert_int_equal(symlink(chain_path, chain_link), 0);
	assert_int_equal(symlink(key_path, key_link), 0);
	return (struct pair_paths){chain_link, key_link};
}

static void test_a_pair_in_files(void **context)
{
	struct certs_pair first = certs_make_pair(&ca, IDENTITY_RELAY, "www.example.org", -60, 60);
	struct certs_pair second = certs_make_pair(&ca, IDENTITY_RELAY, "www.example.org", -60, 60);
	const struct pair_paths paths = pair_behind_links();
	const char *chain_link = paths.certificate, *key_link = paths.key;
	char why[PAIR_WHY_BYTES], *text;
	uint8_t id[SIGNING_KEY_BYTES];
	struct signer s;
	size_t len;

	assert_int_equal(signer_start(&s, config), 0);
	not_taken(&s, &paths, key_link, "No such file"); /* not named yet */
	assert_false(pair_place(&s, &paths, why));
	assert_non_null(strstr(why, chain_link));
	write_pair(&first, &first);
	assert_true(pair_place(&s, &paths, why));
	assert_false(pair_place(&s, &paths, why)); /* once */
	text = pair_read(&s, &paths, why);
	assert_non_null(text);
	assert_non_null(strstr(text, ca.pem));
	free(text);
	assert_int_equal(signer_seal(&s), 0);
	/* Sealed, it sees both directories, and names nothing new. */
	write_pair(&second, &second);
	text = pair_read(&s, &paths, why);
	if (!text)
		fail_msg("%s", why);
	assert_memory_equal(text, second.certificate, strlen(second.certificate));
	free(text);
	assert_int_equal(signer_place(&s, SIGNING_KEY, neighbour), -EPERM);
	/* What leaves it of the key file is the key's id. */
	assert_int_equal(signer_read(&s, SIGNING_KEY, &text, &len), 0);
	EVP_PKEY *key = certificate_key_of_pem(second.key);
	assert_true(key && keyring_id(key, id));
	assert_int_equal(len, sizeof(id));
	assert_memory_equal(text, id, sizeof(id));
	assert_int_equal(signer_has(&s, id, SIGNING_IDENTITY), 0);
	free(text);
	EVP_PKEY_free(key);
	/* The old key is still known, and is not that of the files. */
	write_pair(&first, &second);
	not_taken(&s, &paths, key_link, "is not the key of the first certificate");
	write_file(key_path, "nothing\n");
	not_taken(&s, &paths, key_link, "has no private key");
	write_pair(&second, &second);
	write_file(chain_path, "nothing\n");
	not_taken(&s, &paths, chain_link, "is no PEM certificate");
	/* A key in the certificate's file does not leave the signer, either. */
	char both[8192], body[33];
	snprintf(body, sizeof(body), "%s", strchr(second.key, '\n') + 1);
	snprintf(both, sizeof(both), "%s%s", second.certificate, second.key);
	write_file(chain_path, both);
	not_taken(&s, &paths, chain_link, "open to more than its owner");
	assert_int_equal(chmod(chain_path, 0600), 0);
	text = pair_read(&s, &paths, why);
	assert_non_null(text);
	assert_null(strstr(text, body));
	free(text);
	assert_int_equal(chmod(key_path, 0604), 0);
	not_taken(&s, &paths, key_link, "open to more than its owner");
	assert_int_equal(chmod(key_path, 0600), 0);
	assert_int_equal(unlink(chain_path), 0);
	not_taken(&s, &paths, chain_link, "No such file");
	assert_int_equal(mkfifo(chain_path, 0600), 0);
	not_taken(&s, &paths, chain_link, "no regular file");
	signer_stop(&s);
	certs_free_pair(&first);
	certs_free_pair(&second);
}

/* ---- channels ---------------------------------------------------------------------------------
 */

/* The answer's status; signature is what came. */
static int ask(int channel, const struct signing_request *request, struct signing_reply *reply)
{
	static uint8_t packet[SIGNING_PACKET_MAX];
	size_t len;

	assert_true(signing_request_encode(request, packet, sizeof(packet), &len));
	assert_int_equal(send(channel, packet, len, 0), len);
	assert_int_equal(poll(&(struct pollfd){.fd = channel, .events = POLLIN}, 1, 5000), 1);
	ssize_t n = recv(channel, packet, sizeof(packet), 0);
	assert_true(n > 0 && signing_reply_decode(packet, (size_t)n, reply));
	assert_int_equal(reply->number, request->number);
	return reply->status;
}

static struct signing_request handshake(uint8_t text[SIGNING_INPUT_MAX])
{
	static const char verify[] = "TLS 1.3, server CertificateVerify";
	struct signing_request r = {
		.duty = SIGNING_SIGN, .number = 42, .algorithm = SSL_SIGN_ECDSA_SECP256R1_SHA256};

	memset(text, ' ', SIGNING_INPUT_MAX);
	memcpy(text + 64, verify, sizeof(verify));
	memcpy(r.key, relay_key, sizeof(r.key));
	CBS_init(&r.input, text, 64 + sizeof(verify) + 32);
	return r;
}

static void test_a_worker_has_handshakes_signed(void **context)
{
	uint8_t text[SIGNING_INPUT_MAX];
	struct signing_request r = handshake(text);
	struct signing_reply reply;
	struct signer s;
	int channel;

	start_sealed(&s, &channel);
	assert_int_equal(signer_seal(&s), -EPERM); /* once */
	assert_int_equal(ask(channel, &r, &reply), 0);
	X509 *x = certificate_of_pem(relay.certificate);
	EVP_PKEY *key = X509_get_pubkey(x);
	EVP_MD_CTX *check = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(check, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(check, CBS_data(&reply.data), CBS_len(&reply.data),
					  CBS_data(&r.input), CBS_len(&r.input)),
			 1);
	EVP_MD_CTX_free(check);
	EVP_PKEY_free(key);
	X509_free(x);
	/* Not with another key, not another text, and nothing but signatures. */
	r.key[0] ^= 1;
	assert_int_equal(ask(channel, &r, &reply), -ENOKEY);
	r.key[0] ^= 1;
	text[0] = 'x';
	assert_int_equal(ask(channel, &r, &reply), -EPERM);
	r = (struct signing_request){.duty = SIGNING_READ, .number = 43};
	assert_int_equal(ask(channel, &r, &reply), -EPERM);
	r.duty = SIGNING_HAS;
	assert_int_equal(ask(channel, &r, &reply), -EPERM);
	close(channel);
	signer_stop(&s);
}

static void test_a_worker_that_does_not_read(void **context)
{
	uint8_t text[SIGNING_INPUT_MAX], packet[SIGNING_PACKET_MAX];
	struct signing_request r = handshake(text);
	struct signing_reply reply;
	struct signer s;
	int deaf, other;
	size_t len;

	assert_int_equal(signer_start(&s, config), 0);
	char *file = NULL;
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &file, &len), 0);
	free(file);
	assert_int_equal(signer_channel(&s, &deaf), 0);
	assert_int_equal(signer_channel(&s, &other), 0);
	assert_int_equal(signer_seal(&s), 0);
	assert_true(signing_request_encode(&r, packet, sizeof(packet), &len));
	/* More than fits into the way back; it may take its time over them. */
	for (unsigned i = 0; i < 2000; i++) {
		if (poll(&(struct pollfd){.fd = deaf, .events = POLLOUT}, 1, 2000) != 1)
			break;
		(void)!send(deaf, packet, len, MSG_DONTWAIT);
	}
	/* The others do not wait for it, and neither does the control thread. */
	assert_int_equal(ask(other, &r, &reply), 0);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0);
	/* Nor is one that goes missed by the others. */
	close(deaf);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask(other, &r, &reply), 0);
	close(other);
	signer_stop(&s);
}

/* ---- keys that it makes ------------------------------------------------------------------------
 */

static char state[96];

static void make_state_dir(void)
{
	char command[256];

	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(command, sizeof(command), "rm -rf %s && mkdir -m 700 %s", state, state);
	assert_int_equal(system(command), 0);
}

/* One that has read its file, and the keys that were made; sealed. */
static void start_with_state(struct signer *s)
{
	char *text = NULL;
	size_t len;

	assert_int_equal(signer_start(s, config), 0);
	assert_int_equal(signer_read(s, SIGNING_CONFIG, &text, &len), 0);
	free(text);
	assert_int_equal(signer_state(s, state, &text), 0);
	free(text);
	assert_int_equal(signer_seal(s), 0);
}

/* The id of a new key; in_force: of which the place is not taken. */
static void make_key(struct signer *s, enum signing_use use, const uint8_t *in_force, uint8_t *id)
{
	static struct csr_hosts hosts;
	char *der = NULL, *pem;
	EVP_PKEY *key;
	size_t len;

	hosts.count = 0;
	assert_true(csr_add_host(&hosts, "relay.example.org", 17));
	assert_int_equal(signer_make(s, use, in_force, &hosts, &der, &len), 0);
	pem = csr_pem((const uint8_t *)der, len);
	key = pem ? csr_key(pem) : NULL; /* which has signed it */
	assert_true(key && keyring_id(key, id));
	EVP_PKEY_free(key);
	free(pem);
	free(der);
}

static unsigned files_in_state(void)
{
	DIR *d = opendir(state);
	unsigned count = 0;
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		count += e->d_name[0] != '.';
	closedir(d);
	return count;
}

/* It is on the disk when its request comes, is there at the next start, and no part of it leaves.
 */
static void test_a_key_is_made(void **context)
{
	uint8_t id[SIGNING_KEY_BYTES], again[SIGNING_KEY_BYTES], nobody[SIGNING_KEY_BYTES] = {0};
	char path[160], text[1024] = "", body[49];
	struct signer s;
	struct stat st;

	make_state_dir();
	start_with_state(&s);
	make_key(&s, SIGNING_IDENTITY, relay_key, id);
	assert_int_equal(signer_has(&s, id, SIGNING_IDENTITY), 0);
	assert_int_equal(signer_has(&s, id, SIGNING_FRONT), -ENOKEY);
	assert_int_equal(signer_made(&s, id, SIGNING_IDENTITY), 1);
	assert_int_equal(signer_made(&s, id, SIGNING_FRONT), -ENOKEY);
	assert_int_equal(signer_made(&s, relay_key, SIGNING_IDENTITY), 0);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_FRONT), 0); /* of the file */
	snprintf(path, sizeof(path), "%s/key-identity-1.pem", state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_memory_equal(text, "-----BEGIN PRIVATE KEY-----", 27);
	snprintf(body, sizeof(body), "%s", strchr(text, '\n') + 1);
	assert_true(strlen(body) == 48); /* a line of the key itself */
	make_key(&s, SIGNING_FRONT, nobody, again);
	assert_memory_not_equal(again, id, sizeof(id));
	signer_stop(&s);
	start_with_state(&s);
	assert_int_equal(signer_has(&s, id, SIGNING_IDENTITY), 0);
	assert_int_equal(signer_has(&s, again, SIGNING_FRONT), 0);
	assert_int_equal(signer_has(&s, again, SIGNING_IDENTITY), -ENOKEY);
	signer_stop(&s);
}

/* So many wait, and the oldest of them goes; the one in force stays. */
static void test_keys_that_wait_are_few(void **context)
{
	uint8_t ids[2 * MADE_SLOTS][SIGNING_KEY_BYTES], front[SIGNING_KEY_BYTES],
		nobody[SIGNING_KEY_BYTES] = {0};
	struct signer s;

	make_state_dir();
	start_with_state(&s);
	make_key(&s, SIGNING_FRONT, nobody, front);
	for (unsigned i = 0; i < 2 * MADE_SLOTS; i++)
		make_key(&s, SIGNING_IDENTITY, ids[0], ids[i]);
	assert_int_equal(files_in_state(), MADE_SLOTS + 1);
	for (unsigned i = 0; i < 2 * MADE_SLOTS; i++)
		assert_int_equal(signer_has(&s, ids[i], SIGNING_IDENTITY),
				 i == 0 || i > MADE_SLOTS ? 0 : -ENOKEY);
	/* One of them has its certificate. */
	assert_int_equal(signer_keep(&s, SIGNING_IDENTITY, ids[MADE_SLOTS + 1]), 0);
	assert_int_equal(files_in_state(), 2);
	assert_int_equal(signer_has(&s, ids[0], SIGNING_IDENTITY), -ENOKEY);
	assert_int_equal(signer_has(&s, ids[MADE_SLOTS + 1], SIGNING_IDENTITY), 0);
	assert_int_equal(signer_has(&s, front, SIGNING_FRONT), 0);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0); /* not made here */
	/* Or what was in force is a file's again: none is left, and that is no error twice. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(signer_keep(&s, SIGNING_IDENTITY, relay_key), 0);
	assert_int_equal(files_in_state(), 1);
	signer_stop(&s);
}

/* A handshake that began with the certificate before still ends. */
static void test_a_key_that_went_still_signs(void **context)
{
	uint8_t id[SIGNING_KEY_BYTES], text[SIGNING_INPUT_MAX];
	struct signing_request r = handshake(text);
	struct signing_reply reply;
	char *file = NULL;
	struct signer s;
	int channel;
	size_t len;

	make_state_dir();
	assert_int_equal(signer_start(&s, config), 0);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &file, &len), 0);
	free(file);
	assert_int_equal(signer_state(&s, state, &file), 0);
	free(file);
	assert_int_equal(signer_channel(&s, &channel), 0);
	assert_int_equal(signer_seal(&s), 0);
	make_key(&s, SIGNING_IDENTITY, relay_key, id);
	memcpy(r.key, id, sizeof(id));
	assert_int_equal(ask(channel, &r, &reply), 0);
	assert_int_equal(signer_keep(&s, SIGNING_IDENTITY, relay_key), 0);
	assert_int_equal(signer_has(&s, id, SIGNING_IDENTITY), -ENOKEY);
	assert_int_equal(ask(channel, &r, &reply), 0);
	/* A worker makes none, and takes none away. */
	r = (struct signing_request){.duty = SIGNING_MAKE, .number = 43};
	assert_int_equal(ask(channel, &r, &reply), -EPERM);
	r = (struct signing_request){.duty = SIGNING_KEEP, .number = 44};
	assert_int_equal(ask(channel, &r, &reply), -EPERM);
	close(channel);
	signer_stop(&s);
}

static void test_where_keys_cannot_be_kept(void **context)
{
	static struct csr_hosts hosts;
	uint8_t id[SIGNING_KEY_BYTES], open_to_all[SIGNING_KEY_BYTES];
	char path[160], command[256], *text = NULL;
	struct signer s;
	size_t len;

	/* No directory was named; sealed, it takes none. */
	make_state_dir();
	start_sealed(&s, NULL);
	assert_int_equal(signer_make(&s, SIGNING_IDENTITY, relay_key, &hosts, &text, &len),
			 -ENOTDIR);
	assert_int_equal(signer_keep(&s, SIGNING_IDENTITY, relay_key), 0);
	assert_int_equal(signer_state(&s, state, &text), -EPERM);
	signer_stop(&s);
	assert_int_equal(signer_start(&s, config), 0);
	assert_int_equal(signer_state(&s, "/nonexistent", &text), -ENOENT);
	signer_stop(&s);
	/* It went away: nothing is promised. */
	start_with_state(&s);
	make_key(&s, SIGNING_IDENTITY, relay_key, id);
	snprintf(command, sizeof(command), "rm -rf %s", state);
	assert_int_equal(system(command), 0);
	assert_true(signer_make(&s, SIGNING_FRONT, relay_key, &hosts, &text, &len) < 0);
	signer_stop(&s);
	/* What others may read is no key of ours; the others are. */
	make_state_dir();
	start_with_state(&s);
	make_key(&s, SIGNING_IDENTITY, relay_key, open_to_all);
	make_key(&s, SIGNING_FRONT, relay_key, id);
	signer_stop(&s);
	snprintf(path, sizeof(path), "%s/key-identity-1.pem", state);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(signer_start(&s, config), 0);
	assert_int_equal(signer_state(&s, state, &text), -EKEYREJECTED);
	assert_non_null(strstr(text, "open to more than its owner"));
	assert_non_null(strstr(text, path));
	free(text);
	assert_int_equal(signer_has(&s, id, SIGNING_FRONT), 0);
	assert_int_equal(signer_has(&s, open_to_all, SIGNING_IDENTITY), -ENOKEY);
	signer_stop(&s);
	/* Nor is a link, or what is no key. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(config, path), 0);
	assert_int_equal(signer_start(&s, config), 0);
	assert_true(signer_state(&s, state, &text) < 0);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), -ENOKEY);
	signer_stop(&s);
	assert_int_equal(unlink(path), 0);
	write_file(path, "nothing\n");
	assert_int_equal(signer_start(&s, config), 0);
	assert_int_equal(signer_state(&s, state, &text), -ENOKEY);
	signer_stop(&s);
}

/* ---- what a relay that was taken over might send ------------------------------------------------
 */

static void test_sealed_it_takes_no_channel(void **context)
{
	struct signer s;
	int channel;

	start_sealed(&s, NULL);
	assert_int_equal(signer_channel(&s, &channel), -EBADF); /* descriptors are dropped */
	assert_int_equal(signer_seal(&s), -EPERM);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0);
	signer_stop(&s);
}

static void test_forged_packets(void **context)
{
	uint8_t text[SIGNING_INPUT_MAX], junk[4096];
	struct signing_request r = handshake(text);
	struct signing_reply reply;
	struct signer s;
	int channel;

	start_sealed(&s, &channel);
	for (size_t n = 0; n < 600; n++) {
		memset(junk, (int)n, sizeof(junk));
		assert_int_equal(send(channel, junk, n % sizeof(junk) + (n == 0), 0),
				 n % sizeof(junk) + (n == 0));
		assert_int_equal(send(s.helper.fd, junk, n + (n == 0), 0), n + (n == 0));
	}
	assert_int_equal(ask(channel, &r, &reply), 0);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), 0);
	close(channel);
	signer_stop(&s);
}

/* ---- the signer itself ------------------------------------------------------------------------
 */

static void test_proc_says_so(void **context)
{
	struct signer s;

	start_sealed(&s, NULL);
	child_is_sealed(s.helper.pid, 0);
	signer_stop(&s);
}

static void test_it_ends_with_the_relay(void **context)
{
	struct signer s;

	start_sealed(&s, NULL);
	/* Not by what a terminal or a service manager sends to the whole group. */
	kill(s.helper.pid, SIGINT);
	kill(s.helper.pid, SIGTERM);
	kill(s.helper.pid, SIGHUP);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	child_lives(s.helper.pid, true);
	assert_true(signer_lives(&s));
	close(s.helper.fd);
	child_lives(s.helper.pid, false);
}

static void test_a_relay_sees_its_end(void **context)
{
	struct signer s;

	start_sealed(&s, NULL);
	kill(s.helper.pid, SIGKILL);
	child_lives(s.helper.pid, false);
	assert_false(signer_lives(&s));
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), -EPIPE);
	signer_stop(&s);
	assert_false(signer_lives(&s));
}

static void test_a_stuck_signer_is_not_waited_for(void **context)
{
	struct signer s;
	char *text;
	size_t len;

	start_sealed(&s, NULL);
	s.helper.wait_ms = 100;
	kill(s.helper.pid, SIGSTOP);
	assert_int_equal(signer_has(&s, relay_key, SIGNING_IDENTITY), -ETIMEDOUT);
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), -ETIMEDOUT);
	assert_true(signer_lives(&s));
	kill(s.helper.pid, SIGCONT);
	/* Late answers are dropped: the next one is the right one. */
	s.helper.wait_ms = HELPER_WAIT_MS;
	assert_int_equal(signer_read(&s, SIGNING_CONFIG, &text, &len), 0);
	assert_non_null(strstr(text, "name: front"));
	free(text);
	signer_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_file_comes_without_its_key),
		cmocka_unit_test(test_a_replaced_file_is_read),
		cmocka_unit_test(test_a_file_that_others_may_read),
		cmocka_unit_test(test_a_file_behind_a_link),
		cmocka_unit_test(test_a_pipe_is_read_at_the_start),
		cmocka_unit_test(test_a_large_file),
		cmocka_unit_test(test_start_tells_what_is_missing),
		cmocka_unit_test(test_a_pair_in_files),
		cmocka_unit_test(test_a_worker_has_handshakes_signed),
		cmocka_unit_test(test_a_worker_that_does_not_read),
		cmocka_unit_test(test_a_key_is_made),
		cmocka_unit_test(test_keys_that_wait_are_few),
		cmocka_unit_test(test_a_key_that_went_still_signs),
		cmocka_unit_test(test_where_keys_cannot_be_kept),
		cmocka_unit_test(test_sealed_it_takes_no_channel),
		cmocka_unit_test(test_forged_packets),
		cmocka_unit_test(test_proc_says_so),
		cmocka_unit_test(test_it_ends_with_the_relay),
		cmocka_unit_test(test_a_relay_sees_its_end),
		cmocka_unit_test(test_a_stuck_signer_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
