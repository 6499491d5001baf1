# SPDX-License-Identifier: Apache-2.0
"""netlab: several hosts on one machine, from network namespaces; and what runs on them.

Theory of operation.  Inside the namespaces that enter.py made, a Lab adds named ones:

    host  a network namespace.  Sockets belong to the namespace they were made in, so a thread
          steps inside for the moment of socket() or fork() and out again: Host.inside().
    wire  a veth pair from a host to a bridge.  The bridge of the host "net" is the internet.
    home  a router with NAT towards the internet and hosts on a LAN behind it.

Everything a Lab starts is ended by its __exit__, also after an exception or a signal.  Every wait
has a limit, and on failure the last lines of every process's log are shown.
"""
import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from nat import router_rules

CLONE_NEWNET = 0x40000000
# A program that has sealed itself cannot be searched for leaks at its end, so test_limits.py counts
# what it holds; everything else that a sanitizer finds fails a test.
SANITIZERS = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
LIBC = ctypes.CDLL(None, use_errno=True)

def wait_until(what, condition, timeout=10.0, step=0.02):
    """Polls condition() until it is true and returns what it gave."""
    end = time.monotonic() + timeout
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(step)


class Process:
    """A program on a host: its own process group, its output in a log file."""

    def __init__(self, host, argv, name, env=None, stdin=subprocess.DEVNULL, stdout=None,
                 cwd=None):
        self.lab, self.name, self.argv = host.lab, name, [str(a) for a in argv]
        self.log_path = os.path.join(self.lab.dir, f"{name}.log")
        self.ended_by_us = False
        self.must_end_well = False  # checked by the lab: see stop_gracefully()
        with open(self.log_path, "ab") as log, host.inside():
            self.popen = subprocess.Popen(
                self.argv, stdin=stdin, stdout=log if stdout is None else stdout, stderr=log,
                env={**os.environ, **SANITIZERS, **(env or {})}, start_new_session=True, cwd=cwd)
        self.pid = self.popen.pid
        self.mark = 0

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def tail(self, lines=12):
        return "\n".join(self.log().splitlines()[-lines:])

    def remember(self):
        """Later waits look only at what is logged from now on."""
        self.mark = len(self.log())

    def wait_for_line(self, pattern, timeout=10.0):
        """The match object of the first line that fits, since remember()."""
        regex = re.compile(pattern, re.MULTILINE)

        def look():
            found = regex.search(self.log()[self.mark:])
            if not found and self.popen.poll() is not None:
                found = regex.search(self.log()[self.mark:])
                if not found:
                    raise AssertionError(f"{self.name} ended with status {self.popen.returncode} "
                                         f"before it said /{pattern}/")
            return found

        return wait_until(f"{self.name}: /{pattern}/ in its log", look, timeout)

    def signal(self, number):
        """Sends a signal to the program itself."""
        if number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
            self.ended_by_us = True
        self.popen.send_signal(number)

    def wait(self, timeout=10.0):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout:g} s") from None

    def kill(self):
        """Ends the whole process group at once."""
        self.ended_by_us = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(10)

    def alive(self):
        return self.popen.poll() is None


class Host:
    """A network namespace."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.ns = f"{lab.prefix}{name}"
        self.address = None  # the first one given to it
        run(["ip", "netns", "add", self.ns])
        self.fd = os.open(f"/run/netns/{self.ns}", os.O_RDONLY | os.O_CLOEXEC)
        # Many short sessions must not run out of ports: a test's matter, not Postern's.
        self.ip("link", "set", "lo", "up")
        with self.inside():
            for key, value in (("ip_local_port_range", "1100 65000"), ("tcp_tw_reuse", "1")):
                with open(f"/proc/sys/net/ipv4/{key}", "w",
                          encoding="ascii") as f:
                    f.write(value)

    @contextlib.contextmanager
    def inside(self):
        """This thread is on this host; start no threads meanwhile."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _setns(self.fd)
        try:
            yield
        finally:
            _setns(own)
            os.close(own)

    def remove(self):
        os.close(self.fd)
        subprocess.run(["ip", "netns", "del", self.ns], capture_output=True, timeout=20)

    def ip(self, *arguments):
        run(["ip", "-n", self.ns, *arguments])

    def nft(self, rules):
        with self.inside():
            run(["nft", "-f", "-"], input=rules)

    def start(self, argv, name=None, **options):
        """Starts a program here; the lab ends it."""
        process = Process(self, argv, self.lab.unique(name or os.path.basename(str(argv[0]))),
                          **options)
        self.lab.processes.append(process)
        return process

    def run(self, argv, timeout=30.0, check=True, env=None, input=None, cwd=None):
        """Runs a program here to its end; its output as text."""
        with self.inside():
            process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env={**os.environ, **SANITIZERS, **(env or {})}, cwd=cwd,
                start_new_session=True)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException as e:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            if not isinstance(e, subprocess.TimeoutExpired):
                raise
            raise TimeoutError(f"{argv[0]} still ran after {timeout:g} s: "
                               f"{(out + err)[-400:]!r}") from None
        done = subprocess.CompletedProcess(argv, process.returncode,
                                           out.decode("utf-8", "replace"),
                                           err.decode("utf-8", "replace"))
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, argv))}: status {done.returncode}\n"
                                 f"{(done.stdout + done.stderr)[-1500:]}")
        return done

    def connect(self, address, port, timeout=10.0, source=None, nodelay=True):
        """A TCP connection from this host."""
        with self.inside():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                               socket.SOCK_STREAM)
        try:
            s.settimeout(timeout)
            if nodelay:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                s.bind(source)
            s.connect((address, port))
        except BaseException:
            s.close()
            raise
        return s

    def listen(self, port, address="0.0.0.0", backlog=512, receive_buffer=None):
        """A listening TCP socket on this host."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside():
            s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        s.bind((address, port))
        s.listen(backlog)
        self.lab.callbacks.append(s.close)
        return s

    def serve(self, port, handler, address="0.0.0.0", **options):
        """Answers each connection by handler(socket, peer) in a thread of its own."""
        listener = self.listen(port, address, **options)

        def one(sock, peer):
            with sock, contextlib.suppress(OSError):
                sock.settimeout(60)
                handler(sock, peer)

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    sock, peer = listener.accept()
                    threading.Thread(target=one, args=(sock, peer), daemon=True).start()

        # Runs before listen()'s close(): that alone would leave the thread in accept().
        self.lab.callbacks.append(lambda: _shutdown(listener))
        threading.Thread(target=loop, daemon=True).start()
        return listener


def _shutdown(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _setns(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def run(argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


# ---- the lab ------------------------------------------------------------------------------------

class Lab:
    """Hosts, wires and processes of one test."""

    directory = "/run"  # ours alone, in memory, and gone with us

    def __init__(self, build, engine="auto", name="lab"):
        self.build, self.engine, self.name = os.path.abspath(build), engine, name
        self.prefix = f"pst-{os.getpid()}-"
        self.hosts, self.processes, self.callbacks = {}, [], []
        self.names = set()
        self.interfaces = 0
        self.threads = None  # of a relay; None: as many as it takes by itself
        self.dir = None
        self.failed, self.report = False, ""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-", dir=self.directory)
        os.chmod(self.dir, 0o755)
        return self

    def __exit__(self, kind, value, trace):
        self.failed = kind is not None
        trouble = []
        try:
            if not self.failed:
                trouble = self.stop_gracefully()
            trouble += self.find_crashes()
        finally:
            self.close()
        if self.failed or trouble:
            self.report = self.last_lines()
        shutil.rmtree(self.dir, ignore_errors=True)
        if trouble and not self.failed:
            raise AssertionError("; ".join(trouble))
        return False

    def stop_gracefully(self):
        """Programs of ours end by themselves when asked, with status 0."""
        ours = [p for p in self.processes if p.must_end_well and p.alive()]
        for p in ours:
            p.signal(signal.SIGTERM)
        time.sleep(0.02 if ours else 0)
        for p in ours:
            if p.alive():
                p.signal(signal.SIGTERM)  # a second one: do not wait for sessions
        trouble = []
        for p in ours:
            try:
                status = p.wait(5)
            except TimeoutError:
                trouble.append(f"{p.name} did not end within 5 s of SIGTERM")
                continue
            if status:
                trouble.append(f"{p.name} ended with status {status} after SIGTERM")
        return trouble

    def find_crashes(self):
        found = []
        for p in self.processes:
            status = p.popen.poll()
            if status is not None and status < 0 and not p.ended_by_us:
                found.append(f"{p.name} died of {signal.Signals(-status).name}")
            text = p.log() if p.must_end_well else ""
            if "Sanitizer" in text or "runtime error:" in text:
                found.append(f"{p.name}: a sanitizer reported")
        return found

    def close(self):
        """Ends everything and proves that it is gone."""
        for call in reversed(self.callbacks):
            with contextlib.suppress(OSError):
                call()
        self.callbacks.clear()
        for p in self.processes:
            p.kill()
        for host in self.hosts.values():
            host.remove()
        self.hosts.clear()
        left = [n for n in self.namespaces() if n.startswith(self.prefix)]
        if left:
            raise AssertionError(f"namespaces are left: {left}")

    def namespaces(self):
        return os.listdir("/run/netns")

    def last_lines(self):
        return "\n".join("\n  | ".join([f"  --- {p.name}", *p.tail().splitlines()])
                         for p in self.processes if p.tail())

    def unique(self, name):
        base, n = re.sub(r"[^\w.-]", "_", name), 2
        name = base
        while name in self.names:
            name, n = f"{base}-{n}", n + 1
        self.names.add(name)
        return name

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    # ---- building networks

    def host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def bridge(self, host, name):
        host.ip("link", "add", "name", name, "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", name, "up")

    def wire(self, host, interface, address, switch, bridge):
        """Connects host to a bridge of the host switch; address is "a.b.c.d/len"."""
        self.interfaces += 1
        port = f"port{self.interfaces}"
        run(["ip", "link", "add", interface, "netns", host.ns, "type", "veth", "peer", "name",
             port, "netns", switch.ns])
        switch.ip("link", "set", port, "master", bridge)
        switch.ip("link", "set", port, "up")
        host.ip("addr", "add", address, "dev", interface)
        host.ip("link", "set", interface, "up")
        host.address = host.address or address.split("/")[0]

    def internet(self):
        net = self.host("net")
        self.bridge(net, "br0")
        return net

    def public(self, name, address):
        """A host with an address of its own on the internet."""
        host = self.host(name)
        self.wire(host, "eth0", f"{address}/24", self.hosts["net"], "br0")
        return host

    def home(self, name, wan, lan, hosts, nat="port-restricted"):
        """A router rtr-NAME with NAT and the named hosts behind it, from LAN.2 on."""
        router = self.host(f"rtr-{name}")
        self.wire(router, "wan0", f"{wan}/24", self.hosts["net"], "br0")
        self.bridge(router, "lan0")
        router.ip("addr", "add", f"{lan}.1/24", "dev", "lan0")
        with router.inside():
            run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        router.nft(router_rules(nat, f"{lan}.2"))
        made = []
        for n, host_name in enumerate(hosts, 2):
            host = self.host(host_name)
            self.wire(host, "eth0", f"{lan}.{n}/24", router, "lan0")
            host.ip("route", "add", "default", "via", f"{lan}.1")
            made.append(host)
        return router, *made


class LoopbackHost(Host):
    """A name for this machine."""

    def __init__(self, lab, name):  # pylint: disable=super-init-not-called
        self.lab, self.name, self.address = lab, name, "127.0.0.1"

    @contextlib.contextmanager
    def inside(self):
        yield

    def remove(self):
        pass


class LoopbackLab(Lab):
    """For where namespaces are refused: every host is this machine, every wire its loopback."""

    directory = None  # the system's own for temporary files

    def host(self, name):
        self.hosts[name] = LoopbackHost(self, name)
        return self.hosts[name]

    def namespaces(self):
        return []

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]
