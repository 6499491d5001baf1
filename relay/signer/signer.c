/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer: the relay's side: starts the signer, asks it, and never waits long for it.
 *
 * The questions of the control thread work in a sealed relay: they take sendmsg, recvmsg and poll.
 */
#include "relay/signer/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/passing.h"
#include "relay/signer/internal.h"

/* ---- packets -------------------------------------------------------------------------------- */

static int signer_send(const struct signer *s, const struct signing_request *request, int along,
		       uint64_t deadline)
{
	uint8_t packet[SIGNING_REQUEST_MAX];
	struct iovec part = {.iov_base = packet};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	union passing room;

	if (!signing_request_encode(request, packet, sizeof(packet), &part.iov_len))
		return -EMSGSIZE;
	if (along >= 0)
		passing_put(&m, &room, along);
	return helper_send(&s->helper, &m, deadline);
}

/* The next packet of the reply to number; earlier ones are dropped. out points into packet. */
static int signer_receive(const struct signer *s, uint64_t number,
			  uint8_t packet[SIGNING_PACKET_MAX], struct signing_reply *out,
			  uint64_t deadline)
{
	struct iovec part = {packet, SIGNING_PACKET_MAX};

	for (;;) {
		struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
		ssize_t n = helper_receive(&s->helper, &m, deadline);

		if (n < 0)
			return (int)n;
		if (signing_reply_decode(packet, (size_t)n, out) && out->number == number)
			return 0;
	}
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* A reply that has a text, if it has that status. */
static bool brings_text(int status)
{
	return status == 0 || status == -EKEYREJECTED;
}

/* Adds what came to *text, which has a zero byte at its end. 1 when more must follow, or the
 * reply's status, or -errno. */
static int gather_reply(const struct signing_reply *reply, char **text, size_t *len)
{
	if (!brings_text(reply->status))
		return reply->status;
	if (reply->length > SIGNER_FILE_MAX || CBS_len(&reply->data) > reply->length - *len)
		return -EPROTO;
	if (!*text)
		*text = memory_get((size_t)reply->length + 1);
	if (!*text)
		return -ENOMEM;
	memcpy(*text + *len, CBS_data(&reply->data), CBS_len(&reply->data));
	*len += CBS_len(&reply->data);
	(*text)[*len] = '\0';
	return *len < reply->length ? 1 : reply->status;
}

/* Sends the request, with a descriptor unless along is -1, and waits for the reply. text NULL: only
 * its status counts. */
static int signer_call(struct signer *s, struct signing_request *request, int along, char **text,
		       size_t *len)
{
	uint64_t deadline = helper_deadline(&s->helper);
	uint8_t packet[SIGNING_PACKET_MAX];
	struct signing_reply reply = {.status = -EPROTO};
	char *whole = NULL;
	size_t have = 0;
	int status;

	if (s->helper.fd < 0)
		return -EPIPE;
	request->number = ++s->helper.number;
	status = signer_send(s, request, along, deadline);
	if (status)
		return status;
	do {
		status = signer_receive(s, request->number, packet, &reply, deadline);
		if (status == 0)
			status = gather_reply(&reply, &whole, &have);
	} while (status > 0);
	if (brings_text(status) && whole && text) {
		*text = whole;
		*len = have;
		return status;
	}
	memory_free(whole);
	return status;
}

int signer_channel(struct signer *s, int *fd)
{
	struct signing_request request = {.duty = SIGNING_CHANNEL};
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	error = signer_call(s, &request, pair[1], NULL, NULL);
	close(pair[1]);
	if (error)
		close(pair[0]);
	else
		*fd = pair[0];
	return error;
}

int signer_seal(struct signer *s)
{
	struct signing_request request = {.duty = SIGNING_SEAL};

	return signer_call(s, &request, -1, NULL, NULL);
}

int signer_place(struct signer *s, enum signing_file file, const char *path)
{
	struct signing_request request = {.duty = SIGNING_PLACE, .file = file};

	CBS_init(&request.input, (const uint8_t *)path, strlen(path));
	return signer_call(s, &request, -1, NULL, NULL);
}

int signer_read(struct signer *s, enum signing_file file, char **text, size_t *len)
{
	struct signing_request request = {.duty = SIGNING_READ, .file = file};

	return signer_call(s, &request, -1, text, len);
}

bool signer_lives(struct signer *s)
{
	uint8_t packet[SIGNING_PACKET_MAX];
	struct signing_reply reply = {.status = -EPROTO};
	int error;

	/* No reply has this number: all that are there are dropped. */
	error = s->helper.fd < 0 ? -EPIPE : signer_receive(s, UINT64_MAX, packet, &reply, 0);
	return error == -ETIMEDOUT;
}

int signer_made(struct signer *s, const uint8_t key[SIGNING_KEY_BYTES], enum signing_use use)
{
	struct signing_request request = {.duty = SIGNING_HAS, .use = use};
	char *text = NULL;
	size_t len = 0;
	int status;

	memcpy(request.key, key, sizeof(request.key));
	status = signer_call(s, &request, -1, &text, &len);
	if (status == 0)
		status = len == 1 ? text[0] != 0 : -EPROTO;
	memory_free(text);
	return status;
}

int signer_has(struct signer *s, const uint8_t key[SIGNING_KEY_BYTES], enum signing_use use)
{
	int made = signer_made(s, key, use);

	return made > 0 ? 0 : made;
}

int signer_state(struct signer *s, const char *path, char **text)
{
	struct signing_request request = {.duty = SIGNING_STATE};
	size_t len;

	*text = NULL;
	CBS_init(&request.input, (const uint8_t *)path, strlen(path));
	return signer_call(s, &request, -1, text, &len);
}

int signer_make(struct signer *s, enum signing_use use, const uint8_t in_force[SIGNING_KEY_BYTES],
		const struct csr_hosts *hosts, char **der, size_t *len)
{
	struct signing_request request = {.duty = SIGNING_MAKE, .use = use};
	uint8_t packed[SIGNING_HOSTS_BYTES];
	size_t used = 0, size;

	memcpy(request.key, in_force, sizeof(request.key));
	for (size_t i = 0; i < hosts->count; i++, used += size) {
		size = strlen(hosts->list[i]) + 1;
		if (size > sizeof(packed) - used)
			return -EMSGSIZE;
		packed[used] = (uint8_t)(size - 1);
		memcpy(packed + used + 1, hosts->list[i], size - 1);
	}
	CBS_init(&request.input, packed, used);
	*der = NULL;
	return signer_call(s, &request, -1, der, len);
}

int signer_keep(struct signer *s, enum signing_use use, const uint8_t key[SIGNING_KEY_BYTES])
{
	struct signing_request request = {.duty = SIGNING_KEEP, .use = use};

	memcpy(request.key, key, sizeof(request.key));
	return signer_call(s, &request, -1, NULL, NULL);
}

/* ---- start and stop -------------------------------------------------------------------------- */

void signer_place_close(struct signer_place *p)
{
	if (p->dir >= 0)
		close(p->dir);
	if (p->real_dir >= 0)
		close(p->real_dir);
	p->dir = p->real_dir = -1;
}

static int open_dir(const char *path, int *out)
{
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? -errno : 0;
}

int signer_place_open(const char *path, struct signer_place *p)
{
	char copy[PATH_MAX], real[PATH_MAX];
	size_t size = strlen(path) + 1;
	const char *name;
	int error;

	*p = (struct signer_place){.dir = -1, .real_dir = -1};
	if (size > sizeof(copy))
		return -ENAMETOOLONG;
	if (!realpath(path, real))
		return -errno;
	memcpy(copy, path, size);
	name = basename(copy);
	if (strlen(name) >= sizeof(p->name))
		return -ENAMETOOLONG;
	memcpy(p->name, name, strlen(name) + 1);
	snprintf(p->path, sizeof(p->path), "%s", path);
	memcpy(copy, path, size);
	error = open_dir(dirname(copy), &p->dir);
	if (!error)
		error = open_dir(dirname(real), &p->real_dir);
	if (error)
		signer_place_close(p);
	return error;
}

int signer_start(struct signer *s, const char *config_path)
{
	struct signer_places places;
	struct signer_place *config = &places.files[SIGNING_CONFIG];
	int fd, side;

	*s = (struct signer){.helper.fd = -1};
	for (size_t i = 0; i < SIGNING_FILES; i++)
		places.files[i] = (struct signer_place){.dir = -1, .real_dir = -1};
	side = signer_place_open(config_path, config);
	if (side)
		return side;
	const int keep[] = {config->dir, config->real_dir};
	side = helper_fork(&s->helper, "postern-signer", keep, sizeof(keep) / sizeof(keep[0]), &fd);
	if (side == 1) {
		/* Before there is a key: another process of this user may not look into its
		 * memory. */
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		signer_serve(fd, &places);
	}
	signer_place_close(config);
	return side;
}

void signer_stop(struct signer *s)
{
	helper_stop(&s->helper);
}
