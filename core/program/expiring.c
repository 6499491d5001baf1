/* SPDX-License-Identifier: Apache-2.0 */
/* expiring: tells in time that a program's own certificate ends. The part of core/engine/expiry.c
 * that reads the clock and speaks, which an engine may not. */
#include "core/program/expiring.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "core/log.h"
#include "core/notify.h"

json_t *expiring_look(struct expiry *e, const struct expiry_validity *v, const char *area,
		      const char *format, ...)
{
	char text[EXPIRY_TEXT_BYTES], remedy[512];
	time_t now = time(NULL);
	va_list args;

	if (!expiry_look(e, v, now))
		return NULL;
	if (e->told == EXPIRY_FAR) {
		notify_concern("the certificate has been replaced in time");
		return NULL;
	}
	expiry_text(v, now, text);
	va_start(args, format);
	vsnprintf(remedy, sizeof(remedy), format, args);
	va_end(args);
	log_warning(area, "%s: %s", text, remedy);
	notify_concern("%s", text);
	return json_pack("{s:I, s:i, s:s}", "certificate_expires", (json_int_t)v->not_after, "days",
			 (int)e->told, "text", text);
}
