/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer_serve: the signer's side: one packet after the other, until the relay is gone.
 *
 * Sealed, it can read the files it was told of, keep the keys that it makes (made.h), and answer
 * packets: it makes no socket, takes no descriptor, and writes nothing else. A reply that a worker
 * has no room for is dropped, since a worker that reads has room for all that it may have asked
 * (relay/front/signing.c), and none may hold up the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/mem.h>

#include "core/isolation.h"
#include "core/key_file.h"
#include "core/parse/keyblock.h"
#include "core/passing.h"
#include "gen/signer_calls.h"
#include "relay/signer/internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define STATE_RIGHTS                                                                               \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

static int signer_confine(const struct signer_server *s)
{
	struct isolation_place dirs[2 * SIGNING_FILES + 1];
	const struct isolation_plan plan = {
		.calls = &signer_calls,
		.places = dirs,
		.place_count = COUNT(dirs),
	};

	for (size_t i = 0; i < SIGNING_FILES; i++) {
		const struct signer_place *p = &s->places->files[i];

		dirs[2 * i] = (struct isolation_place){.fd = p->dir,
						       .rights = LANDLOCK_ACCESS_FS_READ_FILE};
		dirs[2 * i + 1] = (struct isolation_place){.fd = p->real_dir,
							   .rights = LANDLOCK_ACCESS_FS_READ_FILE};
	}
	dirs[2 * SIGNING_FILES] =
		(struct isolation_place){.fd = s->made.dir, .rights = STATE_RIGHTS};
	return isolation_confine(&plan);
}

/* ---- replies --------------------------------------------------------------------------------- */

/* One packet. False: the other end is gone or does not read.
 *
 * #syscalls sendmsg(2 without MSG_FASTOPEN)
 */
static bool signer_send_packet(int fd, int flags, const struct signing_reply *reply,
			       const uint8_t *bytes, size_t size)
{
	uint8_t head[SIGNING_REPLY_HEAD];
	struct iovec parts[] = {{head, sizeof(head)}, {(void *)bytes, size}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n;

	signing_reply_head(reply, head);
	while ((n = sendmsg(fd, &m, flags | MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return n >= 0;
}

static void signer_answer(int fd, int flags, uint64_t number, int status, const void *bytes,
			  size_t len)
{
	const struct signing_reply reply = {
		.number = number, .status = status, .length = (uint32_t)len};
	size_t sent = 0, size;

	do {
		size = len - sent;
		if (size > SIGNING_PACKET_MAX - SIGNING_REPLY_HEAD)
			size = SIGNING_PACKET_MAX - SIGNING_REPLY_HEAD;
		if (!signer_send_packet(fd, flags, &reply, (const uint8_t *)bytes + sent, size))
			return; /* the relay has given it up */
		sent += size;
	} while (sent < len);
}

/* ---- duties: each returns 0 or -errno ---------------------------------------------------------
 */

/* #syscalls read */
static int signer_read_all(int fd, char *text, size_t *len)
{
	size_t used = 0;
	ssize_t n;

	while (used <= SIGNER_FILE_MAX &&
	       (n = read(fd, text + used, SIGNER_FILE_MAX + 1 - used)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
	}
	if (used > SIGNER_FILE_MAX)
		return -EFBIG;
	*len = used;
	return 0;
}

/* #syscalls fstat|newfstatat close */
int signer_take_file(struct signer_server *s, int fd, const char *path, unsigned how, size_t *len)
{
	struct stat st;
	char why[KEY_FILE_WHY_BYTES];
	bool key = how & SIGNER_TAKE_KEY;
	int error;

	if (fstat(fd, &st))
		error = -errno;
	else if ((how & SIGNER_TAKE_REGULAR) && !S_ISREG(st.st_mode))
		error = -EINVAL;
	else if (key && !key_file_kept(fd, path, why, sizeof(why)))
		error = -EKEYREJECTED;
	else
		error = signer_read_all(fd, s->text, len);
	/* A certificate is public, but its key may be in the same file. */
	if (!error && keyring_take(s->keys, s->text, *len) > 0 && !key &&
	    !key_file_kept(fd, path, why, sizeof(why)))
		error = -EKEYREJECTED;
	close(fd);
	if (error)
		OPENSSL_cleanse(s->text, SIGNER_FILE_MAX + 1);
	if (error == -EKEYREJECTED) {
		*len = strlen(why);
		memcpy(s->text, why, *len);
	}
	return error;
}

/* A file's text without its keys. At the start a FIFO will do; later, to open it would wait for its
 * other end to be opened, too.
 *
 * #syscalls openat
 */
static int signer_read_file(struct signer_server *s, enum signing_file file, size_t *len)
{
	const struct signer_place *p = &s->places->files[file];
	unsigned how = s->sealed ? SIGNER_TAKE_REGULAR : 0;
	int fd;

	if (p->dir < 0)
		return -ENOENT;
	fd = openat(p->dir, p->name,
		    O_RDONLY | O_CLOEXEC | O_NOCTTY | (s->sealed ? O_NONBLOCK : 0));
	if (fd < 0)
		return -errno;
	if (file != SIGNING_CERTIFICATE)
		how |= SIGNER_TAKE_KEY;
	return signer_take_file(s, fd, p->path, how, len);
}

/* A key file's first key goes to the ring; what leaves the signer is its id. */
static int signer_read_key(struct signer_server *s, size_t *len)
{
	uint8_t id[SIGNING_KEY_BYTES];
	int error = signer_read_file(s, SIGNING_KEY, len);

	if (error)
		return error;
	s->text[*len] = '\0'; /* there is room */
	error = keyblock_refers(s->text, id) ? 0 : -ENOKEY;
	OPENSSL_cleanse(s->text, *len);
	memcpy(s->text, id, error ? 0 : sizeof(id));
	*len = sizeof(id);
	return error;
}

static void take_path(const struct signing_request *r, char out[SIGNING_PATH_MAX + 1])
{
	memcpy(out, CBS_data(&r->input), CBS_len(&r->input));
	out[CBS_len(&r->input)] = '\0';
}

/* Only at the start: the paths are the operator's file's. */
static int signer_set_place(struct signer_server *s, const struct signing_request *r)
{
	struct signer_place *p = &s->places->files[r->file];
	char path[SIGNING_PATH_MAX + 1];

	if (s->sealed || p->dir >= 0)
		return -EPERM;
	take_path(r, path);
	return signer_place_open(path, p);
}

static int signer_set_state(struct signer_server *s, const struct signing_request *r, size_t *len)
{
	char path[SIGNING_PATH_MAX + 1];

	take_path(r, path);
	return made_open(s, path, len);
}

/* Of a file, or made for this, which the one byte of the answer tells. */
static int signer_has_key(const struct signer_server *s, const struct signing_request *r,
			  size_t *len)
{
	if (!keyring_has(s->keys, r->key) || made_otherwise(&s->made, r->use, r->key))
		return -ENOKEY;
	s->text[0] = (char)made_here(&s->made, r->use, r->key);
	*len = 1;
	return 0;
}

static int signer_sign(struct signer_server *s, const struct signing_request *r,
		       uint8_t signature[SIGNING_SIGNATURE_MAX], size_t *len)
{
	switch (keyring_sign(s->keys, r->key, r->algorithm, r->input, signature, len)) {
	case KEYRING_OK:
		return 0;
	case KEYRING_NO_KEY:
		return -ENOKEY;
	case KEYRING_REFUSED:
		return -EPERM;
	case KEYRING_FAILED:
		break;
	}
	return -ENOMEM;
}

/* Takes the descriptor over, unless it returns -errno. */
static int signer_add_channel(struct signer_server *s, int fd)
{
	if (fd < 0)
		return -EBADF;
	if (s->sealed || s->count == COUNT(s->fds))
		return -EPERM;
	s->fds[s->count++] = fd;
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void signer_perform_worker(struct signer_server *s, int fd, const struct signing_request *r)
{
	uint8_t signature[SIGNING_SIGNATURE_MAX];
	size_t len = 0;
	int status = r->duty == SIGNING_SIGN ? signer_sign(s, r, signature, &len) : -EPERM;

	signer_answer(fd, MSG_DONTWAIT, r->number, status, signature, len);
}

/* along: the descriptor that came with it, or -1. */
static void signer_perform(struct signer_server *s, const struct signing_request *r, int along)
{
	int status = -EPERM;
	size_t len = 0;

	switch (r->duty) {
	case SIGNING_READ:
		status = r->file == SIGNING_KEY ? signer_read_key(s, &len)
						: signer_read_file(s, r->file, &len);
		break;
	case SIGNING_PLACE:
		status = signer_set_place(s, r);
		break;
	case SIGNING_HAS:
		status = signer_has_key(s, r, &len);
		break;
	case SIGNING_STATE:
		status = signer_set_state(s, r, &len);
		break;
	case SIGNING_MAKE:
		status = made_make(s, r, &len);
		break;
	case SIGNING_KEEP:
		status = made_keep(s, r->use, r->key);
		break;
	case SIGNING_CHANNEL:
		status = signer_add_channel(s, along);
		if (!status)
			along = -1;
		break;
	case SIGNING_SEAL:
		if (!s->sealed)
			status = signer_confine(s);
		s->sealed = true;
		break;
	case SIGNING_SIGN: /* the workers' */
		break;
	}
	if (along >= 0)
		close(along);
	signer_answer(s->fds[0], 0, r->number, status, s->text,
		      status && status != -EKEYREJECTED ? 0 : len);
}

/* Its other end is gone: the last one takes its place. */
static void signer_drop_channel(struct signer_server *s, size_t i)
{
	close(s->fds[i]);
	s->fds[i] = s->fds[--s->count];
}

/* #syscalls recvmsg */
bool signer_server_turn(struct signer_server *s, size_t i)
{
	uint8_t packet[SIGNING_REQUEST_MAX];
	struct iovec whole = {packet, sizeof(packet)};
	struct signing_request request;
	union passing room;
	/* Without room for control data, descriptors that come along are dropped. */
	struct msghdr m = {.msg_iov = &whole, .msg_iovlen = 1};
	int along = -1;

	if (!s->sealed && i == 0) {
		m.msg_control = room.bytes;
		m.msg_controllen = sizeof(room.bytes);
	}
	ssize_t n = recvmsg(s->fds[i], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0 && i == 0)
		return false;
	if (n <= 0) {
		signer_drop_channel(s, i);
		return true;
	}
	if (m.msg_control)
		along = passing_take(&m);
	if (!(m.msg_flags & MSG_TRUNC) && signing_request_decode(packet, (size_t)n, &request)) {
		if (i == 0)
			signer_perform(s, &request, along);
		else
			signer_perform_worker(s, s->fds[i], &request);
	} else if (along >= 0) {
		close(along);
	}
	return true;
}

bool signer_server_open(struct signer_server *s, int fd, struct signer_places *places)
{
	*s = (struct signer_server){.places = places, .fds = {fd}, .count = 1, .made = {.dir = -1}};
	s->keys = keyring_new();
	s->text = malloc(SIGNER_FILE_MAX + 1);
	if (s->keys && s->text)
		return true;
	signer_server_close(s);
	return false;
}

void signer_server_close(struct signer_server *s)
{
	for (size_t i = 1; i < s->count; i++)
		close(s->fds[i]);
	made_close(&s->made);
	keyring_free(s->keys);
	free(s->text);
}

/* #syscalls poll|ppoll */
void signer_serve(int fd, struct signer_places *places)
{
	struct pollfd waits[1 + SIGNER_CHANNELS_MAX];
	struct signer_server s;

	if (!signer_server_open(&s, fd, places))
		_exit(1);
	for (;;) {
		size_t count = s.count;

		for (size_t i = 0; i < count; i++)
			waits[i] = (struct pollfd){.fd = s.fds[i], .events = POLLIN};
		if (poll(waits, (nfds_t)count, -1) < 0 && errno != EINTR)
			_exit(1);
		/* From the last: a channel that ends is replaced by one that has had its turn. */
		for (size_t i = count; i-- > 0;)
			if (waits[i].revents && !signer_server_turn(&s, i))
				_exit(0);
	}
}
