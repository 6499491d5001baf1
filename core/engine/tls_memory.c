/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_memory: BoringSSL's memory is charged like ours.
 *
 * BoringSSL allocates by these three where the program that it is linked into has them: they are
 * weak symbols of its libcrypto (openssl/mem.h). A handshake's memory is the largest part of what a
 * peer that has proved nothing can take.
 *
 * A file of its own since nothing calls it by name: a program has it by linking the room.
 */
#include <malloc.h>
#include <openssl/mem.h>

#include "core/memory.h"

/* Not in every BoringSSL's headers. */
void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *p);
size_t OPENSSL_memory_get_size(void *p);

void *OPENSSL_memory_alloc(size_t size)
{
	return memory_get(size > 0 ? size : 1); /* no block of none, whose size would be asked */
}

/* With an allocator of the program's own, BoringSSL leaves it to it to wipe what is given back. */
void OPENSSL_memory_free(void *p)
{
	if (!p)
		return;
	OPENSSL_cleanse(p, malloc_usable_size(p));
	memory_free(p);
}

size_t OPENSSL_memory_get_size(void *p)
{
	return p ? malloc_usable_size(p) : 0;
}
