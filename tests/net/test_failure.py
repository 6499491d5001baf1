# SPDX-License-Identifier: Apache-2.0
"""Programs that die, come back, or are asked to leave while work is going on."""
import os
import signal
import socket
import threading
import time

from peers import MIB, data, echo, ends, receive_all, receive_exactly, sha256
from runner import limit
from world import World, set_blocks, write_private


def endless(sock, _peer):
    """Sends until the connection fails."""
    piece = data(1 << 16)
    while True:
        sock.sendall(piece)


def start_transfer(w, port=7000):
    s = w.laptop.connect("127.0.0.1", port, timeout=20)
    receive_exactly(s, 4 * MIB)
    return s


def drained(sock, timeout=8.0):
    """Reads until the connection ends; the seconds it took."""
    start = time.monotonic()
    sock.settimeout(timeout)
    try:
        while sock.recv(1 << 18):
            assert time.monotonic() - start < timeout, "data keeps coming"
    except ConnectionError:
        pass
    return time.monotonic() - start


def works_again(w, port, timeout=20.0):
    """Sessions are possible again within timeout."""
    end = time.monotonic() + timeout
    while True:
        try:
            with w.laptop.connect("127.0.0.1", port, timeout=5) as s:
                s.sendall(b"again")
                if receive_exactly(s, 5) == b"again":
                    return
        except (OSError, AssertionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def cast(lab, **options):
    w = World(lab).two_homes()
    closed = threading.Event()

    def source(sock, peer):
        try:
            endless(sock, peer)
        finally:
            closed.set()

    w.home.serve(7000, source)
    w.home.serve(7001, echo)
    relay = w.relay(**options)
    home = w.agent(w.home, "home", publish={"source": "127.0.0.1:7000", "echo": "127.0.0.1:7001"},
                   blocks={"retry_max": "2s"})
    laptop = w.agent(w.laptop, "laptop", forward={7000: "home/source", 7001: "home/echo"},
                     blocks={"retry_max": "2s", "open": "3s"})
    return w, relay, home, laptop, closed


def test_kill_publisher(lab):
    w, relay, home, laptop, _closed = cast(lab)
    s = start_transfer(w)
    home.kill()
    took = drained(s)
    assert took < 5, f"the client learnt of it after {took:.1f} s"
    relay.wait_idle()
    w.start_agent(w.home, home.config, "home")
    works_again(w, 7001)
    assert laptop.alive()


def test_kill_client(lab):
    w, relay, home, laptop, closed = cast(lab)
    s = start_transfer(w)
    laptop.kill()
    assert closed.wait(5), "the server's connection outlived its client's agent by 5 s"
    s.close()
    relay.wait_idle()
    w.start_agent(w.laptop, laptop.config, "laptop", forwards=2)
    works_again(w, 7001)
    assert home.alive()


@limit(90)
def test_kill_relay(lab):
    w, relay, home, laptop, closed = cast(lab)
    s = start_transfer(w)
    relay.process.kill()
    took = drained(s)
    assert took < 5, f"the client learnt of it after {took:.1f} s"
    assert closed.wait(5), "the server's side stayed open"
    for agent in (home, laptop):
        agent.remember()
        assert agent.alive()
    # A session that is asked for meanwhile fails, it does not hang for ever.
    with w.laptop.connect("127.0.0.1", 7001) as asked:
        assert ends(asked, 20)
    w.start_relay(relay.config)
    for agent in (home, laptop):
        agent.wait_for_line(r"link: up\b", 15)
    works_again(w, 7001)


def test_relay_later(lab):
    """Agents that start before their relay find it when it comes."""
    w = World(lab).two_homes()
    w.home.serve(7001, echo)
    config = w.issue_relay()
    home = w.agent(w.home, "home", wait=False, publish={"echo": "127.0.0.1:7001"},
                   blocks={"retry_max": "2s"})
    laptop = w.agent(w.laptop, "laptop", wait=False, forward={7001: "home/echo"},
                     blocks={"retry_max": "2s"})
    time.sleep(1)
    assert home.alive() and laptop.alive()
    w.start_relay(config)
    for agent in (home, laptop):
        agent.wait_for_line(r"link: up\b", 15)
    works_again(w, 7001)


def unplug(w, router):
    router.nft('add table inet cut\n'
               'add chain inet cut f { type filter hook forward priority -20; policy drop; }\n')


@limit(90)
def test_unplugged(lab):
    """A home that vanishes without a word is noticed by the silence, and both sides recover."""
    w, relay, home, _laptop, _closed = cast(lab, blocks={"limits": "  ping: 1s"})
    assert relay.status()["links"] == 2
    unplug(w, w.router_b)
    home.remember()
    relay.wait_status("refused_DEADLINE_IDLE", 1, 15)
    assert relay.status()["links"] == 1
    w.router_b.nft("delete table inet cut\n")
    home.wait_for_line(r"link: up\b", 30)
    works_again(w, 7001)


@limit(90)
def test_drain(lab):
    """SIGTERM: what runs may finish, new work is refused, then the relay exits with 0."""
    w = World(lab).two_homes()
    content = data(8 * MIB, seed=7)
    half = threading.Event()

    def source(sock, _peer):
        sock.sendall(content[:4 * MIB])
        half.wait(30)
        sock.sendall(content[4 * MIB:])
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)

    w.home.serve(7000, source)
    w.home.serve(7001, echo)
    relay = w.relay(blocks={"drain": "20s"})
    w.agent(w.home, "home", publish={"source": "127.0.0.1:7000", "echo": "127.0.0.1:7001"})
    w.agent(w.laptop, "laptop", forward={7000: "home/source", 7001: "home/echo"},
            blocks={"open": "3s"})
    with w.laptop.connect("127.0.0.1", 7000, timeout=20) as s:
        got = receive_exactly(s, MIB)
        relay.signal(signal.SIGTERM)
        time.sleep(0.5)
        assert relay.process.alive(), "a running session was not waited for"
        with w.laptop.connect("127.0.0.1", 7001) as late:
            assert ends(late, 20), "new work was accepted while draining"
        half.set()
        got += receive_all(s)
    assert sha256(got) == sha256(content), "the running transfer was damaged"
    assert relay.process.wait(10) == 0


def test_drain_deadline(lab):
    """Sessions that do not end are ended when the time is over."""
    w, relay, _home, _laptop, _closed = cast(lab, blocks={"drain": "1s"})
    with start_transfer(w):
        start = time.monotonic()
        relay.signal(signal.SIGTERM)
        assert relay.process.wait(10) == 0
        assert 0.7 < time.monotonic() - start < 5


def test_drain_twice(lab):
    """A second SIGTERM ends at once."""
    w, relay, _home, _laptop, _closed = cast(lab, blocks={"drain": "30s"})
    with start_transfer(w):
        relay.signal(signal.SIGTERM)
        time.sleep(0.3)
        assert relay.process.alive()
        relay.signal(signal.SIGTERM)
        assert relay.process.wait(5) == 0


def test_what_keeps_a_relay_from_starting(lab):
    """The last line names the key, what is wrong with it, and what helps."""
    w = World(lab).two_homes()
    config = w.issue_relay()
    w.start_relay(config)
    with open(config, encoding="utf-8") as f:
        text = f.read()
    write_private(config + ".other", text.replace(":443", ":8443"))
    none = os.path.join(lab.dir, "none")
    for blocks, wanted in (
            (None, "another relay, listens there: stop it"),  # one user's relays could share it
            ({"state_dir": none}, f"state_dir: {none}: No such file or directory; make it"),
            ({"control": {"socket": none + "/relay.sock"}}, "No such file or directory; make its"),
            ({"user": "nobody-here"}, "user: cannot become nobody-here: there is no such user")):
        path = config if blocks is None else config + ".other"
        with open(path, encoding="utf-8") as f:
            before = f.read()
        set_blocks(path, blocks or {})
        done = w.relay_host.run([f"{lab.build}/postern-relayd", "-c", path], check=False)
        assert done.returncode == 1, (wanted, done.returncode, done.stderr)
        assert wanted in done.stderr.splitlines()[-1], (wanted, done.stderr)
        with open(path, "w", encoding="utf-8") as f:
            f.write(before)
