# SPDX-License-Identifier: Apache-2.0
"""postern relay trace: what one agent or session does, for a while, and nothing of its content."""
import json
import re
import socket
import time

from netlab import wait_until
from peers import ends, receive_exactly
from runner import limit
from test_policy import cast, live_session

SECRET = b"nobody-may-read-this"


def traced(process, pattern, timeout=5):
    return process.wait_for_line(rf"Z {pattern}", timeout)


def one_session(w):
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(SECRET)
        assert receive_exactly(s, len(SECRET)) == SECRET
        s.shutdown(socket.SHUT_WR)
        assert ends(s, 5)


@limit(60)
def test_trace_agent(lab):
    """The life of a session and of a link; of that agent alone; off by itself when time is up."""
    w, relay, home, _laptop, boss = cast(lab)
    other = w.agent(w.router_b, "other", forward={7001: "home/echo"})
    start = time.monotonic()
    trace = boss.follow("relay", "trace", "laptop", "--for", "4s", name="trace")
    relay.process.wait_for_line(r"notice trace: of laptop by console:boss")
    one_session(w)
    for line in (r"session ([0-9a-f]{16}): laptop at 45\.0\.0\.\d+:\d+ wants home/echo: allowed",
                 r"session ([0-9a-f]{16}): GO has left to the publishing side",
                 r"session ([0-9a-f]{16}): the asking side ended its direction after \d+ bytes",
                 r"session ([0-9a-f]{16}): closed --- after \d+ ms"):
        traced(trace, line)
        relay.process.wait_for_line(f"notice trace: {line}", 5)
    with w.router_b.connect("127.0.0.1", 7001) as s:  # another agent's: not told
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"
    # A second one at a time is refused, with how long the first may still take.
    said = boss.refused("relay", "trace", "home")
    assert re.search(r"another trace runs for at most \d s more", said), said
    assert trace.wait(8) == 0
    took = time.monotonic() - start
    assert 3.5 < took < 6.5, f"over after {took:.1f} s"
    text = trace.log()
    assert "the trace is over: time" in text, text
    assert "other" not in text and "public" not in text, text
    before = relay.process.log().count("notice trace:")
    one_session(w)
    assert relay.process.log().count("notice trace:") == before, "it goes on behind its end"
    for process in (trace, relay.process, home, other):
        assert SECRET.decode() not in process.log(), f"{process.name} tells a session's content"
    assert [e["what"] for e in boss.json("relay", "events")["events"]
            if e["kind"] == "trace"] == ["laptop"]


@limit(60)
def test_trace_bounds(lab):
    """Its lines are counted, a session can be traced alone, and it ends with its console."""
    w, relay, home, _laptop, boss = cast(lab)
    trace = boss.follow("relay", "trace", "home", "--lines", "3", "--json", name="trace-lines")
    relay.process.wait_for_line(r"notice trace: of home by")
    one_session(w)
    assert trace.wait(5) == 0
    lines = [json.loads(x) for x in trace.log().splitlines()]
    assert [sorted(x) for x in lines] == [["at", "text"]] * 3 + [["lines", "lost", "over"]], lines
    assert lines[-1] == {"over": "lines", "lines": 3, "lost": 0}, lines
    # One session: neither the other one nor the link is told of.
    with live_session(w.laptop) as s, live_session(w.laptop):
        number = min(x["session"] for x in boss.json("relay", "sessions")["sessions"])
        trace = boss.follow("relay", "trace", "--session", number, "--for", "30s", name="trace-one")
        relay.process.wait_for_line(rf"notice trace: of {number} by")
        boss.run("relay", "kick", "--agent", "laptop")
        traced(trace, rf"session {number}: closed SDK")
        assert set(re.findall(r"session ([0-9a-f]{16})", trace.log())) == {number}, trace.log()
        assert "link" not in trace.log(), trace.log()
        assert ends(s, 5)
    trace.kill()
    relay.process.wait_for_line(r"notice trace: over: gone", 5)
    # The place is free again; a link that comes and goes is told, and a sign-in that is refused.
    trace = boss.follow("relay", "trace", "home", name="trace-link")
    wait_until("a trace of home", lambda: relay.process.log().count("trace: of home by") == 2, 5)
    home.signal(15)
    assert home.wait(5) == 0
    traced(trace, "link: BYE")
    traced(trace, "link: down")
    time.sleep(1.1)  # what is issued in the same second is what is issued again
    boss.run("revoke", "home")
    home = w.start_agent(w.home, home.config, "home-again", wait=False)
    traced(trace, r"link: a sign-in from \S+ is refused: REVOKED: ", 10)
    for wrong in (("--session", "17"), (), ("home", "--session", number), ("no name",),
                  ("home", "--lines", "0"), ("home", "--lines", "20000"), ("home", "--for", "2h")):
        boss.refused("relay", "trace", *wrong)
