/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate_world: the front door's certificate of a public CA, which another program renews in
 * files: whole, half, late and damaged, while sessions run.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/engine/certificate.h"
#include "tests/world/peer.h"
#include "tests/world/stage.h"
#include "tests/world/store.h"
#include "tests/world/worlds.h"

#define CHAIN "/etc/fullchain.pem"
#define KEY   "/etc/privkey.pem"

static const char tls_lines[] = "tls: {certificate_file: " CHAIN ", key_file: " KEY "}\n";

static void put(const char *path, const char *text)
{
	store_write(path, text, strlen(text));
}

/* The leaf, and behind it the CA's certificate as the rest of the chain. */
static void put_chain(const struct certs_pair *pair)
{
	char text[8192];

	snprintf(text, sizeof(text), "%s%s", pair->certificate, world_ca.pem);
	put(CHAIN, text);
}

static void reload(void)
{
	k_signal(stage.relays[0].program, SIGHUP);
	world_run(SECOND);
}

/* What a stranger is shown who comes now. */
static void expect_shown(struct peer *p, const struct certs_pair *pair, const char *when)
{
	X509 *wanted = certificate_of_pem(pair->certificate);
	STACK_OF(X509) * chain;

	world_check(peer_dial(p, stage.relay_hosts[0]), "links", "no handshake %s", when);
	chain = p->tls ? SSL_get_peer_full_cert_chain(tls_ssl(p->tls)) : NULL;
	world_check(chain && sk_X509_num(chain) == 2, "whole", "the chain is not whole %s", when);
	world_check(chain && wanted && X509_cmp(sk_X509_value(chain, 0), wanted) == 0, "shown",
		    "another certificate is shown %s", when);
	X509_free(wanted);
	peer_close(p, false);
}

/* What cannot be taken leaves the old pair in force. */
static void spoil(const struct certs_pair *next)
{
	char text[8192];

	switch (dice_below(&world_dice, 6)) {
	case 0: /* the key is there, its certificate not yet */
		put(KEY, next->key);
		break;
	case 1: /* the other way about */
		put_chain(next);
		break;
	case 2: /* cut short within the chain */
		snprintf(text, sizeof(text), "%s%.200s", next->certificate, world_ca.pem);
		put(KEY, next->key);
		put(CHAIN, text);
		break;
	case 3:
		put(KEY, "");
		put_chain(next);
		break;
	case 4: /* the CA's first */
		snprintf(text, sizeof(text), "%s%s", world_ca.pem, next->certificate);
		put(CHAIN, text);
		break;
	default: /* the signer says nothing */
		put(KEY, next->key);
		put_chain(next);
		stage.relays[0].signer_silent = true;
		reload();
		world_run(SECOND);
		stage.relays[0].signer_silent = false;
		put(KEY, "");
		break;
	}
}

/* Renewed while a talk runs: a pair that does not fit changes nothing; one that fits is shown from
 * then on, even where the relay's own file has errors, and stays when that changes. */
void world_front_certificate(void)
{
	struct world_relay *r = &stage.relays[0];
	struct certs_pair pairs[2];
	struct peer stranger;
	struct talk *running;

	for (unsigned i = 0; i < 2; i++)
		pairs[i] = certs_make_pair(&world_ca, IDENTITY_RELAY, who_name(RELAY_A), -86400,
					   90 * 86400);
	store_make_directory("/etc");
	put(KEY, pairs[0].key);
	put_chain(&pairs[0]);
	stage_set(1, tls_lines);
	peer_start(&stranger, "stranger", LAPTOP, stage.internet);
	expect_shown(&stranger, &pairs[0], "at the start");
	running = stage_talk_from(&stage.at_laptop, 400000, 400000);
	running->side[0].plan.write_most = 3000;
	spoil(&pairs[1]);
	reload();
	expect_shown(&stranger, &pairs[0], "after a pair that does not fit");
	put(KEY, pairs[1].key);
	put_chain(&pairs[1]);
	if (dice_chance(&world_dice, 500))
		world_relay_write(r, "listen: nonsense\n");
	reload();
	expect_shown(&stranger, &pairs[1], "once the pair is renewed");
	world_relay_write(r, "listen: [{address: '0.0.0.0:443'}]\nlog_level: error\n");
	put(CHAIN, "");
	reload();
	expect_shown(&stranger, &pairs[1], "once the relay's file does not name it any more");
	world_check(control_snapshot(r->relay.control)->config.log_level == LOG_LEVEL_ERROR,
		    "goes-on", "the relay's file is not in force");
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	world_check(world_until(stage_linked, NULL, 120 * SECOND), "links",
		    "an agent has lost its link");
	peer_end(&stranger);
	stage_clear();
	for (unsigned i = 0; i < 2; i++)
		certs_free_pair(&pairs[i]);
}
