/* SPDX-License-Identifier: Apache-2.0 */
/* records: a bounded history of numbered, time-stamped JSON objects. */
#include "core/engine/records.h"

#include <stdio.h>
#include <string.h>

json_t *records_time(struct timespec now)
{
	char seconds[24], text[32];
	struct tm t;

	gmtime_r(&now.tv_sec, &t);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(text, sizeof(text), "%s.%03uZ", seconds, (unsigned)(now.tv_nsec / 1000000) % 1000);
	return json_string(text);
}

void records_add(struct records *r, json_t *record, struct timespec now)
{
	json_t **place;

	r->count++;
	place = &r->kept[r->count % RECORDS_KEPT];
	json_object_set_new(record, "number", json_integer((json_int_t)r->count));
	json_object_set_new(record, "at", records_time(now));
	json_decref(*place);
	*place = json_incref(record);
}

json_t *records_list(const struct records *r, uint64_t after, uint64_t limit)
{
	uint64_t first = r->count > RECORDS_KEPT ? r->count - RECORDS_KEPT : 0;
	json_t *list = json_array();

	if (after > first)
		first = after;
	if (r->count > first && r->count - first > limit)
		first = r->count - limit;
	for (uint64_t n = first + 1; n <= r->count; n++)
		json_array_append(list, r->kept[n % RECORDS_KEPT]);
	return list;
}

void records_free(struct records *r)
{
	for (size_t i = 0; i < RECORDS_KEPT; i++)
		json_decref(r->kept[i]);
	memset(r, 0, sizeof(*r));
}
