/* SPDX-License-Identifier: Apache-2.0 */
/* nonces: the key, and what is derived from it. */
#include "portmap/nonces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "core/file.h"
#include "core/key_file.h"
#include "core/log.h"

#define KEY_FILE     "natd.key"
#define PATH_BYTES   4096
#define MACHINE_FILE "/etc/machine-id"

/* ---- the key ---- */

/* 0; -ENOENT when there is none; -EINVAL when it is not a key; -EKEYREJECTED when others may read
 * it, with *why; or -errno. */
static int read_key(const char *path, uint8_t key[NONCES_KEY_BYTES], char *why, size_t why_size)
{
	uint8_t bytes[NONCES_KEY_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int error;

	if (fd < 0)
		return -errno;
	if (!key_file_kept(fd, path, why, why_size)) {
		close(fd);
		return -EKEYREJECTED;
	}
	n = read(fd, bytes, sizeof bytes);
	error = n < 0 ? -errno : 0;
	close(fd);
	if (error)
		return error;
	if (n != NONCES_KEY_BYTES)
		return -EINVAL;
	memcpy(key, bytes, NONCES_KEY_BYTES);
	return 0;
}

static int write_key(const char *dir, const uint8_t key[NONCES_KEY_BYTES])
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	error = file_replace(fd, KEY_FILE, key, NONCES_KEY_BYTES);
	close(fd);
	return error;
}

static bool keep_key(struct nonces *n, const char *dir, char *why, size_t why_size)
{
	char path[PATH_BYTES], open_to[KEY_FILE_WHY_BYTES];
	int error;

	snprintf(path, sizeof path, "%s/" KEY_FILE, dir);
	error = read_key(path, n->key, open_to, sizeof open_to);
	if (error == -ENOENT) {
		RAND_bytes(n->key, sizeof n->key);
		error = write_key(dir, n->key);
	}
	if (error == -EKEYREJECTED)
		snprintf(why, why_size, "state_dir: %s: %s", path, open_to);
	else if (error)
		snprintf(why, why_size, "state_dir: %s: %s; %s", path, strerror(-error),
			 error == -EINVAL ? "remove the file, it is not a key"
					  : "make it a directory that only natd's user may enter");
	return error == 0;
}

static void derive_key(struct nonces *n)
{
	char text[128];
	int fd = open(MACHINE_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, text, 64) : -1;

	if (fd >= 0)
		close(fd);
	if (len <= 0) {
		log_notice("portmap", "there is neither state_dir nor " MACHINE_FILE
				      ": after a restart PCP mappings made now cannot be renewed, "
				      "and end by themselves");
		RAND_bytes(n->key, sizeof n->key);
		return;
	}
	len += snprintf(text + len, sizeof text - (size_t)len, " %lu postern-natd",
			(unsigned long)geteuid());
	SHA256((const uint8_t *)text, (size_t)len, n->key);
}

bool nonces_open(struct nonces *n, const char *state_dir, char *why, size_t why_size)
{
	if (state_dir)
		return keep_key(n, state_dir, why, why_size);
	derive_key(n);
	return true;
}

/* ---- nonces ---- */

void nonces_fill(const struct nonces *n, struct portmap_want *want)
{
	char host[ADDR_TEXT_BYTES] = "", name[128];
	uint8_t digest[SHA256_DIGEST_LENGTH];
	unsigned size = sizeof digest;

	if (want->host.len > 0)
		addr_format(&want->host, host);
	snprintf(name, sizeof name, "%s %s %u %s", portmap_transport_name(want->transport),
		 want->family == PORTMAP_IPV6 ? "ipv6" : "ipv4", want->internal, host);
	HMAC(EVP_sha256(), n->key, sizeof n->key, (const uint8_t *)name, strlen(name), digest,
	     &size);
	memcpy(want->nonce, digest, sizeof want->nonce);
}
