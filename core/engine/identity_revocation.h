/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity_revocation: signs a revocation, and says who has signed one.
 *
 * A console may, and a CA of identity.ca by its own key. What is signed is an act, not a session:
 * it stays good when the signer's certificate ends, and has to have been issued before that.
 */
#ifndef POSTERN_ENGINE_IDENTITY_REVOCATION_H
#define POSTERN_ENGINE_IDENTITY_REVOCATION_H

#include "core/engine/identity.h"
#include "core/parse/revocation.h"

/* X(NAME, sentence) */
#define REVOCATION_OUTCOMES(X)                                                                     \
	X(TAKEN, "it is in force")                                                                 \
	X(KNOWN, "it is known already")                                                            \
	X(OLDER, "a newer one of the same name, serial number or key is known; sign it anew")      \
	X(UNREADABLE, "it is no signed revocation, or of another version; sign it anew")           \
	X(UNTRUSTED,                                                                               \
	  "its signer's certificate is of no CA in identity.ca; sign it with a console of "        \
	  "this network")                                                                          \
	X(ROLE, "its signer is neither a console nor a CA; sign it with a console")                \
	X(LIFETIME, "it was not issued while its signer's certificate was good; sign it with "     \
		    "another console, and look at the clocks")                                     \
	X(PROOF, "its signature does not match; sign it anew")                                     \
	X(AHEAD, "it was issued more than an hour from now; set the clocks right")                 \
	X(OVER, "what it names has ended, by its own word; sign it anew with a later end")         \
	X(SIGNER_ENDED,                                                                            \
	  "its signer's certificate has ended, and it takes something back; sign it "              \
	  "with another console")                                                                  \
	X(SIGNER_REVOKED, "its signer is revoked; sign it with another console")                   \
	X(BY_CA, "the CA's own key has revoked it, and it alone takes that back: "                 \
		 "'postern pki revoke --take-back'")                                               \
	X(SHARE,                                                                                   \
	  "its signer has as many signed revocations in force as one console may have; sign it "   \
	  "with another console or the CA's key ('postern pki revoke'), and if that console "      \
	  "signs without you, revoke it with the CA's key, which ends all that it has signed")     \
	X(FULL,                                                                                    \
	  "there is no place for more signed revocations; sign it with the CA's key ('postern "    \
	  "pki revoke'), and revoke so the console that fills the places, which ends all that it " \
	  "has signed ('postern grants' shows who has)")                                           \
	X(NO_MEMORY, "out of memory; try again later")

enum revocation_outcome {
#define X(name, sentence) REVOCATION_##name,
	REVOCATION_OUTCOMES(X)
#undef X
		REVOCATION_OUTCOME_COUNT
};

/* An object as text, and its zero byte: base64. */
#define REVOCATION_BASE64_BYTES (((REVOCATION_MAX + 2) / 3) * 4 + 1)

/* "OLDER" and so on, and the sentence. */
const char *revocation_outcome_name(enum revocation_outcome o);
const char *revocation_outcome_sentence(enum revocation_outcome o);

/* What a value of this kind has to be: "agent's name" and so on. */
const char *revocation_value_words(enum wire_revocation_kind kind);

struct revocation_signer {
	bool is_ca;		   /* the key of a CA itself: of peer only ca and key are set */
	struct identity_peer peer; /* as far as it is known without asking what time it is */
};

/* Signs r, whose certificate and signature are ignored: the object's size, or 0: a field breaks a
 * limit, or the key cannot sign. */
size_t identity_sign_revocation(const struct identity *id, const struct signed_revocation *r,
				uint8_t out[REVOCATION_MAX]) MUST_CHECK;
/* The same with a CA's certificate and key. */
size_t revocation_sign(X509 *certificate, EVP_PKEY *key, const struct signed_revocation *r,
		       uint8_t out[REVOCATION_MAX]) MUST_CHECK;

/* Who has signed r, which is decoded: TAKEN (out is filled), UNTRUSTED, ROLE, LIFETIME, PROOF. Time
 * is not asked: certificates that have ended by now are good where r was issued before. */
enum revocation_outcome identity_verify_revocation(const struct identity *id,
						   const struct signed_revocation *r,
						   struct revocation_signer *out) MUST_CHECK;

/* Whether r says that a CA of id has signed it; no signature is looked at. */
bool identity_revocation_of_ca(const struct identity *id,
			       const struct signed_revocation *r) MUST_CHECK;

/* Who r says that it is from, of a CA that is not known now; a certificate without a role is a
 * CA's. */
void identity_revocation_claims(const struct signed_revocation *r, struct revocation_signer *out);

/* ---- texts ---- */

void revocation_to_text(const uint8_t *bytes, size_t len, char out[REVOCATION_BASE64_BYTES]);
/* The object's size, 0: it is no base64, or too long. */
size_t revocation_of_text(const char *text, uint8_t out[REVOCATION_MAX]) MUST_CHECK;

#endif
