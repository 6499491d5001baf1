# SPDX-License-Identifier: Apache-2.0
"""TCP's own promises, kept end to end: half-close, reset, backpressure, order."""
import socket
import struct
import threading
import time

from netlab import run
from peers import MIB, answer_digest, data, echo, ends, receive_all, receive_exactly, sha256
from runner import limit
from world import World, check_growth, memory_kb

# What may be on its way when a reader stops: four connections with two buffers of SOCKET_MAX each,
# of which the kernel counts half as its own cost, and what three programs hold.
SOCKET_MAX = 2 * MIB
IN_FLIGHT_MAX = 4 * 2 * SOCKET_MAX + 4 * MIB


def test_half_close(lab):
    """The server answers only after the client's end of file, and the other way round."""
    w = World(lab).two_homes()
    w.home.serve(7000, answer_digest)
    w.pair(7000, "digest")
    for size in (0, 1, 16384, 5 * MIB + 1):
        content = data(size, seed=size)
        with w.laptop.connect("127.0.0.1", 7000, timeout=20) as s:
            s.sendall(content)
            s.shutdown(socket.SHUT_WR)
            assert receive_all(s).decode() == f"{size} {sha256(content)}\n"


def test_half_close_by_server(lab):
    """The server ends its direction at once and still reads everything."""
    w = World(lab).two_homes()
    got, done = [], threading.Event()

    def server(sock, _peer):
        sock.sendall(b"over to you")
        sock.shutdown(socket.SHUT_WR)
        got.append(receive_all(sock))
        done.set()

    w.home.serve(7000, server)
    relay, *_ = w.pair(7000, "half")
    content = data(3 * MIB, seed=9)
    with w.laptop.connect("127.0.0.1", 7000, timeout=20) as s:
        assert receive_all(s) == b"over to you"
        time.sleep(0.3)
        s.sendall(content)
        s.shutdown(socket.SHUT_WR)
        assert done.wait(20), "the server did not get the end of the stream"
    assert sha256(got[0]) == sha256(content)
    relay.wait_idle()


def test_out_of_band(lab):
    """A byte sent as urgent (telnet's Synch, FTP's ABOR) keeps its place in the stream, each way."""
    w = World(lab).two_homes()
    got = []

    def urgent(sock):
        sock.sendall(b"ABC")
        time.sleep(0.2)
        sock.send(b"\xff\xf2", socket.MSG_OOB)
        time.sleep(0.2)
        sock.sendall(b"DEF")
        sock.shutdown(socket.SHUT_WR)

    def server(sock, _peer):
        got.append(receive_all(sock))
        urgent(sock)

    w.home.serve(7000, server)
    w.pair(7000)
    with w.laptop.connect("127.0.0.1", 7000, timeout=20) as s:
        urgent(s)
        assert receive_all(s) == b"ABC\xff\xf2DEF"
    assert got == [b"ABC\xff\xf2DEF"], got


def reset(sock):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def is_reset(sock, timeout=10):
    sock.settimeout(timeout)
    try:
        while sock.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True


def test_reset(lab):
    """A reset arrives as a reset, in both directions: no half file looks whole."""
    w = World(lab).two_homes()
    accepted = []
    ready = threading.Semaphore(0)
    release = threading.Event()

    def server(sock, _peer):
        sock.sendall(receive_exactly(sock, 5))
        accepted.append(sock.dup())
        ready.release()
        release.wait(30)

    w.home.serve(7000, server)
    relay, *_ = w.pair(7000, "plain")

    def session():
        s = w.laptop.connect("127.0.0.1", 7000)
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"
        assert ready.acquire(timeout=10)
        return s, accepted.pop()

    client, server_side = session()
    reset(client)
    assert is_reset(server_side), "the client's reset reached the server as an ordinary end"
    client, server_side = session()
    server_side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server_side.close()
    release.set()  # the handler closes its own copy, the last one
    assert is_reset(client), "the server's reset reached the client as an ordinary end"
    relay.wait_idle()


def bound_sockets(w):
    """Bounds what the kernel may buffer; it would take 30 MiB and more for each socket."""
    for host in w.lab.hosts.values():
        with host.inside():
            for key in ("tcp_rmem", "tcp_wmem"):
                run(["sysctl", "-qw", f"net.ipv4.{key}=4096 131072 {SOCKET_MAX}"])


def push_until_blocked(sock, content, quiet=1.5):
    """Sends until nothing was taken for a while; how many bytes went."""
    sock.setblocking(False)
    sent, last = 0, time.monotonic()
    while time.monotonic() - last < quiet and sent < len(content):
        try:
            sent += sock.send(content[sent:sent + 65536])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    sock.settimeout(30)
    return sent


@limit(90)
def test_backpressure(lab):
    """A reader that stops stops the sender; another session does not notice; nothing is lost."""
    w = World(lab).two_homes()
    bound_sockets(w)
    go, result = threading.Event(), []

    def slow(sock, _peer):
        go.wait(60)
        result.append(sha256(receive_all(sock)))
        sock.sendall(b"done")

    w.home.serve(7000, slow)
    w.home.serve(7001, echo)
    relay = w.relay()
    agents = [w.agent(w.home, "home",
                      publish={"slow": "127.0.0.1:7000", "echo": "127.0.0.1:7001"}),
              w.agent(w.laptop, "laptop", forward={7000: "home/slow", 7001: "home/echo"})]
    programs = [relay.process, *agents]
    before = [memory_kb(p.pid) for p in programs]
    content = data(48 * MIB, seed=5)
    with w.laptop.connect("127.0.0.1", 7000) as s:
        sent = push_until_blocked(s, content)
        print(f"the sender stopped after {sent / MIB:.1f} MiB")
        assert sent < IN_FLIGHT_MAX, f"{sent} bytes went to a reader that does not read"
        check_growth(lab, programs, before, [memory_kb(p.pid) for p in programs], 8 << 20)
        start = time.monotonic()
        with w.laptop.connect("127.0.0.1", 7001) as other:
            for n in range(8):
                piece = data(MIB, seed=n)
                feeder = threading.Thread(target=other.sendall, args=(piece,))
                feeder.start()
                assert receive_exactly(other, MIB) == piece
                feeder.join()
        assert time.monotonic() - start < 10, "another session suffered"
        time.sleep(2)  # longer than any timer that might mistake this for silence
        go.set()
        s.sendall(content[sent:])
        s.shutdown(socket.SHUT_WR)
        assert receive_exactly(s, 4) == b"done"
    assert result == [sha256(content)]
    relay.wait_idle()


@limit(90)
def test_backpressure_download(lab):
    """The same towards the client, which here reads in drips and bursts."""
    w = World(lab).two_homes()
    bound_sockets(w)
    content, progress = data(48 * MIB, seed=6), [0]

    def source(sock, _peer):
        while progress[0] < len(content):
            progress[0] += sock.send(content[progress[0]:progress[0] + 65536])
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)

    w.home.serve(7000, source)
    w.pair(7000, "source")
    with w.laptop.connect("127.0.0.1", 7000, timeout=30) as s:
        got = bytearray(receive_exactly(s, 1000))
        time.sleep(2)
        stopped = progress[0]
        time.sleep(1)
        assert progress[0] == stopped < IN_FLIGHT_MAX, (stopped, progress[0])
        print(f"the server stopped after {stopped / MIB:.1f} MiB")
        for _ in range(50):
            got += s.recv(3)
        got += receive_all(s)
    assert sha256(got) == sha256(content)


def test_many_at_once(lab):
    """Two hundred sessions at a time, each with data of its own."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, *_ = w.pair(7000)
    sockets = [w.laptop.connect("127.0.0.1", 7000, timeout=30) for _ in range(200)]
    for n, s in enumerate(sockets):
        s.sendall(data(3000, seed=n))
    for n, s in enumerate(sockets):
        assert receive_exactly(s, 3000) == data(3000, seed=n), f"session {n} got another's data"
    assert relay.status()["sessions"] == 200
    for s in sockets:
        s.shutdown(socket.SHUT_WR)
    for s in sockets:
        assert ends(s, 10)
        s.close()
    relay.wait_idle()
