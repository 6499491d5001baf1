# SPDX-License-Identifier: Apache-2.0
"""Rules of a policy, as the network feels them: hours, groups, networks, caps, rates, and what a
changed rule does to sessions that run."""
import datetime
import time
from concurrent.futures import ThreadPoolExecutor

from console import in_utc
from netlab import wait_until
from runner import limit
from test_limits import send_without_end
from test_managed import publishing
from test_policy import cast, live_session, reachable, says
from test_relays import is_reset
from world import with_block

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def window(begin, end):
    """A window of hours from begin to end, in minutes from now: right at any time of any day."""
    starts, ends = (time.gmtime(time.time() + 60 * m) for m in (begin, end))
    return f"{DAYS[starts.tm_wday]} {starts.tm_hour:02}:{starts.tm_min:02}-" \
           f"{ends.tm_hour:02}:{ends.tm_min:02}"


def windows():
    """(open, over, to come).  A test takes less than their margins: none opens or closes
    meanwhile."""
    return window(-20, 20), window(-60, -20), window(20, 60)


def moment(text):
    """The seconds since 1970 of a time as the programs write it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def policy(boss, *rules, groups=()):
    """Puts these rules in force, in place of those before."""
    text = "\n".join(f"  - {{from: [{f}], to: [{t}]{''.join(', ' + x for x in more)}}}"
                     for f, t, *more in rules)
    names = "\n".join(f"  - {{name: {name}, members: [{', '.join(of)}]}}" for name, of in groups)

    def change(old):
        old = with_block(old, "policy", text)
        return with_block(old, "groups", names) if names else old
    boss.run("relay", "config", "apply", boss.edited(change))


ECHO = ("laptop", "home/echo")


@limit(90)
def test_rules_hours(lab):
    """Only within its hours a rule allows; one that is out of them ends what it allowed."""
    w, *_, boss = cast(lab)
    now, over, later = windows()
    for hours in (over, later, f"{over}, {later}"):
        policy(boss, (*ECHO, f"hours: '{hours}'"))
        assert not reachable(w.laptop), f"allowed in {hours} at {time.gmtime()}"
    for hours in (now, f"{over}, {now}", f"{later}, {now}"):
        policy(boss, (*ECHO, f"hours: '{hours}'"))
        assert reachable(w.laptop), f"not allowed in {hours} at {time.gmtime()}"
    with live_session(w.laptop) as s:
        policy(boss, (*ECHO, f"hours: '{now}'"), (*ECHO, f"hours: '{over}'"))
        says(s)
        policy(boss, (*ECHO, f"hours: '{over}'"))
        assert is_reset(s), "a session goes on out of its hours"
    boss.run("grant", "laptop", "home/echo", "--hours", now)
    assert reachable(w.laptop)
    said = boss.refused("grant", "laptop", "home/echo", "--hours", "mon-fri 8 to 18")
    assert "hours" in said, said


def test_rules_groups(lab):
    """A group's rule is its members'; one that leaves the group loses its sessions."""
    w, *_, boss = cast(lab)
    w.agent(w.router_a, "other", forward={7001: "home/echo"})
    rule = ("crew", "home/echo")
    policy(boss, rule, groups=[("crew", ["laptop", "other"]), ("guests", ["nobody"])])
    with live_session(w.laptop) as stays, live_session(w.router_a, 7001) as leaves:
        policy(boss, rule, groups=[("crew", ["laptop"]), ("guests", ["other"])])
        assert is_reset(leaves), "who left the group goes on"
        says(stays)
        assert not reachable(w.router_a, 7001) and reachable(w.laptop)
    # A typo is told, with what was meant.
    said = boss.run("grant", "crwe", "home/echo").stderr
    assert "crew" in said, said
    said = boss.run("grant", "laptop", "hom/echo").stderr
    assert "home" in said, said


@limit(90)
def test_rules_changed(lab):
    """A changed rule is asked again of what runs: on both sides it ends within a second, or lives
    on because another rule allows it, too."""
    w, _relay, home, laptop, boss = cast(lab)
    until = f"until: '{in_utc(3600)}'"
    office = "source: [45.0.0.10/32]"
    elsewhere = "source: [45.0.0.20/32, '2001:db8::/32']"
    with live_session(w.laptop) as s:
        for rules in ([ECHO], [("\"*\"", "\"*/*\"")], [(*ECHO, until)], [(*ECHO, office)],
                      [(*ECHO, elsewhere), (*ECHO, office)], [("laptop", "home/e*", until)],
                      [(*ECHO, elsewhere), ("laptop", "\"*/echo\"")]):
            policy(boss, *rules)
            says(s)
        home.remember()
        laptop.remember()
        policy(boss, (*ECHO, elsewhere), (*ECHO, f"until: '{in_utc(-60)}'"),
               ("home", "laptop/echo"))
        assert is_reset(s), "a session goes on that no rule allows"
    applied = [e for e in boss.json("relay", "events")["events"] if e["kind"] == "config.applied"]
    began = moment(applied[-1]["at"])
    for agent in (home, laptop):
        line = agent.wait_for_line(r"^(\S+Z) info session: closed .*service=echo", 5)
        took = moment(line.group(1)) - began
        assert took < lab.options.patience, f"{agent.name}: ended {took:.2f} s after the change"
    closed = [r for r in boss.json("relay", "audit")["audit"] if r["kind"] == "session.closed"]
    assert len(closed) == 1 and "allow" in closed[0]["reason"], closed
    assert not reachable(w.laptop)


@limit(90)
def test_rules_sessions(lab):
    """A rule's cap counts the sessions of one asker to one service; more are refused with a
    reason, and what runs goes on."""
    w, _relay, _home, laptop, boss = cast(lab)
    w.agent(w.router_a, "other", forward={7001: "home/echo"})
    policy(boss, ("\"*\"", "home/echo", "sessions: 2"))
    with live_session(w.laptop) as one, live_session(w.laptop) as two:
        laptop.remember()
        assert not reachable(w.laptop), "three of two sessions"
        laptop.wait_for_line(r"warning session: home/echo: .*sessions", 5)
        with live_session(w.router_a, 7001):  # another agent's share is its own
            says(one)
        policy(boss, ("\"*\"", "home/echo", "sessions: 2"), (*ECHO, "sessions: 3"))
        with live_session(w.laptop):  # the most generous counts
            assert not reachable(w.laptop), "four of three sessions"
        policy(boss, (*ECHO, "sessions: 1"))  # fewer than run
        for s in (one, two):
            says(s)
        assert not reachable(w.laptop)
    wait_until("a place is free", lambda: reachable(w.laptop), 5, 0.1)


# ---- rates --------------------------------------------------------------------------------------

LOW, SECONDS = 2e6, 10
LATE = 0.1  # seconds that a small answer takes where the machine has no time


def measure(sock, began):
    """Bytes per second since began, after SECONDS, by the receiver's clock."""
    count = 0
    while (now := time.monotonic()) < began + SECONDS:
        got = len(sock.recv(1 << 20))
        assert got, "the session ended"
        count += got
    return count / (now - began)


@limit(90)
def test_rules_rate(lab):
    """Within five per cent over ten seconds, as it is promised.

    Too much is a fault on any machine.  All that the session ever carried is compared with all the
    time since it was asked for: a stall of relay, agents or receiver makes it less
    and never more.  Too little may be the machine's fault.  Therefore a session without a limit
    runs beside it, by way of the same programs, one small answer after the other: while none of
    these was late the machine had time for all of them, and only then too little is the relay's.
    """
    w, *_, boss = cast(lab)
    w.home.serve(7002, send_without_end)
    both = boss.edited(publishing(echo=7000, flood=7002), agent="home")
    boss.run("agent", "config", "apply", "home", both)
    w.agent(w.router_a, "other", forward={7002: "home/flood"})
    policy(boss, ECHO, ("other", "home/flood", "rate: 2MB/s"))
    began = last = time.monotonic()
    with w.router_a.connect("127.0.0.1", 7002) as s, live_session(w.laptop) as beside, \
            ThreadPoolExecutor(1) as pool:
        rate, longest = pool.submit(measure, s, began), 0
        while not rate.done():
            says(beside)
            time.sleep(0.02)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        rate = rate.result()
    print(f"{rate / 1e6:.3f} of {LOW / 1e6:g} MB/s; the latest answer took {longest:.3f} s")
    assert rate <= LOW * 1.05, f"{rate:.0f} bytes a second of {LOW:.0f}"
    assert rate >= LOW * 0.95 or longest > LATE, f"{rate:.0f} bytes a second of {LOW:.0f}"
