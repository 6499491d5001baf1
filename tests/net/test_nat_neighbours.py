# SPDX-License-Identifier: Apache-2.0
"""A relay and agents that follow the NAT helper on their host: what they tell of it, to whom, and what
they make of one that is away or talks nonsense."""
import re

from console import Console, console
from fake_natd import FakeNatd
from natd import Natd, SERVER, WAN, home
from netlab import wait_until
from peers import echo
from runner import limit
from test_policy import live_session, reachable, says
from world import World, memory_kb

OTHER_WAN = "45.0.0.20"
AGAIN_S = 15  # a follower tries again every five seconds


def block(path, share=None):
    lines = f"  socket: {path}\n"
    return lines + (f"  share: {'true' if share else 'false'}\n" if share is not None else "")


def nat_of(boss, agent=None):
    words = ("agent", "status", agent) if agent else ("relay", "status")
    return boss.json(*words).get("nat")


def wait_external(boss, address, agent=None, timeout=AGAIN_S):
    return wait_until(f"the external address is {address}",
                      lambda: (nat_of(boss, agent) or {}).get("external") == address, timeout, 0.2)


def changes(boss):
    return [e for e in boss.json("relay", "events")["events"] if e["kind"] == "nat.changed"]


@limit(120)
def test_relay_tells_its_external_address(lab):
    """From a helper that comes after the relay, through changes, its end, and its return."""
    natd = FakeNatd(lab.path("natd.sock"), "45.0.0.10")
    lab.callbacks.append(natd.stop)
    w = World(lab).one_host()
    relay = w.relay(blocks={"nat": block(natd.path)})
    boss = console(w)
    assert nat_of(boss) == {"connected": False, "verdict": "unknown", "mappings": []}
    assert "is away" in boss.run("relay", "status").stdout
    natd.start()
    wait_external(boss, "45.0.0.10")
    assert nat_of(boss) == {
        "connected": True, "external": "45.0.0.10", "verdict": "one_nat",
        "sentence": "outside sees 45.0.0.10",
        "mappings": [{"protocol": "tcp", "family": "ipv4", "port": 443, "state": "mapped",
                      "external": "45.0.0.10:443"}]}
    shown = boss.run("relay", "status").stdout
    assert "45.0.0.10" in shown and "one_nat" in shown and "mapped" in shown, shown
    with boss_following(boss) as events:
        natd.move("45.0.0.11")
        wait_external(boss, "45.0.0.11", timeout=5)
        natd.map(1, "45.0.0.11:443", "verified")
        wait_until("it is verified",
                   lambda: nat_of(boss)["mappings"][0]["state"] == "verified", 5)
        natd.judge("cgnat", "ask the provider")
        events.wait_for_line("cgnat")
    assert nat_of(boss)["advice"] == "ask the provider"
    natd.stop()
    wait_until("it is away", lambda: not nat_of(boss)["connected"], 5)
    assert nat_of(boss)["mappings"] == []
    natd.start()
    wait_external(boss, "45.0.0.11")
    told = [(e["connected"], e.get("external"), e["verdict"]) for e in changes(boss)]
    assert told == [(True, "45.0.0.10", "one_nat"), (True, "45.0.0.11", "one_nat"),
                    (True, "45.0.0.11", "cgnat"), (False, None, "unknown"),
                    (True, "45.0.0.11", "cgnat")], told
    moved = boss.edited(lambda text: text.replace(natd.path, "/run/other.sock"))
    said = boss.refused("relay", "config", "apply", moved)  # a key of the host
    assert "nat.socket" in said and "own file alone" in said, said
    assert relay.process.alive()


def boss_following(boss):
    process = boss.follow("relay", "events", "--follow", "--json")

    class Following:
        wait_for_line = process.wait_for_line

        def __enter__(self):
            return self

        def __exit__(self, *_):
            process.kill()
    return Following()


@limit(150)
def test_relay_and_a_helper_that_talks_nonsense(lab):
    """Rubbish, a line without end, another program's socket: the relay works on, small as before,
    and understands the real one when it comes."""
    path = lab.path("natd.sock")
    w = World(lab).one_host()
    relay = w.relay(blocks={"nat": block(path), "control": f"  socket: {lab.path('relay.sock')}"})
    boss = console(w)
    before = memory_kb(relay.pid)
    rubbish = [b"\0\1\2 rubbish\n" * 200,
               b'{"jsonrpc": "2.0", "id": 2, "result": {"relay": "r1"}}\n',
               b"x" * (4 << 20),
               b"[" * 60000 + b"\n"]
    for said in rubbish:
        natd = FakeNatd(path, "45.0.0.10", says=said).start()
        heard = wait_until("a follower comes", lambda n=natd: n.served, AGAIN_S, 0.1)
        assert heard and nat_of(boss) == {"connected": False, "verdict": "unknown",
                                          "mappings": []}
        natd.stop()
    assert relay.log().count("makes no sense; name the socket") == 1
    assert memory_kb(relay.pid) < before + 4096
    natd = FakeNatd(path, "45.0.0.10").start()
    lab.callbacks.append(natd.stop)
    wait_external(boss, "45.0.0.10")


def test_agents_hand_each_other_candidates(lab):
    """Verified ones first; not what leads to another host; what a relay has seen last, where no
    helper knows that address for datagrams; nothing to consoles; nothing at all with nat.share:
    false, which is in force at once."""
    at_home, at_laptop = (FakeNatd(lab.path(f"natd-{n}.sock"), a) for n, a in
                          (("home", "45.0.0.20"), ("laptop", "45.0.0.10")))
    for natd in (at_home, at_laptop):
        lab.callbacks.append(natd.start().stop)
    at_home.map(2, "45.0.0.20:5000", "verified", protocol="udp")
    at_home.map(3, "45.0.0.20:6000", "verified", host="192.168.20.9")
    at_home.map(4, "45.0.0.20:7000", "refused")
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    _relay, home, laptop = w.pair(7000, home_blocks={"nat": block(at_home.path, True)},
                                  laptop_blocks={"nat": block(at_laptop.path)})
    boss = console(w)
    wait_external(boss, "45.0.0.20", "home")
    wait_external(boss, "45.0.0.10", "laptop")
    assert "45.0.0.20:5000" in boss.run("agent", "status", "home").stdout
    for agent in ("home", "laptop"):
        wait_until(f"{agent} is told by the relay",
                   lambda a=agent: "seen_udp" in boss.json("agent", "status", a)["links"][0], 5)
    by_tcp, seen = "tcp:45.0.0.10:443", "udp:45.0.0.10:*/srflx"
    with live_session(w.laptop) as s:
        assert candidates(boss, "home") == {"laptop": [by_tcp, seen], "boss": None}
        theirs = candidates(boss, "laptop")
        assert theirs == {"home": ["udp:45.0.0.20:5000", "tcp:45.0.0.20:443"], "boss": None}, theirs
        assert "udp:45.0.0.20:5000" in boss.run("agent", "status", "laptop").stdout
        home.wait_for_line(r"session: candidates .*agent=laptop tcp:45\.0\.0\.10:443 "
                           r"udp:45\.0\.0\.10:\d+/srflx$")
        silent = boss.edited(lambda text: text.replace("share: true", "share: false"), agent="home")
        assert boss.json("agent", "config", "apply", "home", silent)["restart"] == []
        says(s)
    with live_session(w.laptop) as s:
        assert candidates(boss, "laptop") == {"home": None, "boss": None}
        assert candidates(boss, "home")["laptop"] == [by_tcp, seen]
    at_laptop.stop()
    wait_until("laptop's helper is away",
               lambda: not nat_of(boss, "laptop")["connected"], 5)
    with live_session(w.laptop):
        assert candidates(boss, "home")["laptop"] == [seen]
    moved = boss.edited(lambda text: text.replace(at_home.path, "/run/other.sock"), agent="home")
    said = boss.refused("agent", "config", "apply", "home", moved)  # a key of the host
    assert "nat.socket" in said and "own file alone" in said, said
    assert home.alive() and laptop.alive() and reachable(w.laptop)


def candidates(boss, agent):
    """By peer; of what a relay has seen the port is a star, which no test can know."""
    told = {s["peer"]: s.get("candidates") for s in boss.json("agent", "status", agent)["sessions"]}
    return {peer: listed and [re.sub(r":\d+/srflx$", ":*/srflx", c) for c in listed]
            for peer, listed in told.items()}


def places(boss, agent=None):
    return {(m["protocol"], m["port"]): m.get("external")
            for m in nat_of(boss, agent)["mappings"] if m["family"] == "ipv4"}


@limit(90)
def test_relay_behind_a_real_router(lab):
    """postern-natd, miniupnpd, an agent outside that comes in through the mapping; then the router
    has another address, and natd another configuration."""
    gateway, host, server = home(lab)
    natd = Natd(host, file=maps("tcp: 443", "udp: 443"))
    w = World(lab)
    w.relay_host, w.visitor, w.relay_name = host, server, "home.example.org"
    w.relay(blocks={"nat": block(natd.socket), "control": f"  socket: {lab.path('relay.sock')}"})
    inside = Console(host, "--socket", lab.path("relay.sock"))
    wait_external(inside, WAN)
    wait_until("both are mapped", lambda: places(inside) == {
        ("tcp", 443): f"{WAN}:443", ("udp", 443): f"{WAN}:443"}, 10)
    away = w.agent(server, "away")
    wait_until("the mapping is verified", lambda: any(
        m["state"] == "verified" for m in nat_of(inside)["mappings"]), 10)
    # Never without an address, and of another prefix, so that it does not go with the first one.
    gateway.router.ip("addr", "add", f"{OTHER_WAN}/25", "dev", "wan0")
    gateway.router.ip("addr", "del", f"{WAN}/24", "dev", "wan0")
    gateway.router.ip("route", "replace", "default", "via", SERVER)
    wait_external(inside, OTHER_WAN, timeout=20)
    wait_until("both are elsewhere", lambda: places(inside) == {
        ("tcp", 443): f"{OTHER_WAN}:443", ("udp", 443): f"{OTHER_WAN}:443"}, 10)
    assert OTHER_WAN in nat_of(inside)["sentence"]
    natd.reload(maps("tcp: 443", "tcp: 5000"))
    wait_until("what is no longer wanted is gone", lambda: places(inside) == {
        ("tcp", 443): f"{OTHER_WAN}:443", ("tcp", 5000): f"{OTHER_WAN}:5000"}, 10)
    natd.stop()
    wait_until("natd is away", lambda: not nat_of(inside)["connected"], 5)
    assert [e.get("external") for e in changes(inside)][-1] is None
    assert away.alive()


def maps(*ports):
    return "map:\n" + "".join("  - protocol: {}\n    port: {}\n".format(*p.split(": "))
                              for p in ports)
