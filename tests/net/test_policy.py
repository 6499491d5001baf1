# SPDX-License-Identifier: Apache-2.0
"""Who may reach what: grants, their end, revocation, rates; and what the operator sees and ends."""
import json
import re
import signal
import time

from console import Console, console, in_utc
from netlab import wait_until
from peers import echo, ends, receive_exactly
from runner import limit
from test_limits import received_in, send_without_end
from world import World


def says(sock, text=b"hello"):
    sock.sendall(text)
    assert receive_exactly(sock, len(text)) == text


def reachable(host, port=7000):
    """Whether an echo service answers."""
    try:
        with host.connect("127.0.0.1", port, timeout=5) as s:
            says(s)
            return True
    except (OSError, AssertionError):
        return False


def turned_away(host, timeout, port=7000):
    """Whether a connection is ended within timeout, be it before it is quite there."""
    try:
        with host.connect("127.0.0.1", port) as s:
            return ends(s, timeout)
    except ConnectionResetError:
        return True


def live_session(host, port=7000):
    sock = host.connect("127.0.0.1", port)
    says(sock)
    return sock


def cast(lab, **options):
    """Home with an echo service, laptop, and a console."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, home, laptop = w.pair(7000, **options)
    return w, relay, home, laptop, console(w)


def test_console_policy(lab):
    """All is open until the first grant; from then on only what is granted is."""
    w, _relay, _home, _laptop, boss = cast(lab)
    other = w.agent(w.router_b, "other", forward={7001: "home/echo"})
    assert reachable(w.laptop) and reachable(w.router_b, 7001)
    assert boss.json("grants")["otherwise"] == "allow"
    with live_session(w.laptop) as granted, live_session(w.router_b, 7001) as denied:
        boss.run("grant", "laptop", "home/echo")
        assert ends(denied, 3), "a session that no grant allows goes on"
        says(granted)
        assert reachable(w.laptop) and not reachable(w.router_b, 7001)
        other.wait_for_line(r"(NOT_ALLOWED|allow)")
        listed = boss.json("grants")
        assert "home/echo" in str(listed["grants"]), listed
        boss.run("ungrant", "laptop", "home/echo")
        assert ends(granted, 3), "a session goes on without its grant"
    assert not reachable(w.laptop)  # the list is empty now, but it is there
    assert boss.json("grants")["otherwise"] == "deny"
    assert "grant" in boss.refused("ungrant", "laptop", "home/echo")
    boss.refused("grant", "laptop", "no slash")


def test_console_policy_until(lab):
    """A grant that ends takes its sessions along; one that has ended grants nothing."""
    w, _relay, _home, _laptop, boss = cast(lab)
    boss.run("grant", "other", "home/echo")  # so that the rest is denied
    assert not reachable(w.laptop)
    boss.run("grant", "laptop", "home/echo", "--until", in_utc(4))
    with live_session(w.laptop) as s:
        assert ends(s, 8), "the session outlives its grant"
    assert not reachable(w.laptop)
    boss.run("grant", "laptop", "home/e*", "--source", "45.0.0.20/32")
    assert not reachable(w.laptop), "from another network than the grant's"
    boss.run("grant", "laptop", "home/e*", "--source", "45.0.0.0/28", "--sessions", "1")
    with live_session(w.laptop):
        assert not reachable(w.laptop), "one session too many"
    wait_until("the next session", lambda: reachable(w.laptop), 5, 0.1)


@limit(90)
def test_console_revoke(lab):
    """Revoking ends link and sessions on both sides at once, until it is taken back."""
    w, _relay, home, laptop, boss = cast(lab)
    with live_session(w.laptop) as s:
        home.remember()
        laptop.remember()
        start = time.monotonic()
        boss.run("revoke", "laptop", "--note", "lost in a train")
        assert ends(s, 3), "the session of a revoked agent goes on"
        print(f"ended after {time.monotonic() - start:.2f} s")
    home.wait_for_line(r"session: closed", 3)
    laptop.wait_for_line(r"link: down", 3)
    assert not reachable(w.laptop)
    laptop.signal(signal.SIGTERM)
    assert laptop.wait() == 0
    laptop = w.start_agent(w.laptop, laptop.config, "again", wait=False)
    laptop.wait_for_line(r"error link:.*revoked", 10)
    assert turned_away(w.laptop, 8), "it waits for a link that will not come"  # less than "open"
    laptop.wait_for_line(r"home/echo: this identity has been revoked")
    agents = {a["agent"]: a for a in boss.json("relay", "agents")["agents"]}
    assert agents["home"]["online"], agents
    assert not agents.get("laptop", {}).get("online"), agents
    assert "link: up" not in laptop.log()
    assert "lost in a train" in str(boss.json("grants")["signed"])
    boss.run("revoke", "laptop", "--note", "stolen, rather")  # says it again, in other words
    revoked = boss.json("grants")["signed"]
    assert [r["note"] for r in revoked] == ["stolen, rather"], revoked
    boss.run("unrevoke", "laptop")
    wait_until("laptop is let in again", lambda: reachable(w.laptop), 15, 0.5)


@limit(120)
def test_the_cas_key_revokes(lab):
    """Signed where the CA is and passed on by the control socket: it ends what a stolen console has
    signed, at the relay and at the agents, and no console takes it back."""
    socket = lab.path("relay.sock")
    w, _relay, _home, _laptop, boss = cast(lab, relay_blocks={"control": f"  socket: {socket}"})
    thief = console(w, name="thief")
    local = Console(w.relay_host, "--socket", socket)
    wait_until("a session", lambda: reachable(w.laptop), 10)
    thief.run("revoke", "laptop")
    assert not reachable(w.laptop)
    lost, found = lab.path("lost"), lab.path("found")
    time.sleep(1.1)  # what was issued before this second is revoked
    said = w.tool("pki", "revoke", w.pki, "thief", "--note", "stolen", "--out", lost)
    assert "revokes 'thief', until 20" in said.stdout, said.stdout
    assert "all revocations that it has signed end with it" in said.stderr, said.stderr
    said = local.run("revoke", "--file", lost).stdout
    assert "thief is revoked" in said and "signed by the CA, until 20" in said, said
    wait_until("laptop is good again", lambda: reachable(w.laptop), 40, 0.5)
    for told in (boss.json("relay", "events"), boss.json("agent", "events", "home")):
        told = [e for e in told["events"] if e["kind"].startswith("revocation.")]
        assert [(e["kind"], e.get("by")) for e in told] == [
            ("revocation.signed", "console:thief"), ("revocation.signed", "the CA"),
            ("revocation.lapsed", None)], told
        assert told[0]["agent"] == "laptop" and told[0]["until"].startswith("20"), told
        assert told[1]["agent"] == "thief" and told[1]["note"] == "stolen", told
        assert told[2]["what"] == ["laptop"] and "sign again" in told[2]["text"], told
    assert boss.json("relay", "status")["signed_revocations"] == {
        "used": 1, "most": 1024, "aside": 0, "refused": 0}
    thief.refused("relay", "status")
    assert "it alone takes that back" in boss.refused("unrevoke", "thief")
    assert "says the opposite" in local.refused("unrevoke", "--file", lost)
    said = w.tool("pki", "revoke", w.pki, "thief", "--take-back", "--out", found)
    assert "takes back what revokes 'thief'" in said.stdout and not said.stderr, said
    assert "thief is good again" in local.run("unrevoke", "--file", found).stdout
    thief.run("relay", "status")
    assert "a newer one" in local.refused("revoke", "--file", lost)


def test_console_revoke_publisher(lab):
    """The other side: a publisher that is revoked, and a name that never was here."""
    w, _relay, _home, laptop, boss = cast(lab)
    with live_session(w.laptop) as s:
        boss.run("revoke", "home")
        assert ends(s, 3)
    assert not reachable(w.laptop)
    boss.run("revoke", "stranger")
    assert laptop.alive() and boss.json("relay", "status")["links"] == 1
    assert "not revoked" in boss.refused("unrevoke", "laptop")


@limit(60)
def test_console_rate(lab):
    """A rule's rate holds for each session, and changes while the session runs."""
    w = World(lab).two_homes()
    w.home.serve(7000, send_without_end)
    w.pair(7000)
    boss = console(w)
    boss.run("grant", "laptop", "home/echo", "--rate", "2MB/s")
    with w.laptop.connect("127.0.0.1", 7000) as s:
        for rate in (2e6, 8e6):
            if rate > 2e6:
                boss.run("grant", "laptop", "home/echo", "--rate", "8MB/s")  # the best one counts
            begin = time.monotonic() + 1.5  # what buffers take at first does not count
            seconds = 8 if rate == 2e6 else 4
            got = received_in(s, begin, begin + seconds) / seconds
            print(f"{got / 1e6:.2f} of {rate / 1e6:g} MB/s")
            assert rate * 0.5 < got <= rate * 1.1, f"{got:.0f} bytes a second of {rate:.0f}"


def test_console_see(lab):
    """Sessions, agents, events, audit and metrics tell what happened, and never payload."""
    metrics = 9100
    w, _relay, _home, laptop, boss = cast(lab, relay_blocks={
        "metrics": f'  listen: "0.0.0.0:{metrics}"'})
    events = boss.follow("relay", "events", "--follow", "--json", name="events")
    audit = boss.follow("relay", "audit", "--follow", "--json", name="audit")
    time.sleep(0.5)
    secret = b"payload-that-nobody-reads" * 40
    with live_session(w.laptop) as s:
        says(s, secret)
        running = boss.json("relay", "sessions")["sessions"]
        assert len(running) == 1, running
        one = running[0]
        assert (one["from"], one["to"], one["service"]) == ("laptop", "home", "echo"), one
        assert one["source"].startswith("45.0.0.10") and one["up"] > len(secret), one
        assert boss.json("relay", "sessions", "--agent", "nobody")["sessions"] == []
        agents = {a["agent"]: a for a in boss.json("relay", "agents")["agents"]}
        assert agents["laptop"]["sessions"] == 1 and agents["home"]["online"], agents
        assert agents["home"]["services"] == ["echo"], agents
    audit.wait_for_line(r"session\.closed")
    kinds = {}
    for record in boss.json("relay", "audit")["audit"]:
        kinds[record["kind"]] = record
    assert kinds["session.opened"]["session"] == kinds["session.closed"]["session"], kinds
    end = kinds["session.closed"]
    assert (end["from"], end["to"], end["service"]) == ("laptop", "home", "echo"), end
    assert end["up"] > len(secret) and end["down"] > len(secret) and end["reason"], end
    assert end["source"].startswith("45.0.0.10") and end["ms"] >= 0, end
    laptop.signal(signal.SIGTERM)
    assert laptop.wait() == 0
    events.wait_for_line(r'agent\.down.*laptop|laptop.*agent\.down')
    told = boss.json("relay", "events")["events"]
    assert {"agent.up", "agent.down"} <= {e["kind"] for e in told}, told
    numbers = [e["number"] for e in told]
    assert len(set(numbers)) == len(numbers) and sorted(numbers) in (numbers, numbers[::-1])
    assert b"payload-that" not in (events.log() + audit.log() + json.dumps(told)).encode()
    page = w.visitor.run(["curl", "-sS", "-m", "10", f"http://45.0.0.2:{metrics}/metrics"]).stdout
    assert re.search(r"^postern_\w*sessions_total(\{[^}]*\})? 1$", page, re.MULTILINE), page
    assert 10 < len(page.splitlines()) < 400 and "laptop" not in page, page
    assert all(re.fullmatch(r"#.*|[a-z_]+(\{[^}]*\})? [-+.e\d]+", x)
               for x in page.splitlines()), page


def test_console_act(lab):
    """Kick a session, kick an agent, drain and undrain, log more and less."""
    w, relay, _home, laptop, boss = cast(lab)
    with live_session(w.laptop) as one, live_session(w.laptop) as two:
        sessions = boss.json("relay", "sessions")["sessions"]
        assert len(sessions) == 2, sessions
        boss.run("relay", "kick", sessions[0]["session"])
        left = wait_until("one session left",
                          lambda: boss.json("relay", "sessions")["sessions"][1:] == [] and
                          boss.json("relay", "sessions")["sessions"], 3)
        assert left[0]["session"] == sessions[1]["session"], left
        laptop.remember()
        boss.run("relay", "kick", "--agent", "laptop")
        assert ends(one, 3) and ends(two, 3)
    laptop.wait_for_line(r"link: up", 20)
    wait_until("laptop is back", lambda: reachable(w.laptop), 10, 0.2)
    with live_session(w.laptop) as s:
        boss.run("relay", "drain", "--deadline", "60s")
        assert boss.json("relay", "status")["draining"]
        assert not reachable(w.laptop), "a draining relay took a session"
        says(s)
        boss.run("relay", "undrain")
        assert not boss.json("relay", "status")["draining"]
        says(s)
    wait_until("sessions are taken again", lambda: reachable(w.laptop), 30, 0.5)
    relay.remember()
    boss.run("relay", "log", "debug")
    assert reachable(w.laptop)
    relay.wait_for_line(r" debug ")
    boss.run("relay", "log", "notice")
    boss.refused("relay", "log", "loudly")
    boss.refused("relay", "kick", "0000000000000000")
