# SPDX-License-Identifier: Apache-2.0
"""'postern stun' against coturn: every type of NAT, over UDP and TCP, by name and SRV."""
import json
import os
import socket
import struct

from fakes import answer_datagrams, udp as udp_socket
from netlab import wait_until
from runner import once

SERVER, OTHER = "45.0.0.2", "45.0.0.3"


def coturn(lab, host, *addresses):
    """coturn as a STUN server; with two addresses it speaks RFC 5780."""
    if len(addresses) > 1:
        host.ip("addr", "add", f"{addresses[1]}/24", "dev", "eth0")
    listen = [x for a in addresses for x in ("-L", a)]
    server = host.start(["turnserver", "-n", "-S", *listen, "-p", "3478",
                         "--alt-listening-port=3479", "--no-cli", "--no-tls", "--no-dtls",
                         "--pidfile", lab.path("turnserver.pid"), "-l", "stdout",
                         "--db", lab.path("turndb")], "turnserver")
    server.wait_for_line(r"(UDP|TCP) listener opened on|IO method")

    def answers():
        with host.inside():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.settimeout(0.2)
            s.sendto(b"\0\1\0\0\x21\x12\xa4\x42" + os.urandom(12), (addresses[0], 3478))
            try:
                return s.recv(500)
            except TimeoutError:
                return None

    wait_until("coturn answers", answers)
    return server


def stun(lab, host, *arguments, check=True):
    done = host.run([f"{lab.build}/postern", "stun", *arguments, "--json"], check=check, timeout=60)
    return json.loads(done.stdout) if done.stdout else done


def world(lab, nat, *addresses):
    lab.internet()
    server = lab.public("server", SERVER)
    router, host = lab.home("a", "45.0.0.10", "192.168.10", ["host"], nat)
    coturn(lab, server, *(addresses or (SERVER, OTHER)))
    return server, router, host


def classify(lab, nat, name, mapping, filtering):
    _, _, host = world(lab, nat)
    udp = stun(lab, host, SERVER, "--nat")["servers"][0]["udp"]
    assert udp["external"].startswith("45.0.0.10:"), udp
    assert (udp["nat"], udp["mapping"], udp["filtering"]) == (name, mapping, filtering), udp
    assert udp["meaning"], udp


@once
def test_stun_full_cone(lab):
    classify(lab, "full-cone", "full cone", "endpoint-independent", "endpoint-independent")


@once
def test_stun_address_restricted(lab):
    classify(lab, "address-restricted", "address-restricted", "endpoint-independent",
             "address-dependent")


@once
def test_stun_port_restricted(lab):
    classify(lab, "port-restricted", "port-restricted", "endpoint-independent",
             "address-and-port-dependent")


@once
def test_stun_symmetric(lab):
    classify(lab, "symmetric", "symmetric", "address-and-port-dependent",
             "address-and-port-dependent")


@once
def test_stun_hairpinning(lab):
    """A router that leads what its LAN sends to the external address back in, and one that does not."""
    _, router, host = world(lab, "full-cone")
    udp = stun(lab, host, SERVER, "--nat")["servers"][0]["udp"]
    assert (udp["hairpinning"], udp["nat"]) == ("no", "full cone"), udp
    # Where the bridge shows what it carries to nftables, it would send it back by the port that it
    # came from, which bridges do not.
    bridge = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    with router.inside():
        if os.path.exists(bridge):
            with open(bridge, "w", encoding="ascii") as f:
                f.write("0")
    router.nft("""table ip hairpin {
  chain inwards { type nat hook prerouting priority -110; policy accept;
    iifname "lan0" ip daddr 45.0.0.10 meta l4proto udp dnat to 192.168.10.2
  }
  chain outwards { type nat hook postrouting priority 90; policy accept;
    oifname "lan0" ip saddr 192.168.10.0/24 ip daddr 192.168.10.0/24 masquerade
  }
}
""")
    udp = stun(lab, host, SERVER, "--nat")["servers"][0]["udp"]
    assert (udp["hairpinning"], udp["nat"]) == ("yes", "full cone"), udp


@once
def test_stun_without_nat(lab):
    server, _, _ = world(lab, "port-restricted")
    visitor = lab.public("visitor", "45.0.0.100")
    udp = stun(lab, visitor, SERVER, "--nat")["servers"][0]["udp"]
    assert (udp["nat"], udp["mapping"]) == ("open", "none"), udp
    server.nft("table inet f {\n chain in { type filter hook input priority 0; policy accept;\n"
               "ip saddr 45.0.0.100 udp dport 3479 drop\n }\n}\n")
    udp = stun(lab, visitor, SERVER, "--nat")["servers"][0]["udp"]
    assert udp["external"].startswith("45.0.0.100:"), udp


@once
def test_stun_binding_lifetime(lab):
    """How long the NAT keeps a binding that is not used, found out by waiting."""
    _, router, host = world(lab, "port-restricted")
    with router.inside():
        for name in ("", "_stream"):
            with open(f"/proc/sys/net/netfilter/nf_conntrack_udp_timeout{name}", "w",
                      encoding="ascii") as f:
                f.write("4")
    # Symmetric from now on, so that a binding that is made anew is another one.
    router.nft('insert rule inet filter postrouting meta nfproto ipv4 oifname "wan0" '
               'masquerade fully-random\n')
    udp = stun(lab, host, SERVER, "--lifetime", "30")["servers"][0]["udp"]
    assert udp["gone_s"] and udp["gone_s"] <= 15 and (udp["alive_s"] or 0) <= 5, udp


@once
def test_stun_servers_compared(lab):
    """Several servers agree behind a cone, and differ in the port behind a symmetric NAT; a server
    that does not speak RFC 5780 says what it cannot know."""
    lab.internet()
    _, cone = lab.home("a", "45.0.0.10", "192.168.10", ["cone"], "port-restricted")
    _, symmetric = lab.home("b", "45.0.0.20", "192.168.20", ["symmetric"], "symmetric")
    for name, address in (("one", "45.0.0.2"), ("two", "45.0.0.3")):
        coturn(lab, lab.public(name, address), address)
    servers = ("45.0.0.2:3478", "45.0.0.3:3478")
    result = stun(lab, cone, *servers)
    assert result["ipv4"]["agreement"] == "agree", result
    assert result["ipv4"]["external"].startswith("45.0.0.10:"), result
    for s in result["servers"]:
        assert s["tcp"]["external"].startswith("45.0.0.10:"), s
        assert "nat" not in s["udp"], s
    result = stun(lab, symmetric, *servers)
    assert result["ipv4"]["agreement"] == "ports_differ", result
    udp = stun(lab, cone, servers[0], "--nat")["servers"][0]["udp"]
    assert udp["filtering"] is None and "second address" in udp["why"]["filtering"], udp


class Names:
    """A name server that knows the answers it was given: {(name, type): rdata}."""

    def __init__(self, lab, host, answers):
        self.answers, self.asked = answers, []
        answer_datagrams(lab, udp_socket(host, 53), self.answer)

    def answer(self, query, _peer):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind, = struct.unpack("!H", query[at + 1:at + 3])
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        found = self.answers.get((name, kind), [])
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        return head + query[12:at + 5] + b"".join(
            struct.pack("!HHHIH", 0xc00c, kind, 1, 60, len(data)) + data for data in found)


A, SRV = 1, 33


def srv(priority, port, target):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in target.split("."))
    return struct.pack("!HHH", priority, 0, port) + labels + b"\0"


@once
def test_stun_by_srv(lab):
    """A name without a port: its SRV records, in order of priority; else the name at 3478."""
    _, _, host = world(lab, "port-restricted", SERVER)
    names = Names(lab, host, {
        ("_stun._udp.example.net", SRV): [srv(20, 3478, "worse.example.net"),
                                          srv(10, 3478, "better.example.net")],
        ("better.example.net", A): [socket.inet_aton(SERVER)],
        ("worse.example.net", A): [socket.inet_aton(SERVER)],
        ("plain.example.net", A): [socket.inet_aton(SERVER)],
    })
    os.mkdir(lab.path("etc"))
    lab.write("etc/resolv.conf", "nameserver 127.0.0.1\n")
    lab.write("etc/hosts", "127.0.0.1 localhost\n")

    def by_name(name):
        command = (f"mount --bind {lab.path('etc')} /etc && "
                   f"exec {lab.build}/postern stun {name}")
        out = host.run(["unshare", "-m", "sh", "-c", command + " --json"], timeout=60).stdout
        return [s["server"] for s in json.loads(out)["servers"]
                if s["udp"]["external"].startswith("45.0.0.10:")]

    assert by_name("example.net") == ["better.example.net", "worse.example.net"], names.asked
    assert by_name("plain.example.net") == ["plain.example.net"], names.asked
    assert ("_stun._udp.plain.example.net", SRV) in names.asked


@once
def test_stun_words(lab):
    """What people read, and what they are told when no answer comes."""
    _, _, host = world(lab, "port-restricted")
    out = host.run([f"{lab.build}/postern", "stun", SERVER, "--nat"], timeout=60).stdout
    for words in ("over UDP", "45.0.0.10:", "NAT           port-restricted", "that means",
                  "over TCP"):
        assert words in out, out
    done = host.run([f"{lab.build}/postern", "stun", "no host"], check=False)
    assert done.returncode == 2 and "is no server" in done.stderr, done.stderr
