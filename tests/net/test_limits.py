# SPDX-License-Identifier: Apache-2.0
"""What stays after many sessions, and what the kernel forbids the relay."""
import contextlib
import glob
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from capture import Capture
from peers import WebCa, answer_digest, echo, nginx, receive_all, receive_exactly
from runner import limit
from world import World, check_growth, cpu_s, descriptors, memory_kb

GROWTH_BYTES = 64  # of a session, in every program: less than any struct of one
KEPT = 1000  # events and records that stay, the last so many


def churn(w, count, workers=8):
    """count short sessions through the forward, all kinds of ends among them."""
    def one(n):
        with w.laptop.connect("127.0.0.1", 7000, timeout=30) as s:
            s.sendall(b"x" * 64)
            if n % 10 == 0:
                return  # gone before the answer
            assert receive_exactly(s, 64) == b"x" * 64
            if n % 10 == 1:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
            elif n % 2:
                s.shutdown(socket.SHUT_WR)
                receive_all(s)

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(one, range(count)):
            pass
    return count


def settle(relay, programs, expected=None):
    """Waits until nothing is going on; descriptor counts and memory of each program."""
    relay.wait_idle(20)
    end = time.monotonic() + 10
    last = None
    while time.monotonic() < end:  # spare legs are being replaced
        now = [descriptors(p.pid) for p in programs]
        if now == (expected or last):
            break
        last = now
        time.sleep(0.5)
    return [descriptors(p.pid) for p in programs], [memory_kb(p.pid) for p in programs]


def warm_up(relay, programs, some):
    """Repeats some(), which makes so many sessions as it returns, until memory stays as it is:
    each thread's ring goes round its pool of buffers and touches all of them once. Where every
    session leaks it never does, and the comparison that follows finds it."""
    _, memory = settle(relay, programs)
    for _ in range(12):
        count = some()
        before, (files, memory) = memory, settle(relay, programs)
        if all((now - b) * 1024 < GROWTH_BYTES * count // 2 for b, now in zip(before, memory)):
            break
    return files, memory


@limit(900)
def test_leaks(lab):
    """After many sessions every program has the descriptors and the memory that it had before."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, *agents = w.pair(7000)
    programs = [relay.process, *agents]
    churn(w, KEPT)
    files, memory = warm_up(relay, programs, lambda: churn(w, 1000))
    start, busy = time.monotonic(), [cpu_s(p.pid) for p in programs]
    churn(w, lab.options.sessions)
    took = time.monotonic() - start
    busy = [(cpu_s(p.pid) - b) / lab.options.sessions * 1000 for p, b in zip(programs, busy)]
    files_after, memory_after = settle(relay, programs, files)
    print(f"{lab.options.sessions} sessions, {lab.options.sessions / took:.0f}/s; "
          f"descriptors {files} -> {files_after}, kB {memory} -> {memory_after}; "
          f"CPU ms a session: {', '.join(f'{b:.2f}' for b in busy)}")
    assert files == files_after, f"descriptors {files} -> {files_after}"
    check_growth(lab, programs, memory, memory_after, GROWTH_BYTES * lab.options.sessions)


@limit(120)
def test_leaks_by_name(lab):
    """The same for strangers' connections: pages, passthrough, and ones that break off."""
    w = World(lab).two_homes()
    ca = WebCa(lab)
    nginx(w.home, port=8443, tls=ca.issue("www.example.org"))
    relay = w.relay(public={"www.example.org": "home/web"},
                    blocks={"limits": "  handshakes_per_source: 0\n"})
    agent = w.agent(w.home, "home", publish={"web": "127.0.0.1:8443"}, public=["web"])
    programs = [relay.process, agent]

    def some(count, broken_off):
        urls = "url = https://www.example.org/\noutput = /dev/null\n" \
               "url = https://relay.example.org/\noutput = /dev/null\n"
        config = lab.write("curl.conf", urls * count)
        w.visitor.run(["curl", "-skS", "-m", "30", "--no-keepalive", "-H", "Connection: close",
                       "-K", config], timeout=60)
        for n in range(broken_off):
            with w.visitor.connect("45.0.0.2", 443) as s:
                s.sendall(b"\x16\x03\x01\x02\x00\x01\x00"[:n % 8])
        return 2 * count + broken_off

    some(KEPT // 2, 100)  # a record of each beginning and end
    files, memory = warm_up(relay, programs, lambda: some(300, 400))
    connections = some(300, 3000)
    files_after, memory_after = settle(relay, programs, files)
    assert files == files_after, f"descriptors {files} -> {files_after}"
    check_growth(lab, programs, memory, memory_after, GROWTH_BYTES * connections)


def send_without_end(sock, _peer):
    """Until the other side has had enough."""
    block = bytes(1 << 16)
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(block)


def received_in(sock, begin, end):
    """The bytes that arrive between two times."""
    count = 0
    while (now := time.monotonic()) < end:
        got = len(sock.recv(1 << 20))
        assert got, "the session ended"
        count += got if now >= begin else 0
    return count


@limit(60)
def test_bandwidth(lab):
    """No session gets more than per_session allows, nor all of an agent more than per_agent."""
    session, agent = 4e6, 10e6
    w = World(lab).two_homes()
    w.home.serve(7000, send_without_end)
    w.pair(7000, relay_blocks={"bandwidth": "{per_session: 4MB/s, per_agent: 80Mbit/s}"})

    def one(begin):
        with w.laptop.connect("127.0.0.1", 7000) as s:
            return received_in(s, begin, begin + 8) / 8

    for count, most in ((1, session), (3, agent)):
        begin = time.monotonic() + 1.5  # what buffers take at first does not count
        with ThreadPoolExecutor(count) as pool:
            rates = list(pool.map(one, [begin] * count))
        print(", ".join(f"{r / 1e6:.2f}" for r in rates), "MB/s")
        assert max(rates) <= session * 1.08, f"{max(rates):.0f} bytes a second in one session"
        assert sum(rates) <= most * 1.08, f"{sum(rates):.0f} bytes a second in {count} sessions"
        assert min(rates) > session / 20, "a session starves"


def test_relay_never_dials(lab):
    """Every thread of the relay is confined, and no packet of it ever opens a connection."""
    w = World(lab).two_homes()
    w.home.serve(7000, answer_digest)
    capture = Capture(w.relay_host, condition="src host 45.0.0.2 and "
                      "(udp or tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn)", name="dials")
    relay, *_ = w.pair(7000, "digest")
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"hello")
        s.shutdown(socket.SHUT_WR)
        assert receive_all(s).startswith(b"5 ")
    threads = glob.glob(f"/proc/{relay.pid}/task/*/status")
    assert threads
    for path in threads:
        with open(path, encoding="ascii", errors="replace") as f:
            fields = dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)
        assert fields["Seccomp"].strip() == "2", f"{path}: Seccomp {fields['Seccomp'].strip()}"
        assert fields["NoNewPrivs"].strip() == "1", path
        assert int(fields["CapEff"], 16) == 0, f"{path}: CapEff {fields['CapEff'].strip()}"
    capture.stop()
    dialled = list(capture.packets())
    assert not dialled, f"the relay sent {len(dialled)} packets of its own accord"


def test_engine_is_used(lab):
    """The programs run on the engine that this run is about, and say so."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    programs = w.pair(7000)
    for program in programs:
        process = getattr(program, "process", program)
        rings = [os.readlink(x) for x in glob.glob(f"/proc/{process.pid}/fd/*")
                 if os.path.islink(x)]
        uses = any("io_uring" in x for x in rings)
        assert uses == (lab.engine == "io_uring"), f"{process.name}: {sorted(set(rings))}"
        assert lab.engine in process.log(), f"{process.name} does not say which engine it uses"
