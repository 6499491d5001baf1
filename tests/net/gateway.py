# SPDX-License-Identifier: Apache-2.0
"""gateway: Debian's miniupnpd on a home's router, with what real routers do to their owners.

    router, host = lab.home("alice", "45.0.0.10", "192.168.77", ["host"])
    gateway = Gateway(lab, router, "192.168.77").start()
    gateway.reboot()

The router's tables are those of a home with NAT, plus the chains that miniupnpd fills.  A WAN
address must look public inside the namespaces (45.0.0.0/24), or the gateway says that it has none.
"""
import os
import re
import socket
import struct

from netlab import run

RULES = """
flush ruleset
table inet filter {{
  chain input {{ type filter hook input priority 0; policy accept;
    iifname "wan0" meta l4proto ipv6-icmp accept
    iifname "wan0" ct state established,related accept
    iifname "wan0" drop
  }}
  chain miniupnpd {{
  }}
  chain prerouting_miniupnpd {{
  }}
  chain postrouting_miniupnpd {{
  }}
  chain forward {{ type filter hook forward priority 0; policy drop;
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    iifname "lan0" accept
    jump miniupnpd
  }}
  chain prerouting {{ type nat hook prerouting priority -100; policy accept;
    jump prerouting_miniupnpd
  }}
  chain postrouting {{ type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    meta nfproto ipv4 oifname "wan0" masquerade {how}
  }}
}}
"""

OFF = """
table inet off {
  chain input { type filter hook input priority -300; policy drop;
  }
  chain forward { type filter hook forward priority -300; policy drop;
  }
}
"""

NETLINK_NETFILTER = 12
CT_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
NLM_REQUEST_ACK = 1 | 4

CONFIG = """
ext_ifname=wan0
listening_ip=lan0
{ipv6}
{protocols}
http_port={http_port}
secure_mode={secure}
min_lifetime=10
uuid=6d6e7570-0000-4000-8000-{uuid:012d}
lease_file={leases}
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
{more}
allow 1-65535 {lan}.0/24 1-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


class Gateway:
    """miniupnpd on router (a host with wan0 and lan0)."""

    def __init__(self, lab, router, lan, nat="", upnp=True, natpmp=True, ipv6=False, http_port=0,
                 more=(), uuid=1, secure=True):
        self.lab, self.router, self.lan = lab, router, lan
        self.protocols = {"enable_upnp": upnp, "enable_natpmp": natpmp}  # the latter is PCP, too
        self.ipv6, self.http_port, self.more, self.uuid = ipv6, http_port, list(more), uuid
        self.secure = secure  # a host can delete only what leads to itself
        self.process = None
        self.nat = nat
        self.clear()

    def clear(self):
        """A router that has just been switched on: no mappings, no connections."""
        self.router.nft(RULES.format(how=self.nat))

    def start(self):
        name = f"miniupnpd-{self.router.name}"
        leases = self.lab.path(name + ".leases")
        if os.path.exists(leases):
            os.unlink(leases)
        config = self.lab.write(name + ".conf", CONFIG.format(
            ipv6="ipv6_disable=no" if self.ipv6 else "ipv6_disable=yes",
            protocols="\n".join(f"{k}={'yes' if v else 'no'}" for k, v in self.protocols.items()),
            http_port=self.http_port, uuid=self.uuid, leases=leases, more="\n".join(self.more),
            lan=self.lan, secure="yes" if self.secure else "no"))
        self.process = self.router.start(
            ["miniupnpd", "-d", "-f", config, "-P", self.lab.path(name + ".pid")], name)
        self.process.wait_for_line(r"HTTP listening on port|listening on .*5351|Listening")
        return self

    def stop(self):
        """As when its plug is pulled: nothing is said, everything is forgotten."""
        self.process.kill()
        pid = self.lab.path(f"miniupnpd-{self.router.name}.pid")
        if os.path.exists(pid):
            os.unlink(pid)
        self.clear()

    def power_off(self):
        """stop(), and nothing passes: neither to it nor through it."""
        self.stop()
        self.router.nft(OFF)
        self.flush_connections()

    def power_on(self, http_port=None):
        self.router.nft("delete table inet off\n")
        if http_port is not None:
            self.http_port = http_port
        return self.start()

    def flush_connections(self):
        """A router that was off knows no connection: all of the kernel's entries go (ctnetlink)."""
        with self.router.inside():
            s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        with s:
            s.settimeout(5)
            s.sendto(struct.pack("=IHHIIBBH", 20, CT_DELETE, NLM_REQUEST_ACK, 1, 0, 0, 0, 0), (0, 0))
            error = struct.unpack("=i", s.recv(4096)[16:20])[0]
        if error not in (0, -2):  # ENOENT: there were none
            raise OSError(-error, os.strerror(-error))

    def reboot(self, http_port=None):
        self.stop()
        if http_port is not None:
            self.http_port = http_port
        return self.start()

    def drop_mappings(self):
        """Silently, as a full or faulty table does."""
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            self.router.nft(f"flush chain inet filter {chain}\n")

    def mappings(self):
        """{(transport, external port): "address:port" inside}, as the kernel has them."""
        with self.router.inside():
            text = run(["nft", "-n", "list", "chain", "inet", "filter", "prerouting_miniupnpd"])
        # miniupnpd compares the IP header's protocol field, which nft shows raw.
        return {("tcp" if int(protocol, 16) == 6 else "udp", int(port)): to
                for protocol, port, to in re.findall(
                    r"@nh,72,8 (0x\w+) th dport (\d+) dnat ip to ([\d.]+:\d+)", text)}
