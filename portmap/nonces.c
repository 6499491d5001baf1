/* SPDX-License-Identifier: Apache-2.0 */
/* nonces: the machine, the key, and what is derived from them. */
#include "portmap/nonces.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "core/file.h"
#include "core/key_file.h"
#include "core/log.h"

#define KEY_FILE      "natd.key"
#define PATH_BYTES    4096
#define MACHINE_FILE  "/etc/machine-id"
#define NETWORK_FILE  "/proc/net/dev"
#define NETWORK_BYTES 8192u /* of it, some 60 interfaces */
#define CARD_BYTES    (6 * 3)

/* ---- the machine ---- */

/* What is read of a small file, ended by a zero byte; 0 when there is none. */
static size_t read_text(const char *root, const char *path, char *out, size_t room)
{
	char whole[PATH_BYTES];
	size_t len = 0;
	ssize_t n = 1;
	int fd;

	snprintf(whole, sizeof whole, "%s%s", root, path);
	fd = open(whole, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n > 0 && len < room - 1) {
		n = read(fd, out + len, room - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	out[len] = '\0';
	return len;
}

/* A network card's own address: not of a virtual interface, and not one that was drawn or set. */
static bool card_address(const char *root, const char *name, char out[CARD_BYTES])
{
	char path[128], text[32];

	snprintf(path, sizeof path, "/sys/class/net/%s/addr_assign_type", name);
	if (!read_text(root, path, text, sizeof text) || strcmp(text, "0\n") != 0)
		return false;
	snprintf(path, sizeof path, "/sys/class/net/%s/device/uevent", name);
	if (!read_text(root, path, text, sizeof text))
		return false;
	snprintf(path, sizeof path, "/sys/class/net/%s/address", name);
	if (read_text(root, path, text, sizeof text) != CARD_BYTES)
		return false;
	memcpy(out, text, CARD_BYTES);
	out[CARD_BYTES - 1] = '\0';
	return strcmp(out, "00:00:00:00:00:00") != 0;
}

/* Of several cards the one with the lowest address; "" without any. */
static void first_card(const char *root, char out[CARD_BYTES])
{
	char list[NETWORK_BYTES], address[CARD_BYTES], *rest = list, *line;

	out[0] = '\0';
	(void)read_text(root, NETWORK_FILE, list, sizeof list);
	while ((line = strsep(&rest, "\n"))) {
		char *end = strchr(line, ':');

		line += strspn(line, " ");
		if (!end || end <= line || end - line >= IF_NAMESIZE ||
		    memchr(line, '/', (size_t)(end - line)))
			continue;
		*end = '\0';
		if (card_address(root, line, address) &&
		    (out[0] == '\0' || strcmp(address, out) < 0))
			memcpy(out, address, CARD_BYTES);
	}
}

bool nonces_machine(const char *root, char out[NONCES_MACHINE_BYTES])
{
	char id[64], card[CARD_BYTES];

	(void)read_text(root, MACHINE_FILE, id, sizeof id);
	id[strcspn(id, "\n")] = '\0';
	first_card(root, card);
	snprintf(out, NONCES_MACHINE_BYTES, "%s %s", id, card);
	return id[0] || card[0];
}

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

/* Without a file: what the machine and the user are known by. */
static void derive_key(struct nonces *n, bool known)
{
	char text[64];

	if (!known) {
		log_notice("portmap", "there is neither state_dir nor " MACHINE_FILE
				      ": after a restart PCP mappings made now cannot be renewed, "
				      "and end by themselves");
		RAND_bytes(n->key, sizeof n->key);
		return;
	}
	snprintf(text, sizeof text, "%lu postern-natd", (unsigned long)geteuid());
	SHA256((const uint8_t *)text, strlen(text), n->key);
}

void nonces_bind(struct nonces *n, const char *machine)
{
	uint8_t bound[NONCES_KEY_BYTES];
	unsigned size = sizeof bound;

	HMAC(EVP_sha256(), n->key, sizeof n->key, (const uint8_t *)machine, strlen(machine), bound,
	     &size);
	memcpy(n->key, bound, sizeof n->key);
	HMAC(EVP_sha256(), n->key, sizeof n->key, (const uint8_t *)"tag", 3, bound, &size);
	snprintf(n->tag, sizeof n->tag, "%02x%02x%02x", bound[0], bound[1], bound[2]);
}

bool nonces_open(struct nonces *n, const char *state_dir, char *why, size_t why_size)
{
	char machine[NONCES_MACHINE_BYTES];
	bool known = nonces_machine("", machine);

	if (!state_dir)
		derive_key(n, known);
	else if (!keep_key(n, state_dir, why, why_size))
		return false;
	nonces_bind(n, machine);
	if (!state_dir && !known) /* another one at each start */
		n->tag[0] = '\0';
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
	memcpy(want->tag, n->tag, sizeof want->tag);
}
