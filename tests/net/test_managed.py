# SPDX-License-Identifier: Apache-2.0
"""Agents that a console manages through the relay, and consoles that misbehave."""
import os
import select
import signal
import struct
import time

from byhand import TRANSIENT, SignIn
from console import Rpc
from netlab import wait_until
from peers import echo
from rogue import PING, WELCOME, frame
from runner import limit
from test_limits import churn
from test_policy import cast, live_session, reachable, says
from world import World, check_growth, memory_kb, with_block


def publishing(**services):
    """A change of an agent's configuration: publish these."""
    def change(text):
        lines = "\n".join(f"  - service: {name}\n    target: 127.0.0.1:{port}"
                          for name, port in services.items())
        return with_block(text, "publish", lines)
    return change


def test_agent_managed(lab):
    """Status and configuration of an agent, by way of the relay, while its sessions run."""
    state = lab.path("home-state")
    os.mkdir(state, 0o700)
    w, _relay, home, laptop, boss = cast(lab, home_blocks={"state_dir": state})
    w.home.serve(7005, echo)
    w.agent(w.router_b, "other", forward={7005: "home/more"})
    assert not reachable(w.router_b, 7005)
    with live_session(w.laptop) as s:
        status = boss.json("agent", "status", "home")
        assert status["agent"] == "home" and status["engine"] == lab.engine, status
        assert status["links"][0]["state"] == "up", status
        assert status["links"][0]["key_exchange"].startswith("X25519"), status
        assert all(s["key_exchange"].startswith("X25519") for s in status["sessions"]), status
        assert status["tls_library_year"] >= 2022, status
        assert {"laptop", "boss"} == {x["peer"] for x in status["sessions"]}, status
        listed = boss.run("agent", "list").stdout
        assert "home" in listed and "laptop" in listed, listed
        assert "PRIVATE KEY" not in boss.run("agent", "config", "get", "home").stdout
        both = boss.edited(publishing(echo=7000, more=7005), agent="home")
        assert "7005" in boss.run("agent", "config", "diff", "home", both).stdout
        boss.run("agent", "config", "apply", "home", both, "--confirm-within", "3s")
        wait_until("the new service", lambda: reachable(w.router_b, 7005), 3)
        wait_until("it goes by itself", lambda: not reachable(w.router_b, 7005), 8, 0.2)
        both = boss.edited(publishing(echo=7000, more=7005), agent="home")
        boss.run("agent", "config", "apply", "home", both, "--confirm-within", "10s")
        boss.run("agent", "config", "confirm", "home")
        boss.refused("agent", "config", "rollback", "home")
        wait_until("the new service", lambda: reachable(w.router_b, 7005), 3)
        bad = boss.edited(lambda text: text + "\nnonsense: 1\n", agent="home")
        assert "nonsense" in boss.refused("agent", "config", "apply", "home", bad)
        history = boss.json("agent", "config", "history", "home")["history"]
        assert [h["state"] for h in history] == ["in force", "replaced", "rolled back",
                                                 "replaced"], history
        assert "console:boss" in boss.run("agent", "config", "history", "home").stdout
        says(s)
    assert laptop.alive() and home.alive()
    assert "config" in boss.run("agent", "events", "home").stdout


def test_agent_managed_forward(lab):
    """A sealed agent listens where its changed configuration says, and no longer where not."""
    w, _relay, _home, _laptop, boss = cast(lab)

    def forwarding(*ports):
        lines = "\n".join(f"  - listen: 127.0.0.1:{port}\n    to: home/echo" for port in ports)
        return boss.edited(lambda text: with_block(text, "forward", lines), agent="laptop")

    assert reachable(w.laptop) and not reachable(w.laptop, 7055)
    boss.run("agent", "config", "apply", "laptop", forwarding(7000, 7055))
    wait_until("the new forward", lambda: reachable(w.laptop, 7055), 3)
    boss.run("agent", "config", "apply", "laptop", forwarding(7055))
    wait_until("the old one's end", lambda: not reachable(w.laptop), 3)
    assert reachable(w.laptop, 7055)


def test_agent_managed_by_consoles_only(lab):
    """An agent's certificate does not open another agent's configuration."""
    w, _relay, home, _laptop, boss = cast(lab)
    said = boss.refused("agent", "status", "nobody")
    assert "nobody" in said, said
    boss.way = ("--as", lab.path("laptop.yaml"))
    boss.refused("agent", "status", "home")
    done = w.laptop.run([os.path.join(lab.build, "postern"), "--as", lab.path("laptop.yaml"),
                         "connect", "home/postern/control"], check=False, input=b"")
    assert done.returncode, done.stdout
    done = w.laptop.run([os.path.join(lab.build, "postern"), "--as", lab.path("laptop.yaml"),
                         "connect", "postern/control"], check=False, input=b"")
    assert done.returncode, done.stdout
    assert reachable(w.laptop) and home.alive()


@limit(120)
def test_console_never_reads(lab):
    """Consoles that ask and follow without ever reading cost little, and others nothing."""
    path = lab.path("relay.sock")
    w, relay, _home, _laptop, boss = cast(lab, relay_blocks={"control": f"  socket: {path}"})
    churn(w, 200)
    before = memory_kb(relay.pid)
    lazy = [boss.follow("relay", what, "--follow", "--json", name=f"lazy-{what}-{n}")
            for n in range(3) for what in ("events", "audit")]
    churn(w, 20)
    lazy[1].wait_for_line("session")
    for p in lazy:
        p.signal(signal.SIGSTOP)
    with Rpc(path, timeout=1) as rpc:
        rpc.send('{"jsonrpc": "2.0", "id": 1, "method": "audit", "params": {"follow": true}}\n')
        try:
            for _ in range(2000):
                rpc.send('{"jsonrpc": "2.0", "id": 2, "method": "schema"}\n' * 50)
        except OSError:
            pass  # the relay stopped reading, or had enough
        start = time.monotonic()
        most = [memory_kb(relay.pid)]
        for _ in range(4):
            churn(w, 500)
            assert boss.json("relay", "status")["links"] == 2
            most.append(memory_kb(relay.pid))
    print(f"{(time.monotonic() - start) / 2:.1f} ms a session; {before} -> {most} kB")
    check_growth(lab, [relay.process], [before], [max(most)], 32 << 20)
    for p in lazy:
        p.kill()
    assert reachable(w.laptop)


@limit(90)
def test_agent_never_reads(lab):
    """Who asks and asks and does not read is not read either; nothing piles up at the relay."""
    w = World(lab).one_host()
    relay = w.relay()
    link = SignIn(w.visitor, "45.0.0.2", w.issue_agent("laptop"), "laptop", TRANSIENT)
    assert link.answer()[0] == WELCOME
    before = memory_kb(relay.pid)
    asked = 0
    pings = b"".join(frame(PING, struct.pack("!Q", n)) for n in range(500))
    stdin = link.process.popen.stdin.fileno()
    os.set_blocking(stdin, False)
    # What the kernel's buffers on the way hold is some megabytes.
    while select.select([], [stdin], [], 3)[1] and asked < 64 << 20:
        asked += os.write(stdin, pings[asked % len(pings):])
    print(f"{asked >> 10} kB of PING until the relay stopped reading")
    assert asked < 64 << 20, "the relay goes on reading"
    check_growth(lab, [relay.process], [before], [memory_kb(relay.pid)], 4 << 20)
    other = SignIn(w.visitor, "45.0.0.2", w.issue_agent("other"), "other", TRANSIENT)
    assert other.answer()[0] == WELCOME
