/* SPDX-License-Identifier: Apache-2.0 */
/* worlds: the list of all worlds, and what the runner needs of them. */
#ifndef POSTERN_TESTS_WORLD_WORLDS_H
#define POSTERN_TESTS_WORLD_WORLDS_H

#include "tests/world/world.h"

extern const struct world_kind worlds[]; /* the last one's name is NULL */

void world_up_and_down(void);
void world_names(void);
void world_one_name(void);
void world_sessions(void);
void world_rekeyed(void);
void world_peers_link(void);
void world_peers_leg(void);
void world_peers_session(void);
void world_peers_public(void);
void world_peers_drain(void);
void world_peers_site(void);
void world_site(void);
void world_site_storm(void);
void world_site_crowd(void);
void world_tags(void);
void world_web(void);
void world_tag_keys(void);
void world_door(void);
void world_front(void);
void world_stun(void);
void world_weather(void);
void world_dead_line(void);
void world_reader_pauses(void);
void world_famine(void);
void world_deaf_link(void);
void world_silent_relay(void);
void world_slow_receiver(void);
void world_crowd(void);
void world_crowded_home(void);
void world_siege(void);
void world_rates(void);
void world_hello_flood(void);
void world_hoarders(void);
void world_public_crowd(void);
void world_console_short(void);
void world_documents(void);
void world_keeping(void);
void world_records_short(void);
void world_operator(void);
void world_drained(void);
void world_descriptors(void);
void world_flood(void);
void world_local_users(void);
void world_worker_gone(void);
void world_many_links(void);
void world_owned(void);
void world_owned_agent(void);
void world_console_levels(void);
void world_targets(void);
void world_odd_calls(void);
void world_odd_calls_of_agent(void);
void world_revoked(void);
void world_revoked_while_opening(void);
void world_issued_again(void);
void world_signed(void);
void world_signed_refusals(void);
void world_signed_stolen(void);
void world_signed_ca_removed(void);
void world_expired(void);
void world_contractor(void);
void world_renewed(void);
void world_ca_removed(void);
void world_ca_put_back(void);
void world_ca_put_back_at_agent(void);
void world_allow_changed(void);
void world_targets_narrowed(void);
void world_told_by_agent(void);
void world_told_why(void);
void world_relay_ends(void);
void world_relay_newer(void);
void world_shares(void);
void world_shares_apart(void);
void world_refusals(void);
void world_socks(void);
void world_agent_changes(void);
void world_relay_by_hand(void);
void world_relay_again(void);
void world_signer_late(void);
void world_signer_dead(void);
void world_signer_crowd(void);
void world_front_certificate(void);
void world_relay_renewed(void);
void world_relay_renewed_dark(void);
void world_relay_many_keys(void);
void world_relay_renewed_unkept(void);
void world_front_requested(void);
void world_agent_renewed(void);

/* Under AddressSanitizer: looks for memory that nothing points to, and ends the process over it. */
void leak_check(void);
void world_natd_calm(void);
void world_natd_open(void);
void world_natd_storm(void);
void world_natd_dead(void);
void world_natd_asks(void);

#endif
