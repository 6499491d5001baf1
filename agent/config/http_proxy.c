/* SPDX-License-Identifier: Apache-2.0 */
/* http_proxy: through which HTTP CONNECT proxy relays are dialled, if any. */
#include "agent/config/http_proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <openssl/base64.h>

#include "core/hex.h"
#include "core/parse/text.h"

#define CREDENTIALS_MAX 512u
#define DEFAULT_PORT	80

/* RFC 3986 section 2.1. False on a broken escape, a zero byte, or no room. */
static bool percent_decode(const char *in, size_t len, char *out, size_t room, size_t *out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)in[i], high, low;

		if (c == '%') {
			if (i + 2 >= len || !hex_digit(text_lower((uint8_t)in[i + 1]), &high) ||
			    !hex_digit(text_lower((uint8_t)in[i + 2]), &low))
				return false;
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (c == 0 || n + 1 >= room)
			return false;
		out[n++] = (char)c;
	}
	*out_len = n;
	return true;
}

static bool take_credentials(struct http_proxy *p, const char *text, size_t len)
{
	char clear[CREDENTIALS_MAX];
	size_t n = 0;
	bool ok = percent_decode(text, len, clear, sizeof(clear), &n);

	if (ok)
		EVP_EncodeBlock((uint8_t *)p->authorization, (const uint8_t *)clear, n);
	memset(clear, 0, sizeof(clear));
	return ok;
}

/* "host", "host:port", "[v6]:port". */
static bool take_address(struct http_proxy *p, const char *text, size_t len)
{
	char host[ADDR_HOST_BYTES + 8];
	const char *colon;
	int n;

	if (len == 0 || len + 8 > sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	colon = strrchr(host, ':');
	if (colon && !strchr(colon, ']'))
		return endpoint_parse(host, &p->address);
	n = snprintf(host + len, sizeof(host) - len, ":%d", DEFAULT_PORT);
	return n > 0 && endpoint_parse(host, &p->address);
}

static bool parse_url(struct http_proxy *p, const char *url)
{
	const char *scheme = strstr(url, "://"), *rest = scheme ? scheme + 3 : url;
	size_t len = strcspn(rest, "/?#");
	const char *at = NULL;

	if (scheme && ((size_t)(scheme - url) != 4 || strncasecmp(url, "http", 4) != 0))
		return false;
	for (size_t i = 0; i < len; i++)
		if (rest[i] == '@')
			at = rest + i;
	if (at) {
		if (!take_credentials(p, rest, (size_t)(at - rest)))
			return false;
		len -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	return take_address(p, rest, len);
}

static const char *environment(const char *lower, const char *upper)
{
	const char *value = getenv(lower);

	if (!value || !*value)
		value = getenv(upper);
	return value && *value ? value : NULL;
}

bool http_proxy_init(struct http_proxy *p, const char *configured, char *why, size_t why_size)
{
	struct http_proxy parsed = {.used = true};
	const char *url = configured && *configured ? configured : NULL;
	const char *exceptions = NULL;

	if (!url) {
		url = environment("https_proxy", "HTTPS_PROXY");
		exceptions = environment("no_proxy", "NO_PROXY");
	}
	if (!url) {
		*p = (struct http_proxy){0};
		return true;
	}
	if (!parse_url(&parsed, url)) {
		snprintf(why, why_size,
			 "%s: not an HTTP proxy; write http://[user:password@]host:port",
			 configured && *configured ? "proxy" : "HTTPS_PROXY");
		return false;
	}
	snprintf(parsed.exceptions, sizeof(parsed.exceptions), "%s", exceptions ? exceptions : "");
	*p = parsed;
	return true;
}

/* host is name, or ends in ".name"; a leading dot or "*." in the list changes nothing. */
static bool matches(const char *host, const char *name, size_t len)
{
	size_t host_len = strlen(host);

	if (len == 1 && name[0] == '*')
		return true;
	if (len > 1 && name[0] == '*' && name[1] == '.')
		name++, len--;
	if (len > 0 && name[0] == '.')
		name++, len--;
	if (len == 0 || host_len < len || strncasecmp(host + host_len - len, name, len) != 0)
		return false;
	return host_len == len || host[host_len - len - 1] == '.';
}

bool http_proxy_applies(const struct http_proxy *p, const char *host)
{
	const char *at = p->exceptions;

	if (!p->used)
		return false;
	while (*at) {
		size_t len = strcspn(at, ", \t");

		if (len > 0 && matches(host, at, len))
			return false;
		at += len;
		at += strspn(at, ", \t");
	}
	return true;
}

size_t http_proxy_connect(const struct http_proxy *p, const char *target,
			  uint8_t out[HTTP_PROXY_HEAD_MAX])
{
	const char *field = p->authorization[0] ? "Proxy-Authorization: Basic " : "";
	const char *end = p->authorization[0] ? "\r\n" : "";
	int n = snprintf((char *)out, HTTP_PROXY_HEAD_MAX,
			 "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", target, target, field,
			 p->authorization, end);

	return n > 0 && (size_t)n < HTTP_PROXY_HEAD_MAX ? (size_t)n : 0;
}

const char *http_proxy_refusal(const struct http_proxy *p, unsigned code)
{
	switch (code) {
	case 403:
		return "the proxy does not allow this destination (403); ask its administrator";
	case 405:
	case 501:
		return "the proxy does not support CONNECT; use one that does";
	case 407:
		if (p->authorization[0])
			return "the proxy does not accept our user and password (407); correct "
			       "them in proxy";
		return "the proxy wants a user and password (407); write "
		       "http://user:password@host:port in proxy";
	case 502:
	case 503:
	case 504:
		return "the proxy could not reach the relay; check the relay's address and that it "
		       "runs";
	default:
		return "the proxy refused to connect; check that it allows CONNECT to the relay's "
		       "port";
	}
}
