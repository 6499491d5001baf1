/* SPDX-License-Identifier: Apache-2.0 */
/* worlds: the list of all worlds. */
#include "tests/world/worlds.h"

const struct world_kind worlds[] = {
	{"up_and_down", world_up_and_down, 10},
	{"one_name", world_one_name, 10},
	{"names", world_names, 20},
	{"sessions", world_sessions, 100},
	{"rekeyed", world_rekeyed, 50},
	{"peers_link", world_peers_link, 20},
	{"peers_leg", world_peers_leg, 20},
	{"peers_session", world_peers_session, 20},
	{"peers_public", world_peers_public, 20},
	{"peers_drain", world_peers_drain, 20},
	{"peers_site", world_peers_site, 20},
	{"site", world_site, 50},
	{"site_storm", world_site_storm, 50},
	{"site_crowd", world_site_crowd, 1},
	{"tags", world_tags, 10},
	{"web", world_web, 10},
	{"tag_keys", world_tag_keys, 5},
	{"door", world_door, 50},
	{"front", world_front, 20},
	{"stun", world_stun, 20},
	{"weather", world_weather, 100},
	{"dead_line", world_dead_line, 30},
	{"reader_pauses", world_reader_pauses, 10},
	{"famine", world_famine, 50},
	{"slow_receiver", world_slow_receiver, 5},
	{"shares", world_shares, 20},
	{"shares_apart", world_shares_apart, 10},
	{"socks", world_socks, 40},
	{"agent_changes", world_agent_changes, 5},
	{"relay_by_hand", world_relay_by_hand, 5},
	{"drained", world_drained, 20},
	{"relay_again", world_relay_again, 5},
	{"signer_late", world_signer_late, 20},
	{"signer_dead", world_signer_dead, 20},
	{"signer_crowd", world_signer_crowd, 20},
	{"front_certificate", world_front_certificate, 30},
	{"relay_renewed", world_relay_renewed, 20},
	{"relay_renewed_dark", world_relay_renewed_dark, 50},
	{"relay_many_keys", world_relay_many_keys, 5},
	{"relay_renewed_unkept", world_relay_renewed_unkept, 10},
	{"front_requested", world_front_requested, 10},
	{"agent_renewed", world_agent_renewed, 20},
	{"operator", world_operator, 50},
	{"owned", world_owned, 10},
	{"owned_agent", world_owned_agent, 10},
	{"console_levels", world_console_levels, 10},
	{"targets", world_targets, 10},
	{"odd_calls", world_odd_calls, 20},
	{"odd_calls_of_agent", world_odd_calls_of_agent, 20},
	{"descriptors", world_descriptors, 20},
	{"flood", world_flood, 2},
	{"local_users", world_local_users, 5},
	{"worker_gone", world_worker_gone, 10},
	{"many_links", world_many_links, 1},
	{"refusals", world_refusals, 5},
	{"revoked", world_revoked, 30},
	{"revoked_while_opening", world_revoked_while_opening, 10},
	{"issued_again", world_issued_again, 10},
	{"signed", world_signed, 10},
	{"signed_refusals", world_signed_refusals, 5},
	{"signed_stolen", world_signed_stolen, 5},
	{"signed_ca_removed", world_signed_ca_removed, 10},
	{"expired", world_expired, 1},
	{"contractor", world_contractor, 10},
	{"renewed", world_renewed, 20},
	{"ca_removed", world_ca_removed, 10},
	{"ca_put_back", world_ca_put_back, 20},
	{"ca_put_back_at_agent", world_ca_put_back_at_agent, 20},
	{"allow_changed", world_allow_changed, 5},
	{"targets_narrowed", world_targets_narrowed, 5},
	{"told_by_agent", world_told_by_agent, 20},
	{"told_why", world_told_why, 20},
	{"relay_ends", world_relay_ends, 12},
	{"relay_newer", world_relay_newer, 8},
	{"deaf_link", world_deaf_link, 2},
	{"silent_relay", world_silent_relay, 5},
	{"crowd", world_crowd, 1},
	{"crowded_home", world_crowded_home, 1},
	{"siege", world_siege, 1},
	{"rates", world_rates, 10},
	{"hello_flood", world_hello_flood, 1},
	{"hoarders", world_hoarders, 1},
	{"public_crowd", world_public_crowd, 1},
	{"console_short", world_console_short, 60},
	{"documents", world_documents, 10},
	{"keeping", world_keeping, 2},
	{"records_short", world_records_short, 1},
	{"natd_calm", world_natd_calm, 20},
	{"natd_open", world_natd_open, 20},
	{"natd_storm", world_natd_storm, 100},
	{"natd_dead", world_natd_dead, 100},
	{"natd_asks", world_natd_asks, 50},
	{NULL, NULL, 0},
};

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_CAN_BE_SEEN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_CAN_BE_SEEN
#endif
#endif

#ifdef LEAKS_CAN_BE_SEEN
void __lsan_do_leak_check(void);
void leak_check(void)
{
	__lsan_do_leak_check();
}
#else
void leak_check(void)
{
}
#endif
