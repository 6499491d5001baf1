/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nice_stun: libnice's STUN client, with FINGERPRINT. nice_stun ADDRESS PORT prints the address
 * that it was told. (The library's own stun_usage_bind_run() speaks RFC 3489, without the magic
 * cookie.)
 */
#include <netdb.h>
#include <stdio.h>
#include <sys/time.h>
#include <stun/usages/bind.h>

/* Asks over fd. 0, or what went wrong. */
static const char *ask(int fd, struct sockaddr_storage *seen, socklen_t *len)
{
	struct sockaddr_storage other;
	socklen_t other_len = sizeof(other);
	StunAgent agent;
	StunMessage message;
	uint8_t bytes[1280];
	ssize_t n;

	stun_agent_init(&agent, STUN_ALL_KNOWN_ATTRIBUTES, STUN_COMPATIBILITY_RFC5389,
			STUN_AGENT_USAGE_USE_FINGERPRINT);
	n = (ssize_t)stun_usage_bind_create(&agent, &message, bytes, sizeof(bytes));
	if (n <= 0 || send(fd, bytes, (size_t)n, 0) != n)
		return "cannot send";
	n = recv(fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		return "no answer";
	if (stun_agent_validate(&agent, &message, bytes, (size_t)n, NULL, NULL) !=
	    STUN_VALIDATION_SUCCESS)
		return "not a valid answer";
	if (stun_usage_bind_process(&message, (struct sockaddr *)seen, len,
				    (struct sockaddr *)&other,
				    &other_len) != STUN_USAGE_BIND_RETURN_SUCCESS)
		return "an answer without an address";
	return NULL;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM,
	};
	const struct timeval patience = {.tv_sec = 5};
	struct sockaddr_storage seen;
	socklen_t len = sizeof(seen);
	struct addrinfo *server;
	const char *wrong;
	char host[NI_MAXHOST];
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &server) != 0)
		return 2;
	fd = socket(server->ai_family, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, server->ai_addr, server->ai_addrlen) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience))) {
		perror("socket");
		return 1;
	}
	freeaddrinfo(server);
	wrong = ask(fd, &seen, &len);
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		return 1;
	}
	if (getnameinfo((struct sockaddr *)&seen, len, host, sizeof(host), NULL, 0,
			NI_NUMERICHOST) != 0)
		return 1;
	puts(host);
	return 0;
}
