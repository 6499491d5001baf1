# SPDX-License-Identifier: Apache-2.0
"""What surrounds the programs: standard streams that are closed or that nobody reads."""
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import signal
import socket
import subprocess
import termios
import time

from netlab import SANITIZERS, wait_until
from peers import data, echo, receive_exactly
from runner import limit
from world import World, set_blocks

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
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


def talk(host, port, size=300000, seed=7, address="127.0.0.1"):
    """Bytes there and back."""
    sent = data(size, seed=seed)
    with host.connect(address, port) as s:
        s.settimeout(15)
        s.sendall(sent)
        assert hashlib.sha256(receive_exactly(s, size)).digest() == hashlib.sha256(sent).digest()


def works(host, port):
    """Whether a session carries bytes by now."""
    try:
        talk(host, port, 4)
        return True
    except (OSError, AssertionError, EOFError):
        return False


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
        wait_until(f"a session with {words}", lambda: works(w.laptop, 7001), 15, 0.2)
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


# ---- a log that nobody reads ---------------------------------------------------------------------

class Unread:
    """A program whose standard error is a small pipe that nobody reads."""

    def __init__(self, host, argv, name):
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
        with host.inside():
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=writer,
                                          env={**os.environ, **SANITIZERS})
        os.close(writer)
        self.name = name
        host.lab.callbacks.append(self.popen.kill)

    def is_full(self):
        """Whether less than a line is left; somebody has written into it until then."""
        count = bytearray(4)
        fcntl.ioctl(self.reader, termios.FIONREAD, count)
        return int.from_bytes(count, "little") > 2000

    def text(self):
        os.set_blocking(self.reader, False)
        got = b""
        try:
            while piece := os.read(self.reader, 65536):
                got += piece
        except BlockingIOError:
            pass
        return got.decode()

    def end(self):
        """SIGTERM ends it in time."""
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(10)
        os.close(self.reader)


def refused(host, port):
    """A connection to a service that is down."""
    with contextlib.suppress(ConnectionResetError), host.connect("127.0.0.1", port) as s:
        s.settimeout(10)
        assert s.recv(1) == b""


@limit(120)
def test_processes_log_unread(lab):
    """Relay and agents go on, and end when told, while nobody reads their logs; then the loss is told."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    files = {"relay": w.issue_relay(),
             "home": w.issue_agent("home", publish={"echo": "127.0.0.1:7000",
                                                    "down": "127.0.0.1:1"}),
             "laptop": w.issue_agent("laptop", forward={7001: "home/echo", 7002: "home/down"})}
    programs = []
    for host, program, name in ((w.relay_host, "postern-relayd", "relay"),
                                (w.home, "postern-agent", "home"),
                                (w.laptop, "postern-agent", "laptop")):
        programs.append(Unread(host, [f"{lab.build}/{program}", "-c", files[name], "--log-level",
                                      "debug"], name))
    wait_until("a session", lambda: works(w.laptop, 7001), 15, 0.2)
    for _ in range(80):
        refused(w.laptop, 7002)
        talk(w.laptop, 7001, 1000)
    for p in programs:
        assert p.is_full(), p.name
        p.text()
        talk(w.laptop, 7001, 1000)
        wait_until(f"{p.name} tells of lines that were lost",
                   lambda: re.search(r"log: \d+ lines were lost: nobody read the log", p.text()), 15)
    for p in reversed(programs):
        p.end()


@limit(60)
def test_processes_log_unread_natd(lab):
    w = World(lab).two_homes()
    p = Unread(w.laptop, [f"{lab.build}/postern-natd", "--map", "tcp:443", "--socket",
                          lab.path("natd.sock"), "--log-level", "debug"], "natd")
    wait_until("natd listens", lambda: os.path.exists(lab.path("natd.sock")), 10)

    def fills():
        p.popen.send_signal(signal.SIGUSR1)
        return p.is_full()
    wait_until("the pipe is full", fills, 20, 0.02)
    for _ in range(100):
        p.popen.send_signal(signal.SIGUSR1)
        time.sleep(0.005)
    w.laptop.run([f"{lab.build}/postern", "nat", "status", "--socket", lab.path("natd.sock")],
                 check=False, timeout=5)
    p.end()
    # Nor does it end because its reader has gone.
    q = Unread(w.laptop, [f"{lab.build}/postern-natd", "--map", "tcp:443", "--socket",
                          lab.path("natd.sock"), "--log-level", "debug"], "natd2")
    os.close(q.reader)
    for _ in range(5):
        time.sleep(0.3)
        q.popen.send_signal(signal.SIGUSR1)
    assert q.popen.poll() is None
    q.popen.send_signal(signal.SIGTERM)
    q.popen.wait(10)


@limit(60)
def test_processes_log_kinds(lab):
    """A client that polls a service that is down does not bury the log; what was hidden is counted."""
    w = World(lab).two_homes()
    w.relay()
    w.agent(w.home, "home", publish={"down": "127.0.0.1:1"})
    laptop = w.agent(w.laptop, "laptop", forward={7002: "home/down"})
    for _ in range(50):
        refused(w.laptop, 7002)
    laptop.signal(signal.SIGTERM)
    laptop.wait()
    lines = [line for line in laptop.log().splitlines() if " warning session: " in line]
    assert len(lines) == 31, lines
    assert re.search(r": \.\.\. 20 more in \d+ s, the last: home/down: ", lines[-1]), lines[-1]


# ---- addresses that come and go ------------------------------------------------------------------

@limit(60)
def test_processes_listen_ahead(lab):
    """A forward's address that the host does not have yet: the others work, and so does this one once
    the host has it, and once more after it was gone."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    config = w.issue_agent("laptop")
    set_blocks(config, {"forward": "".join(
        f"  - listen: '{at}'\n    to: home/echo\n"
        for at in ("127.0.0.1:7001", "10.8.0.2:7002", "[fd00:8::2]:7003"))})
    laptop = w.start_agent(w.laptop, config, "laptop", forwards=1)
    for text in (r"10\.8\.0\.2:7002", r"\[fd00:8::2\]:7003"):
        laptop.wait_for_line(rf"warning forward: {text}: this host has no such address yet; "
                             "connections are taken as soon as it has")
    talk(w.laptop, 7001)
    for _ in range(2):
        w.laptop.ip("addr", "add", "10.8.0.2/32", "dev", "lo")
        w.laptop.ip("-6", "addr", "add", "fd00:8::2/128", "dev", "lo", "nodad")
        talk(w.laptop, 7002, address="10.8.0.2")
        talk(w.laptop, 7003, address="fd00:8::2")
        w.laptop.ip("addr", "del", "10.8.0.2/32", "dev", "lo")
        w.laptop.ip("-6", "addr", "del", "fd00:8::2/128", "dev", "lo")
    talk(w.laptop, 7001)


@limit(60)
def test_processes_listen_words(lab):
    """Why an address cannot be had, and what helps."""
    w = World(lab).two_homes()
    config = w.issue_agent("laptop", forward={7001: "home/echo"})
    with w.laptop.listen(7001):
        done = w.laptop.run([f"{lab.build}/postern-agent", "-c", config], check=False)
    assert done.returncode == 1 and "forward: 127.0.0.1:7001 cannot be listened on: Address " \
        "already in use; another program listens there" in done.stderr, done
    set_blocks(config, {"forward": "  - listen: 127.0.0.1:445\n    to: home/echo\n"})
    os.chmod(config, 0o600)
    os.chown(config, 65534, 65534)
    done = w.laptop.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                         f"{lab.build}/postern-agent", "-c", config], check=False)
    assert done.returncode == 1 and "AmbientCapabilities=CAP_NET_BIND_SERVICE" in done.stderr, done


# ---- the systemd units ---------------------------------------------------------------------------

class Unit:
    """A unit's commands, run as systemd runs them: those with "+" by root, the others by its user."""

    user = 65534

    def __init__(self, lab, host, name):
        self.lab, self.host, self.name = lab, host, name
        with open(os.path.join(ROOT, "systemd", f"{name}.service"), encoding="utf-8") as f:
            self.text = f.read()
        for path in (f"run/{name}", "etc"):
            os.makedirs(lab.path(path), exist_ok=True)
        os.chmod(lab.dir, 0o711)
        assert f"RuntimeDirectory={name}\nRuntimeDirectoryMode=0700\n" in self.text
        os.chown(lab.path(f"run/{name}"), self.user, self.user)
        os.chmod(lab.path(f"run/{name}"), 0o700)

    def commands(self, key, pid=0):
        for line in re.findall(rf"^{key}=(.*)$", self.text, re.MULTILINE):
            for before, after in (("%%", "%"), ("%t", self.lab.path("run")), ("$MAINPID", str(pid)),
                                  ("/etc/postern", self.lab.path("etc")),
                                  ("/usr/local/sbin", self.lab.build)):
                line = line.replace(before, after)
            yield [*(() if line[0] == "+" else
                     ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
                      "--ambient-caps=+net_bind_service", "--inh-caps=+net_bind_service")),
                   *shlex.split(line.removeprefix("+"))]

    def start(self):
        for argv in self.commands("ExecStartPre"):
            self.host.run(argv)
        argv, = self.commands("ExecStart")
        return self.host.start([*argv, "--log-level", "info"], self.name)

    def reload(self, process):
        for argv in self.commands("ExecReload", process.pid):
            self.host.run(argv)


@limit(60)
def test_processes_unit_reload(lab):
    """`systemctl reload` reads the operator's file again, which is root's alone."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, agent = (Unit(lab, host, name) for host, name in ((w.relay_host, "postern-relayd"),
                                                             (w.laptop, "postern-agent")))
    os.rename(w.issue_relay(), lab.path("etc/relay.yaml"))
    os.rename(w.issue_agent("laptop", forward={7001: "home/echo"}), lab.path("etc/agent.yaml"))
    running = relay.start(), agent.start()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    running[1].wait_for_line(r"link: up\b")
    running[1].wait_for_line(r"forward: listening address=127.0.0.1:7001\b")
    for unit, process, file, blocks, words in (
            (agent, running[1], "agent.yaml",
             {"forward": "  - listen: 127.0.0.1:7002\n    to: home/echo\n"},
             "forward: listening address=127.0.0.1:7002"),
            (relay, running[0], "relay.yaml",
             {"listen": "  - address: 0.0.0.0:443\n  - address: 0.0.0.0:8443\n"},
             "control: configuration revision=2 by SIGHUP")):
        assert os.stat(lab.path(f"etc/{file}")).st_mode & 0o777 == 0o600
        assert os.stat(lab.path(f"etc/{file}")).st_uid == 0
        copy = lab.path(f"run/{unit.name}/{file}")
        assert os.stat(copy).st_uid == unit.user and os.stat(copy).st_mode & 0o777 == 0o400
        for _ in range(2):
            process.remember()
            unit.reload(process)
            process.wait_for_line("the configuration file has been read again: nothing new")
        set_blocks(lab.path(f"etc/{file}"), blocks)
        process.remember()
        unit.reload(process)
        process.wait_for_line(re.escape(words))
    talk(w.laptop, 7002)
    w.visitor.connect("45.0.0.2", 8443).close()


@limit(60)
def test_processes_status(lab):
    """systemctl status tells what a program is connected to, and why not."""
    w = World(lab).two_homes()
    heard = {}

    def manager(name):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(lab.path(f"{name}.notify"))
        sock.setblocking(False)
        lab.callbacks.append(sock.close)
        heard[name] = sock, []
        return {"NOTIFY_SOCKET": lab.path(f"{name}.notify")}

    def tells(name, pattern):
        def look():
            sock, texts = heard[name]
            with contextlib.suppress(BlockingIOError):
                while True:
                    texts.append(sock.recv(4096).decode())
            return texts and re.search(pattern, [t for t in texts if "STATUS" in t][-1:][0]
                                       if any("STATUS" in t for t in texts) else "")
        return wait_until(f"{name}: {pattern}", look, 15)

    relay = w.relay_host.start([f"{lab.build}/postern-relayd", "-c", w.issue_relay()], "relay",
                               env=manager("relay"))
    relay.wait_for_line(r"relay: listening\b")
    tells("relay", r"^STATUS=0 links of agents, 0 sessions; listening at 0\.0\.0\.0:443$")
    w.agent(w.laptop, "laptop", env=manager("laptop"), forward={7001: "home/echo"})
    tells("laptop", r"^STATUS=connected to relay\.example\.org:443$")
    tells("relay", r"^STATUS=1 links of agents, 0 sessions")
    relay.signal(signal.SIGKILL)
    tells("laptop", r"^STATUS=not connected to relay\.example\.org:443: \S+")
