/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_internal: what the files of the simulated kernel share. */
#ifndef POSTERN_TESTS_WORLD_KERNEL_INTERNAL_H
#define POSTERN_TESTS_WORLD_KERNEL_INTERNAL_H

#include "tests/world/kernel.h"

/* Each kind of file says what it can do; NULL: EINVAL. */
struct k_kind {
	const char *name;
	unsigned (*ready)(struct k_file *f);
	ssize_t (*recv)(struct k_file *f, void *buf, size_t len, int flags);
	ssize_t (*send)(struct k_file *f, const void *buf, size_t len, int flags);
	ssize_t (*recvmsg)(struct k_file *f, struct msghdr *m, int flags);
	ssize_t (*sendmsg)(struct k_file *f, const struct msghdr *m, int flags);
	void (*release)(struct k_file *f); /* the last descriptor is gone; frees f in the end */
};

/* An open file description. */
struct k_file {
	const struct k_kind *kind;
	unsigned refs;
	bool nonblock;
	struct k_program *holder; /* which had a descriptor for it last */
};

extern const struct k_kind k_stream_kind, k_pipe_in_kind, k_pipe_out_kind, k_event_kind,
	k_signal_kind, k_packet_kind, k_udp_kind, k_stored_kind;

struct k_host {
	char name[24];
	unsigned index;
	char addresses[16][48], address6[48];
	size_t address_count;
	uint16_t next_port;
};

/* A zeroed one of size bytes, which begins with a struct k_file, with one reference. */
void *k_file_new(const struct k_kind *kind, size_t size, bool nonblock);
void k_file_unref(struct k_file *f);
/* Takes the reference; -EMFILE: not taken. */
int k_install(struct k_file *f);
/* Something about f may be ready now. */
void k_touch(struct k_file *f);

struct k_host *k_host_of(const struct sockaddr *a);
bool k_host_has(const struct k_host *h, const struct sockaddr *a);
uint16_t k_host_port(struct k_host *h);
/* One way's time on the cable between them, with its jitter. */
uint64_t k_cable_time(const struct k_host *a, const struct k_host *b);

/* stream.c */
struct k_stream;
int k_stream_socket(int family, bool nonblock);
int k_stream_pair(int out[2], bool nonblock);
int k_stream_bind(struct k_file *f, const struct sockaddr *a, socklen_t len);
int k_stream_listen(struct k_file *f, int backlog);
int k_stream_connect(struct k_file *f, const struct sockaddr *a, socklen_t len);
int k_stream_shutdown(struct k_file *f, int how);
int k_stream_setsockopt(struct k_file *f, int level, int name, const void *value, socklen_t len);
int k_stream_getsockopt(struct k_file *f, int level, int name, void *value, socklen_t *len);
int k_stream_name(struct k_file *f, bool peer, struct sockaddr *out, socklen_t *len);
void k_stream_forget_all(void);

/* packet.c */
int k_packet_pair(int out[2], bool nonblock);
int k_udp_socket(int family, bool nonblock);
int k_udp_bind(struct k_file *f, const struct sockaddr *a, socklen_t len);
int k_udp_connect(struct k_file *f, const struct sockaddr *a, socklen_t len);
int k_udp_setsockopt(struct k_file *f, int level, int name, const void *value, socklen_t len);
int k_udp_name(struct k_file *f, struct sockaddr *out, socklen_t *len);

/* store.c */
int k_store_open(const char *path, int flags);
/* The path that name means below the directory dirfd. */
int k_store_path(int dirfd, const char *name, char out[512]);
int k_store_unlink(const char *path);
int k_store_rename(const char *from, const char *to);
bool k_store_exists(const char *path);
void k_store_is_socket(const char *path); /* what is there, from now on */
mode_t k_store_mode(const char *path);
bool k_stored_is_directory(struct k_file *f);
int64_t k_stored_size(struct k_file *f);
unsigned k_stored_links(struct k_file *f);
int k_stored_seek(struct k_file *f, int64_t at, int whence);
int k_stored_truncate(struct k_file *f, int64_t size);
void k_store_forget_all(void);

#endif
