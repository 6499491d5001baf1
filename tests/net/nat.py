# SPDX-License-Identifier: Apache-2.0
"""nat: nftables rules of a home's router, by the type of NAT that it does."""

NAT_TYPES = ("port-restricted", "address-restricted", "symmetric", "full-cone")

# The drop on INPUT matters: without it an early packet from a peer makes a conntrack entry on the
# router itself, and masquerade then moves the client to another port as no real router does.
ROUTER_RULES = """
table inet filter {{
  {seen}
  chain input {{ type filter hook input priority 0; policy accept;
    iifname "wan0" ct state established,related accept
    iifname "wan0" meta l4proto ipv6-icmp accept
    iifname "wan0" drop
  }}
  chain forward {{ type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan0" accept
    iifname "wan0" ct status dnat accept
  }}
  chain prerouting {{ type nat hook prerouting priority -100; policy accept;
    {inward}
  }}
  chain postrouting {{ type nat hook postrouting priority 100; policy accept;
    {note}
    meta nfproto ipv4 oifname "wan0" masquerade {how}
  }}
}}
"""


def router_rules(nat, inside):
    """nftables rules of a home router; inside is the host that cone types map to."""
    if nat not in NAT_TYPES:
        raise ValueError(f"no NAT type {nat}: one of {', '.join(NAT_TYPES)}")
    parts = {"seen": "", "inward": "", "note": "", "how": ""}
    if nat == "symmetric":
        parts["how"] = "fully-random"
    elif nat == "full-cone":
        parts["inward"] = (f'iifname "wan0" meta l4proto udp udp dport >= 1024 '
                           f"dnat ip to {inside}")
    elif nat == "address-restricted":
        parts["seen"] = ("set seen { type ipv4_addr . inet_service; flags dynamic,timeout; "
                         "size 65535; }")
        parts["note"] = ('oifname "wan0" meta l4proto udp '
                         "update @seen { ip daddr . udp sport timeout 60s }")
        parts["inward"] = ('iifname "wan0" meta l4proto udp ip saddr . udp dport @seen '
                           f"dnat ip to {inside}")
    return ROUTER_RULES.format(**parts)
