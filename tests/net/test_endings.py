# SPDX-License-Identifier: Apache-2.0
"""Where a session ended: each cause has a code of its own, the same in log, audit and events."""
import re
import signal
import socket
import struct

from console import in_utc
from netlab import wait_until
from peers import ends, receive_exactly
from runner import limit
from test_policy import cast, live_session, reachable, turned_away
from world import set_blocks

LINGER = struct.pack("ii", 1, 0)  # close() resets


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    sock.close()


def audited(boss, kind="session.closed"):
    """The codes so far, oldest first."""
    records = boss.json("relay", "audit")["audit"]
    return [r["ending"] for r in records if r["kind"] == kind]


class Ends:
    """Waits for the code of the next end, in the audit and in the log of the same program."""

    def __init__(self, boss, relay):
        self.boss, self.relay, self.seen = boss, relay, {}

    def next(self, wanted, kind="session.closed"):
        seen = self.seen.get(kind, 0)
        wait_until(f"one more {kind}", lambda: len(audited(self.boss, kind)) > seen, 5, 0.05)
        self.seen[kind] = seen + 1
        got = audited(self.boss, kind)[seen]
        assert re.fullmatch(wanted, got), f"{kind} number {seen + 1}: {got} in place of {wanted}"
        self.relay.process.wait_for_line(rf"(closed|refused) .*\bending={wanted} ", 5)


def home_again(w, boss, config, name):
    """Home's agent once more; it is up a moment before the relay knows what it publishes."""
    agent = w.start_agent(w.home, config, name)

    def publishes():
        agents = {a["agent"]: a for a in boss.json("relay", "agents")["agents"]}
        return agents["home"]["services"] == ["echo"]

    wait_until("home publishes echo", publishes, 5, 0.05)
    return agent


@limit(90)
def test_endings_at_the_relay(lab):
    """The same few seconds of an echo session, ended in every way that an operator has."""
    # A configuration that is applied brings its own level along.
    w, relay, _home, laptop, boss = cast(lab, relay_blocks={"log_level": "info"})
    end = Ends(boss, relay)
    with live_session(w.laptop) as s:
        s.shutdown(socket.SHUT_WR)
        assert ends(s, 5)
    end.next("---")
    with live_session(w.laptop):
        number = boss.json("relay", "sessions")["sessions"][0]["session"]
        boss.run("relay", "kick", number)
        end.next("SDK")
    with live_session(w.laptop) as s:
        boss.run("grant", "other", "home/echo")  # from now on only what is granted is allowed
        end.next("SDC")
    boss.run("grant", "laptop", "home/echo")
    with live_session(w.laptop) as s:
        boss.run("ungrant", "laptop", "home/echo")
        end.next("SDU")
    assert turned_away(w.laptop, 5)
    end.next("SON", "session.refused")
    laptop.wait_for_line(r"home/echo: .*not allowed.* ending=FON", 5)
    boss.run("grant", "laptop", "home/echo", "--until", in_utc(4))
    with live_session(w.laptop) as s:
        assert ends(s, 8)
    end.next("SDW")
    boss.run("grant", "laptop", "home/echo")
    with live_session(w.laptop) as s:
        boss.run("revoke", "laptop")
        end.next("SDV")


def test_endings_by_draining(lab):
    """A session that outlives the drain's time is on record before the relay is gone."""
    w, relay, _home, _laptop, boss = cast(lab, relay_blocks={"drain": "1s"})
    followed = boss.follow("relay", "audit", "--follow")
    followed.wait_for_line("session.opened|$")
    with live_session(w.laptop) as s:
        followed.wait_for_line("session.opened")
        relay.signal(15)
        assert ends(s, 5)
        relay.process.wait_for_line(r"time is up, 1 sessions", 3)
        relay.process.wait_for_line(r"closed .* ending=SDD ", 3)
        followed.wait_for_line(r"session.closed .* ending=SDD", 3)
    assert relay.process.wait(5) == 0


@limit(90)
def test_endings_by_one_agent(lab):
    """What home alone ends, by its own file, has one reason in its log, on the relay's record, and at
    laptop: an `allow` list that names laptop no more, a target that lies outside, a service that is gone."""
    w, relay, home, laptop, boss = cast(lab)
    echoes = "  - service: echo\n    target: localhost:7000"
    changes = [
        ("N", {"publish": f"{echoes}\n    allow: [friend]"}),
        ("N", {"targets": "['127.0.0.2:7000']"}),
        ("Y", {"publish": "[]"}),
    ]
    set_blocks(home.config, {"publish": echoes})
    home.signal(signal.SIGHUP)
    with open(home.config, encoding="utf-8") as f:
        before = f.read()
    for number, (letter, blocks) in enumerate(changes):
        with live_session(w.laptop) as s:
            for program in (relay.process, home, laptop):
                program.remember()
            set_blocks(home.config, blocks)
            home.signal(signal.SIGHUP)
            assert ends(s, 3), f"{blocks}: the session goes on"
        home.wait_for_line(rf"session: closed .*role=publishing .*ending=SD{letter} ", 3)
        relay.process.wait_for_line(rf"closed session=.* from=laptop .*ending=PD{letter} "
                                    'reason="the publishing agent ended it: ', 3)
        laptop.wait_for_line(rf"session: closed .*role=asking .*ending=FD{letter} "
                             "reason=the publishing agent ended it: ", 3)
        if number < 2:
            with open(home.config, "w", encoding="utf-8") as f:
                f.write(before)
            home.signal(signal.SIGHUP)
            wait_until("echo is back", lambda: reachable(w.laptop), 10, 0.2)
    assert [code for code in audited(boss) if code != "---"] == ["PDN", "PDN", "PDY"]
    events = boss.json("agent", "events", "laptop")["events"]
    codes = [e["ending"] for e in events
             if e["kind"] == "session.closed" and e["role"] == "asking"]
    assert [code for code in codes if code != "---"] == ["FDN", "FDN", "FDY"], codes


def test_endings_by_the_sides(lab):
    """A client and a target that reset, half-closed or not, and what the agents say of it."""
    w, relay, home, laptop, boss = cast(lab)
    end = Ends(boss, relay)
    s = live_session(w.laptop)
    reset(s)
    end.next("ADR")
    laptop.wait_for_line(r"closed .*role=asking .*ending=LDR ", 5)
    home.wait_for_line(r"closed .*role=publishing .*ending=FD[RX] ", 5)
    taken = []

    def breaks(sock, _peer):
        taken.append(sock.recv(5))
        sock.sendall(taken[-1])
        while sock.recv(100):
            pass
        reset(sock)

    w.home.serve(7001, breaks)
    set_blocks(home.config, {"publish": "  - service: echo\n    target: 127.0.0.1:7001"})
    home.signal(15)
    assert home.wait(5) == 0
    home = home_again(w, boss, home.config, "home-again")
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"
        s.shutdown(socket.SHUT_WR)
        assert ends(s, 5)
    end.next("P[DE]R")  # close_notify may be ahead of the end of TCP
    home.wait_for_line(r"closed .*role=publishing .*ending=LER ", 5)
    laptop.wait_for_line(r"closed .*role=asking .*ending=FE[RX] ", 5)
    # The agents' own stop, and a target that is not there.
    with live_session(w.laptop):
        home.signal(15)
        assert home.wait(5) == 0
        end.next("PDR")
        home.wait_for_line(r"closed .*ending=SDS ", 5)
        laptop.wait_for_line(r"closed .*role=asking .*ending=FD[RX] ", 5)  # half a second later
    set_blocks(home.config, {"publish": "  - service: echo\n    target: 127.0.0.1:9"})
    home = home_again(w, boss, home.config, "home-down")
    assert turned_away(w.laptop, 5)
    home.wait_for_line(r"refused .*ending=LTP ", 5)
    laptop.wait_for_line(r"home/echo: .* ending=FHP", 5)
    relay.process.remember()
    home.signal(15)
    assert home.wait(5) == 0
    relay.process.wait_for_line(r"link: down agent=home", 5)
    assert turned_away(w.laptop, 5)
    laptop.wait_for_line(r"home/echo: .* ending=FOO", 5)
    events = boss.json("agent", "events", "laptop")["events"]
    codes = [e["ending"] for e in events if "ending" in e]
    assert codes[:2] == ["LDR", codes[1]] and codes[-2:] == ["FHP", "FOO"], codes
    assert all(re.fullmatch(r"[-A-Z]{3}", c) for c in codes), codes
