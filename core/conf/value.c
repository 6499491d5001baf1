/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value: scalar texts to values: numbers, sizes, durations, words, addresses. */
#include "core/conf/conf.h"

#include <inttypes.h>
#include <string.h>

#include "core/addr.h"
#include "core/log.h"
#include "core/memory.h"

struct unit {
	const char *word;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{"", 1},      {"B", 1},	    {"KiB", 1u << 10}, {"MiB", 1u << 20},  {"GiB", 1u << 30},
	{"kB", 1000}, {"KB", 1000}, {"MB", 1000000},   {"GB", 1000000000}, {NULL, 0},
};

/* Bits as networks count them: a kilobit is 125 bytes. */
static const struct unit rate_units[] = {
	{"B/s", 1},	 {"KiB/s", 1u << 10}, {"MiB/s", 1u << 20},   {"GiB/s", 1u << 30},
	{"kB/s", 1000},	 {"KB/s", 1000},      {"MB/s", 1000000},     {"GB/s", 1000000000},
	{"kbit/s", 125}, {"Mbit/s", 125000},  {"Gbit/s", 125000000}, {NULL, 0},
};

static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static const struct {
	const char *noun;    /* what a message expects, with its article */
	const char *example; /* how to write it */
} types[] = {
	[CONF_STRING] = {"a text", "write it on one line"},
	[CONF_TEXT] = {"a text", "write \"|\" after the key and the lines indented below it"},
	[CONF_NAME] = {"a name", "write it on one line"},
	[CONF_BOOL] = {"true or false", "write true or false, without quotes"},
	[CONF_UINT] = {"a whole number", "write decimal digits only"},
	[CONF_BYTES] = {"a size", "write a number and a unit, such as 16384, 64KiB or 20MB"},
	[CONF_RATE] = {"a rate", "write a number and a unit, such as 20MB/s or 100Mbit/s"},
	[CONF_DURATION] = {"a duration", "write a number and a unit, such as 500ms, 10s, 5m or 2h"},
	[CONF_ENUM] = {"a word", "write one of the words"},
	[CONF_ADDRESS] = {"an address",
			  "write ADDRESS:PORT, such as 0.0.0.0:443 or \"[::1]:443\" in quotes"},
	[CONF_ENDPOINT] =
		{"an endpoint",
		 "write HOST:PORT, such as relay.example.org:443 or \"[::1]:443\" in quotes"},
	[CONF_STRUCT] = {"a map", "write \"key: value\" lines, indented"},
	[CONF_LIST_OF] = {"a list", "begin each item with \"- \""},
};

static const char *const kinds[] = {
	[CONF_SCALAR] = "a single value", [CONF_LIST] = "a list", [CONF_MAP] = "a map"};

const char *conf_type_name(enum conf_type type)
{
	return types[type].noun;
}

bool conf_type_is_text(enum conf_type type)
{
	return type == CONF_STRING || type == CONF_TEXT || type == CONF_NAME;
}

static bool node_is_null(const struct conf_node *n)
{
	return n->kind == CONF_SCALAR && !n->quoted &&
	       (n->text[0] == '\0' || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

bool conf_expect_kind(const struct conf_node *n, enum conf_kind kind, enum conf_type type,
		      const char *path, struct conf_errors *errors)
{
	if (node_is_null(n)) {
		conf_error(errors, n, path, "has no value; %s, or remove it", types[type].example);
		return false;
	}
	if (n->kind != kind) {
		conf_error(errors, n, path, "is %s, but should be %s; %s", kinds[n->kind],
			   types[type].noun, types[type].example);
		return false;
	}
	return true;
}

/* ---- numbers with units --------------------------------------------------------------------- */

enum number_status { NUMBER_OK, NUMBER_MALFORMED, NUMBER_UNIT, NUMBER_HUGE };

/* Decimal digits without sign or leading zero, at most one space, and a unit of the table. */
static enum number_status parse_number(const char *text, const struct unit *units, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	const char *word = text + digits;
	uint64_t n = 0;

	if (digits == 0 || (text[0] == '0' && digits > 1))
		return NUMBER_MALFORMED;
	for (size_t i = 0; i < digits; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return NUMBER_HUGE;
		n = n * 10 + digit;
	}
	if (word[0] == ' ' && word[1] != '\0')
		word++;
	for (; units->word; units++) {
		if (strcmp(word, units->word) != 0)
			continue;
		if (n > UINT64_MAX / units->factor)
			return NUMBER_HUGE;
		*out = n * units->factor;
		return NUMBER_OK;
	}
	return NUMBER_UNIT;
}

static const struct unit *units_of(enum conf_type type)
{
	static const struct unit plain[] = {{"", 1}, {NULL, 0}};

	switch (type) {
	case CONF_BYTES:
		return byte_units;
	case CONF_RATE:
		return rate_units;
	case CONF_DURATION:
		return duration_units;
	default:
		return plain;
	}
}

/* The shortest text that parse_number() reads back. */
const char *conf_format_number(uint64_t n, enum conf_type type, char out[CONF_NUMBER_BYTES])
{
	static const struct unit duration[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
					       {"s", 1000},	{"ms", 1},	{NULL, 0}};
	static const struct unit bytes[] = {
		{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"", 1}, {NULL, 0}};
	static const struct unit rate[] = {
		{"GB/s", 1000000000}, {"MB/s", 1000000}, {"kB/s", 1000}, {"B/s", 1}, {NULL, 0}};
	static const struct unit plain[] = {{"", 1}, {NULL, 0}};
	const struct unit *u = type == CONF_DURATION ? duration
			       : type == CONF_BYTES  ? bytes
			       : type == CONF_RATE   ? rate
						     : plain;

	while (n % u->factor != 0)
		u++;
	snprintf(out, CONF_NUMBER_BYTES, "%" PRIu64 "%s", n / u->factor, n == 0 ? "" : u->word);
	return out;
}

static bool bind_number(const struct conf_node *n, const struct conf_field *f, enum conf_type type,
			uint64_t *out, const char *path, struct conf_errors *errors)
{
	char shown[CONF_QUOTE_BYTES], limit[CONF_NUMBER_BYTES];
	uint64_t value = 0;
	enum number_status status = parse_number(n->text, units_of(type), &value);

	if ((type == CONF_DURATION || type == CONF_RATE) && strcmp(n->text, "0") == 0)
		status = NUMBER_OK;
	conf_quote(n->text, shown);
	if (status == NUMBER_MALFORMED || status == NUMBER_UNIT) {
		conf_error(errors, n, path, "%s is not %s; %s", shown, types[type].noun,
			   types[type].example);
		return false;
	}
	if (status == NUMBER_HUGE || (f->max && value > f->max)) {
		conf_error(errors, n, path, "%s is too large; the most is %s", shown,
			   conf_format_number(f->max ? f->max : UINT64_MAX, type, limit));
		return false;
	}
	if (value < f->min) {
		conf_error(errors, n, path, "%s is too small; the least is %s", shown,
			   conf_format_number(f->min, type, limit));
		return false;
	}
	*out = value;
	return true;
}

/* ---- words and texts ------------------------------------------------------------------------ */

static bool bind_bool(const struct conf_node *n, bool *out, const char *path,
		      struct conf_errors *errors)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	char shown[CONF_QUOTE_BYTES];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!n->quoted && strcmp(n->text, words[i]) == 0) {
			*out = i & 1;
			return true;
		}
	}
	conf_error(errors, n, path, "%s is not true or false; %s", conf_quote(n->text, shown),
		   types[CONF_BOOL].example);
	return false;
}

/* Lists words as "auto, io_uring, epoll". */
static void join_words(const char *const *words, char *out, size_t room)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; words[i] && used < room; i++)
		used += (size_t)snprintf(out + used, room - used, "%s%s", i ? ", " : "", words[i]);
}

static bool bind_enum(const struct conf_node *n, const struct conf_field *f, int *out,
		      const char *path, struct conf_errors *errors)
{
	char shown[CONF_QUOTE_BYTES], all[256];
	const char *near;

	for (int i = 0; f->words[i]; i++) {
		if (strcmp(n->text, f->words[i]) == 0) {
			*out = i;
			return true;
		}
	}
	join_words(f->words, all, sizeof(all));
	near = conf_nearest(n->text, f->words);
	conf_error(errors, n, path, "%s is not one of %s%s%s%s", conf_quote(n->text, shown), all,
		   near ? "; did you mean \"" : "; write one of these", near ? near : "",
		   near ? "\"?" : "");
	return false;
}

/* Texts are never quoted in messages: they may be keys and passwords. */
static bool bind_text(const struct conf_node *n, const struct conf_field *f, enum conf_type type,
		      char **out, const char *path, struct conf_errors *errors)
{
	size_t len = strlen(n->text);
	uint64_t max = f->max ? f->max : type == CONF_TEXT ? CONF_TEXT_MAX : CONF_STRING_MAX;
	char *copy;

	for (const char *c = n->text; *c; c++) {
		bool control = (unsigned char)*c < 0x20 || *c == 0x7f ||
			       log_turns_text((const unsigned char *)c, 3);
		if (control && !(type == CONF_TEXT && (*c == '\n' || *c == '\t'))) {
			conf_error(errors, n, path, "holds a line break or control character; %s",
				   types[CONF_STRING].example);
			return false;
		}
	}
	if (len < f->min || len > max) {
		conf_error(errors, n, path, "has %zu bytes; write %" PRIu64 " to %" PRIu64, len,
			   f->min, max);
		return false;
	}
	copy = memory_text(n->text);
	if (!copy) {
		conf_error(errors, n, path, "memory is out; make the file smaller");
		return false;
	}
	memory_free(*out);
	*out = copy;
	return true;
}

static bool wrong_address(const struct conf_node *n, enum conf_type type, const char *path,
			  struct conf_errors *errors)
{
	char shown[CONF_QUOTE_BYTES];

	conf_error(errors, n, path, "%s is not %s with a port of 1 to 65535; %s",
		   conf_quote(n->text, shown), types[type].noun, types[type].example);
	return false;
}

bool conf_bind_scalar(const struct conf_node *n, const struct conf_field *f, enum conf_type type,
		      void *out, const char *path, struct conf_errors *errors)
{
	if (!conf_expect_kind(n, CONF_SCALAR, type, path, errors))
		return false;
	switch (type) {
	case CONF_STRING:
	case CONF_TEXT:
	case CONF_NAME:
		return bind_text(n, f, type, out, path, errors);
	case CONF_BOOL:
		return bind_bool(n, out, path, errors);
	case CONF_UINT:
	case CONF_BYTES:
	case CONF_RATE:
	case CONF_DURATION:
		return bind_number(n, f, type, out, path, errors);
	case CONF_ENUM:
		return bind_enum(n, f, out, path, errors);
	case CONF_ADDRESS: {
		struct addr a;
		if (!addr_parse(n->text, &a) || addr_port(&a) == 0)
			return wrong_address(n, type, path, errors);
		*(struct addr *)out = a;
		return true;
	}
	case CONF_ENDPOINT:
		return endpoint_parse(n->text, out) || wrong_address(n, type, path, errors);
	case CONF_STRUCT:
	case CONF_LIST_OF:
		break;
	}
	return false; /* the tables hold no such scalar */
}
