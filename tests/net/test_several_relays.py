# SPDX-License-Identifier: Apache-2.0
"""Relays that are silent, and one name that leads to several of them."""
import signal
import time

from names import A, Dns, Etc
from peers import echo, need, wait_for_port
from runner import limit
from world import SECOND_NAME, World

SILENCE = 3.5  # seconds to a new session where a relay is silent: 2 s and 800 ms, and a sign-in


def asked(host, port=7000, timeout=20):
    """How long an echo service takes to answer a new session; None: it does not."""
    began = time.monotonic()
    try:
        with host.connect("127.0.0.1", port, timeout=timeout) as sock:
            sock.settimeout(timeout)
            sock.sendall(b"ping")
            if sock.recv(4) != b"ping":
                return None
    except OSError:
        return None
    return time.monotonic() - began


def refused_in(host, port=7000, timeout=20):
    """How long it takes until a new session is refused."""
    began = time.monotonic()
    try:
        with host.connect("127.0.0.1", port, timeout=timeout) as sock:
            sock.settimeout(timeout)
            assert sock.recv(1) == b"", "something answers"
    except ConnectionError:
        pass
    return time.monotonic() - began


@limit(120)
def test_a_relay_that_has_frozen_costs_three_seconds(lab):
    """Its kernel answers, and it does not: the next relay is asked, and the log names the first."""
    w = World(lab).two_relays()
    w.home.serve(7000, echo)
    first = w.start_relay(w.issue_relay("first"))
    w.start_relay(w.issue_relay("second", host=SECOND_NAME), w.second_host)
    agents = [w.agent(w.home, "home", relays=w.relays(), publish={"echo": "127.0.0.1:7000"}),
              w.agent(w.laptop, "laptop", relays=w.relays(), forward={7000: "home/echo"})]
    for agent in agents:
        for relay in w.relays():
            agent.wait_for_line(rf"link: up\b.*relay={relay}")
    assert asked(w.laptop) < 1
    first.process.signal(signal.SIGSTOP)
    try:
        took = asked(w.laptop)
        assert took and took < SILENCE, took
        agents[1].wait_for_line(rf"relay={w.relays()[0]} does not answer", 1)
        took = asked(w.laptop)  # it is known now
        assert took and took < 1, took
    finally:
        first.process.signal(signal.SIGCONT)
    agents[1].wait_for_line(rf"(relay={w.relays()[0]} answers again|up relay={w.relays()[0]})", 60)
    assert asked(w.laptop) < 1


@limit(120)
def test_a_nat_that_forgets_what_rests(lab):
    """Links and warm legs are forgotten after 20 s, without a word to either side."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    for router in (w.router_a, w.router_b):
        with router.inside():
            for name, value in (("timeout_established", "20"), ("loose", "0")):
                with open(f"/proc/sys/net/netfilter/nf_conntrack_tcp_{name}", "w",
                          encoding="ascii") as f:
                    f.write(value)
        router.nft("table inet strict { chain f { type filter hook forward priority 5; "
                   "ct state invalid drop; tcp flags & (syn|ack) == ack ct state new drop; }; }\n")
    # The publisher's link is kept by its PINGs, else nobody could tell it of the session.
    w.pair(7000, relay_blocks={"limits": "\n  ping: 10s"})
    assert asked(w.laptop) < 1
    w.laptop.nft("table inet quiet { chain o { type filter hook output priority 0; "
                 "tcp dport 443 drop; }; }\n")  # no PING of the laptop's gets out while it rests
    time.sleep(24)
    w.laptop.nft("delete table inet quiet\n")
    for _ in range(2):
        took = asked(w.laptop)
        assert took and took < SILENCE, took


@limit(120)
def test_one_name_of_two_addresses(lab):
    """Agents that look up the same name meet at the same relay, and their legs follow their link."""
    w = World(lab).two_relays()
    w.home.serve(7000, echo)
    config = w.issue_relay()
    w.start_relay(config)
    w.start_relay(config, host=w.second_host)
    there = ["45.0.0.2", "45.0.0.3"]
    for host, order in ((w.home, there), (w.laptop, there[::-1])):
        Dns(host, {w.relay_name: {A: order}}, ttl=0)
    etc = Etc(lab)
    etc.agent(w.home, w.issue_agent("home", publish={"echo": "127.0.0.1:7000"}), "home")
    etc.agent(w.laptop, w.issue_agent("laptop", forward={7000: "home/echo"}), "laptop")
    for _ in range(12):
        took = asked(w.laptop)
        assert took and took < 1, took


@limit(120)
def test_a_balancer_that_divides_connections(lab):
    """The link is at one relay and a leg at the other: that is said, by both, and at once."""
    w = World(lab).two_relays()
    w.home.serve(7000, echo)
    config = w.issue_relay()
    relays = [w.start_relay(config), w.start_relay(config, host=w.second_host)]
    balancer = lab.public("balancer", "45.0.0.50")
    balancer.start([need("haproxy"), "-f", lab.write("haproxy.cfg", (
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 300s\n timeout server 300s\n"
        "listen l\n bind 45.0.0.50:443\n balance roundrobin\n"
        " server a 45.0.0.2:443\n server b 45.0.0.3:443\n"))], "haproxy")
    wait_for_port(balancer, 443, "45.0.0.50")
    etc = Etc(lab, hosts=f"127.0.0.1 localhost\n45.0.0.50 {w.relay_name}\n")
    agent = etc.agent(w.laptop, w.issue_agent("laptop", forward={7000: "home/echo"}), "laptop")
    agent.wait_for_line(r"error link: .*the name leads to several relays", 10)
    took = refused_in(w.laptop)
    assert took < SILENCE, took
    assert not any("malformed" in relay.log() for relay in relays)
