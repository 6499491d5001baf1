# SPDX-License-Identifier: Apache-2.0
"""What surrounds the programs: standard streams that are closed or that nobody reads."""
import hashlib
import os
import signal
import subprocess
import time

from netlab import wait_until
from peers import data, echo, receive_exactly
from runner import limit
from world import World

COMBINATIONS = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


def standard(pid):
    """What descriptors 0 to 2 of a process are."""
    return [os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)]


def check_standard(pid, words):
    """Those that were closed are the null device, and no stream is a socket or the like."""
    for link, closed in zip(standard(pid), ("<&-", ">&-", "2>&-")):
        assert closed not in words.split() or link == "/dev/null", (words, standard(pid))
        assert not link.startswith(("socket:", "anon_inode:", "pipe:")), (words, standard(pid))


def children(pid):
    """All processes that descend from one, itself included."""
    found = [pid]
    for parent in found:
        for task in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as f:
                found += [int(n) for n in f.read().split()]
    return found


def shell(lab, words, *argv):
    """A program by a shell that closes some of its streams."""
    return ["sh", "-c", f'exec "$@" {words}', "sh", f"{lab.build}/{argv[0]}", *argv[1:]]


def talk(host, port, size=300000, seed=7):
    """Bytes there and back."""
    sent = data(size, seed=seed)
    with host.connect("127.0.0.1", port) as s:
        s.settimeout(15)
        s.sendall(sent)
        assert hashlib.sha256(receive_exactly(s, size)).digest() == hashlib.sha256(sent).digest()


def ended(pids):
    """Whether none of them runs any more; who has ended and is not yet waited for does not."""
    def runs(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                return f.read().rpartition(")")[2].split()[0] not in "ZX"
        except FileNotFoundError:
            return False
    return not any(runs(pid) for pid in pids)


@limit(240)
def test_processes_closed_streams(lab):
    """Whichever of descriptors 0 to 2 are closed at the start: sessions carry their bytes alone, and
    no helper outlives its program."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    config, home = w.issue_relay(), w.issue_agent("home", publish={"echo": "127.0.0.1:7000"})
    laptop = w.issue_agent("laptop", forward={7001: "home/echo"})
    for words in COMBINATIONS:
        programs = [host.start(shell(lab, words, program, "-c", file, "--log-level", "debug"), name)
                    for host, program, file, name in (
                        (w.relay_host, "postern-relayd", config, "relay"),
                        (w.home, "postern-agent", home, "home"),
                        (w.laptop, "postern-agent", laptop, "laptop"))]

        def up():
            try:
                talk(w.laptop, 7001, 4)
                return True
            except (OSError, AssertionError, EOFError):
                return False
        wait_until(f"a session with {words}", up, 15, 0.2)
        for seed in range(3):
            talk(w.laptop, 7001, seed=seed)
        processes = []
        for p in programs:
            check_standard(p.pid, words)
            processes += children(p.pid)
        assert len(processes) > len(programs), "the relay has helpers"
        for p in programs:
            p.signal(signal.SIGKILL)
            p.wait()
        wait_until(f"helpers end with {words}", lambda: ended(processes), 10, 0.1)


@limit(60)
def test_processes_closed_streams_natd(lab):
    w = World(lab).two_homes()
    for words in COMBINATIONS:
        p = w.laptop.start(shell(lab, words, "postern-natd", "--map", "tcp:443", "--socket",
                                 lab.path("natd.sock"), "--log-level", "debug"), "natd")
        wait_until("natd listens", lambda: os.path.exists(lab.path("natd.sock")), 10)
        time.sleep(0.3)
        check_standard(p.pid, words)
        processes = children(p.pid)
        p.signal(signal.SIGKILL)
        p.wait()
        wait_until(f"helpers end with {words}", lambda: ended(processes), 10, 0.1)
        os.unlink(lab.path("natd.sock"))


@limit(120)
def test_processes_connect_closed_streams(lab):
    """Input that is closed is at its end; output that is closed is an error."""
    w = World(lab).two_homes()
    w.home.serve(7000, lambda sock, peer: (sock.sendall(b"hello\n"), echo(sock, peer)))
    w.relay()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    laptop = w.issue_agent("laptop")
    for words in COMBINATIONS:
        done = w.laptop.run(shell(lab, words, "postern", "--as", laptop, "connect", "home/echo"),
                            input=b"", check=False, timeout=15)
        gone = ">&-" in words.split()
        assert done.returncode == (1 if gone else 0), (words, done)
        assert done.stdout == ("" if gone else "hello\n"), (words, done)
    done = w.laptop.run(shell(lab, ">&-", "postern", "--version"), check=False)
    assert done.returncode == 0, done
    done = w.laptop.run(shell(lab, ">&-", "postern", "pki", "show", laptop), check=False)
    assert done.returncode == 1 and "cannot write to standard output" in done.stderr, done


@limit(60)
def test_processes_connect_ends(lab):
    """`postern connect` ends with the service, whatever its input does; a service that has ended its
    own direction still gets what comes."""
    w = World(lab).two_homes()
    taken = []

    def refusing(sock, _peer):
        sock.sendall(b"not allowed\r\n")

    def sink(sock, _peer):
        sock.shutdown(1)
        got = b""
        while piece := sock.recv(65536):
            got += piece
        taken.append(got)

    w.home.serve(7000, refusing)
    w.home.serve(7001, sink)
    w.relay()
    w.agent(w.home, "home", publish={"no": "127.0.0.1:7000", "sink": "127.0.0.1:7001"})
    laptop = w.issue_agent("laptop")

    def connect(service):
        with w.laptop.inside():
            return subprocess.Popen([f"{lab.build}/postern", "--as", laptop, "connect", service],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
    with connect("home/no") as p:
        assert p.stdout.read() == b"not allowed\r\n"
        began = time.monotonic()
        assert p.wait(10) == 0, p.stderr.read()
        assert time.monotonic() - began < 5
    with connect("home/sink") as p:
        sent = data(200000)
        for at in range(0, len(sent), 50000):
            p.stdin.write(sent[at:at + 50000])
            p.stdin.flush()
            time.sleep(0.8)
        p.stdin.close()
        assert p.wait(10) == 0
    wait_until("the sink has all", lambda: taken == [sent], 5)
    for words in (("connect", "echo"), ("connect", "home/"), ("connect",)):
        done = w.laptop.run([f"{lab.build}/postern", "--as", laptop, *words], check=False)
        assert done.returncode == 2, (words, done)
