# SPDX-License-Identifier: Apache-2.0
"""Agents and consoles with two relays: each is of use alone, and none stands for the other."""
import os
import re
import signal
import threading

from console import console
from netlab import wait_until
from peers import receive_exactly
from runner import limit
from test_policy import live_session, reachable, says
from world import SECOND_NAME, World, set_blocks, with_block

SOON = 5  # seconds; what is noticed by the end of a connection takes milliseconds


class Ends:
    """An echo service that remembers how each connection ended."""

    def __init__(self, host, port):
        self.seen, self.lock = [], threading.Lock()
        host.serve(port, self.one)

    def one(self, sock, _peer):
        try:
            while got := sock.recv(1 << 16):
                sock.sendall(got)
            how = "end"
        except OSError:
            how = "reset"
        with self.lock:
            self.seen.append(how)


class Cast:
    """Two relays; home on both; laptop, which prefers the first; other, which prefers the second;
    and a console that has the relays in that order."""

    def __init__(self, lab):
        w = self.w = World(lab).two_relays()
        self.ends = Ends(w.home, 7000)
        self.configs = [w.issue_relay("first"), w.issue_relay("second", host=SECOND_NAME)]
        self.first = w.start_relay(self.configs[0])
        self.second = w.start_relay(self.configs[1], w.second_host)
        there = w.relays()
        self.boss = console(w, relays=there)
        self.agents = {
            "home": self.start(w.home, "home", there, publish={"echo": "127.0.0.1:7000"}),
            "laptop": self.start(w.laptop, "laptop", there, forward={7000: "home/echo"}),
            "other": self.start(w.router_a, "other", there[::-1], forward={7001: "home/echo"}),
        }

    def start(self, host, name, relays, blocks=None, **issue):
        agent = self.w.agent(host, name, relays=relays,
                             blocks={"retry_max": "2s", **(blocks or {})}, **issue)
        self.links_up(agent, relays)
        return agent

    def again(self, name, host, relays=None):
        """Ends it, and starts it with the same file."""
        agent = self.agents[name]
        agent.signal(signal.SIGTERM)
        agent.wait()
        agent = self.agents[name] = self.w.start_agent(host, agent.config, name, wait=False)
        self.links_up(agent, relays or self.w.relays())
        return agent

    @staticmethod
    def links_up(agent, relays, timeout=20):
        for relay in relays:
            agent.wait_for_line(rf"link: up\b.*relay={relay}", timeout)

    def by_laptop(self):
        return live_session(self.w.laptop)

    def by_other(self):
        return live_session(self.w.router_a, 7001)

    def sessions(self, relay):
        """Whose sessions a relay carries."""
        listed = self.boss.at(relay).json("relay", "sessions")["sessions"]
        return sorted(s["from"] for s in listed)

    def expect_sessions(self, first, second):
        for relay, expected in zip(self.w.relays(), (first, second)):
            wait_until(f"sessions at {relay}: {expected}",
                       lambda r=relay, e=expected: self.sessions(r) == e, SOON, 0.1)


def is_reset(sock, timeout=SOON):
    """Whether the connection ends as one that was cut, and never looks like an orderly end."""
    sock.settimeout(timeout)
    try:
        sock.recv(1)
    except ConnectionResetError:
        return True
    except TimeoutError:
        pass
    return False


@limit(90)
def test_relays_kill(lab):
    """A relay dies: its sessions are cut, new ones take the other, whose own do not notice."""
    cast = Cast(lab)
    first, _second = cast.w.relays()
    with cast.by_laptop() as cut, cast.by_other() as untouched:
        cast.expect_sessions(["laptop"], ["other"])
        for agent in cast.agents.values():
            agent.remember()
        cast.first.process.kill()
        assert is_reset(cut), "the end of a killed relay's session looks like an orderly one"
        wait_until("the service's side is cut", lambda: cast.ends.seen == ["reset"], SOON)
        assert reachable(cast.w.laptop), "the first session after a relay's death failed"
        says(untouched)
        with cast.by_laptop():
            wait_until("both go by the second relay",
                       lambda: cast.sessions(SECOND_NAME) == ["laptop", "other"], SOON, 0.1)
        cast.w.start_relay(cast.configs[0])
        for agent in cast.agents.values():
            cast.links_up(agent, [first])
        with cast.by_laptop():
            cast.expect_sessions(["laptop"], ["other"])
        says(untouched)
    assert cast.ends.seen.count("reset") == 1, cast.ends.seen


@limit(120)
def test_relays_drain(lab):
    """A relay drains: what runs there goes on, new sessions take the other until it is back."""
    cast = Cast(lab)
    first, second = cast.w.relays()
    at_first = cast.boss.at(first)
    with cast.by_laptop() as stays, cast.by_other() as untouched:
        at_first.run("relay", "drain", "--deadline", "60s")
        assert not cast.boss.at(second).json("relay", "status")["draining"]
        for _ in range(5):
            assert reachable(cast.w.laptop), "a session failed while one of two relays drained"
        with cast.by_laptop():
            cast.expect_sessions(["laptop"], ["laptop", "other"])
        says(stays)
        for agent in cast.agents.values():
            agent.remember()
        at_first.run("relay", "undrain")
        for agent in cast.agents.values():
            cast.links_up(agent, [first], 30)
        with cast.by_laptop():
            cast.expect_sessions(["laptop", "laptop"], ["other"])
        says(stays)
        # For good: what has not ended by the deadline is cut.
        at_first.run("relay", "drain", "--deadline", "1s", "--exit")
        assert is_reset(stays)
        assert cast.first.process.wait(SOON) == 0
        assert reachable(cast.w.laptop)
        says(untouched)


@limit(90)
def test_relays_console(lab):
    """A console sees and changes each relay on its own; what must hold everywhere, it does
    everywhere."""
    cast = Cast(lab)
    first, second = cast.w.relays()
    boss, at_second = cast.boss, cast.boss.at(second)
    assert boss.json("relay", "status")["relay"] == "first", "the first is the one meant"
    assert at_second.json("relay", "status")["relay"] == "second"
    assert boss.at(SECOND_NAME).json("relay", "status")["relay"] == "second", "by host alone"
    said = boss.at("relay3.example.org").refused("relay", "status")
    assert first in said and second in said, said
    for relay in (first, second):
        present = {a["agent"] for a in boss.at(relay).json("relay", "agents")["agents"]
                   if a["online"]}
        assert present == {"home", "laptop", "other"}, f"{relay}: {present}"
    agents = {a["agent"]: a for a in boss.json("agent", "list")["agents"]}
    assert agents["home"]["relays"] == [first, second] and agents["home"]["online"], agents
    assert agents["home"]["services"] == ["echo"] and agents["home"]["links"] == 2, agents
    only = at_second.json("agent", "list")["agents"]
    assert {tuple(a["relays"]) for a in only} == {(second,)}, only
    # A change of one.
    at_second.run("relay", "config", "apply", at_second.edited(
        lambda text: with_block(text, "limits", "  per_source: 77")))
    assert "per_source: 77" in at_second.run("relay", "config", "get").stdout
    assert "per_source: 77" not in boss.run("relay", "config", "get").stdout
    assert (boss.revision(), at_second.revision()) == (1, 2)
    # Grants: of one relay by --at, else of all.
    with cast.by_laptop() as at_one, cast.by_other() as at_other:
        at_second.run("grant", "laptop", "home/echo")
        wait_until("no grant at the second relay", lambda: cast.sessions(second) == [], SOON, 0.1)
        assert is_reset(at_other)
        says(at_one)
        assert not reachable(cast.w.router_a, 7001) and reachable(cast.w.laptop)
        said = boss.run("grant", "other", "home/echo").stdout
        assert first in said and second in said, said
        assert reachable(cast.w.router_a, 7001)
    assert not reachable(cast.w.laptop), "the first relay has a rule now, and none for it"
    # Revocations: of all.
    boss.run("revoke", "other")
    for relay in (first, second):
        wait_until(f"{relay}: no link of other", lambda r=relay: "other" not in {
            a["agent"] for a in boss.at(r).json("relay", "agents")["agents"] if a["online"]},
            SOON, 0.1)
    # With one relay gone, it is told of all that was meant for it, and the other goes on.
    cast.first.process.kill()
    assert first in boss.refused("relay", "status")
    said = boss.refused("grant", "laptop", "home/echo", "--rate", "1MB/s")
    assert "1 of 2" in said, said
    assert "1MB/s" in str(at_second.json("grants"))
    done = boss.run("agent", "list", check=False)
    assert done.returncode == 1 and "1 of 2" in done.stderr, done.stderr
    assert "laptop" in done.stdout and second in done.stdout, done.stdout
    assert boss.json("agent", "status", "home")["agent"] == "home", "by the other relay"


@limit(120)
def test_what_is_signed_counts_by_each_relay(lab):
    """The second relay is never told; home holds to it by both, over its restart, until a console
    takes it back."""
    cast = Cast(lab)
    w, boss = cast.w, cast.boss
    first, second = w.relays()
    kept = lab.path("home-state")
    os.mkdir(kept, 0o700)
    set_blocks(cast.agents["home"].config, {"state_dir": kept})
    home = cast.again("home", w.home)
    wait_until("other reaches home", lambda: reachable(w.router_a, 7001), 20, 0.5)
    said = boss.at(first).run("revoke", "other").stdout
    assert re.search(r"signed by console:boss, until 20\d\d-", said), said
    home.wait_for_line(rf"relay={first} tells that console boss has revoked other", 5)
    assert boss.json("agent", "status", "home")["revoked_signed"] == 1
    names = {a["agent"] for a in boss.at(second).json("relay", "agents")["agents"] if a["online"]}
    assert "other" in names, f"the second relay was told: {names}"
    assert boss.at(second).json("grants")["signed"] == []
    assert not reachable(w.router_a, 7001) and reachable(w.laptop)
    cast.first.process.kill()
    home = cast.again("home", w.home, relays=[second])
    assert not reachable(w.router_a, 7001)
    wait_until("laptop reaches home", lambda: reachable(w.laptop), 20, 0.5)
    # By the second relay's word: it says that it is none but that, and takes nothing back.
    assert "not revoked" in boss.at(second).refused("unrevoke", "other")
    boss.at(second).run("unrevoke", "other", "--anyway")
    home.wait_for_line(r"console boss has taken back the revocation of other", 5)
    wait_until("other reaches home again", lambda: reachable(w.router_a, 7001), 20, 0.5)
    files = [f for f in os.listdir(kept) if f.startswith("revocations-")]
    assert len(files) == 2 and any(os.path.getsize(os.path.join(kept, f)) for f in files), files
