# SPDX-License-Identifier: Apache-2.0
"""relays: how each relay of the comparison is configured, started and stopped.

Every relay listens on a loopback port of its own and is given what favours it: both cores, room for
all sessions, no logging of connections. A relay that is not installed is left out.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time

START_LIMIT_S = 10
STOP_LIMIT_S = 5
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Missing(Exception):
    """The relay cannot take part; says why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Missing(f"{name} is not installed")
    return path


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=10)
    return done.stdout.splitlines()[0].strip() if done.stdout else ""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Relay:
    """One relay. The subclasses say what it is; start() and stop() may be called repeatedly."""
    name = ""      # in tables
    path = ""      # load --path
    about = ""     # how it is configured, for the report
    peer = True    # compared with, as opposed to ours and to no relay at all
    tuned = False  # beyond what its makers ship
    secure = False  # a session costs it TLS handshakes
    max_sessions = 1 << 30
    relays = True  # carries sessions
    stun = False  # answers STUN on its port

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name.replace(" ", "-"))
        os.makedirs(self.folder)
        self.port, self.backend = free_port(), free_port()
        self.process = None
        self.prepare()

    def prepare(self):
        """Writes files; raises Missing."""

    def command(self):
        raise NotImplementedError

    def version(self):
        return ""

    def extra_options(self):
        return []

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def log_tail(self):
        with open(os.path.join(self.folder, "log"), errors="replace", encoding="utf-8") as f:
            return f.read()[-800:].strip()

    def start(self):
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=self.folder,
                                            preexec_fn=die_with_parent)
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                time.sleep(0.3)  # until that visit is forgotten
                return
            except OSError:
                time.sleep(0.05)
        said = self.log_tail()
        self.stop()
        raise Missing(f"{self.name} did not start: {said}")

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def pids(self):
        """The process and its children, such as nginx's workers."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [pid] + [int(word) for word in f.read().split()]

    def options(self, test=None):
        """For load."""
        words = ["--relay", f"127.0.0.1:{self.port}"]
        if test == "stun":
            words += ["--path", "stun"]
        else:
            words += ["--path", self.path, "--backend", f"127.0.0.1:{self.backend}"]
            words += self.extra_options()
        for pid in self.pids():
            words += ["--pid", str(pid)]
        return words


class Direct(Relay):
    name, path, peer = "no relay", "direct", False
    about = "the load generator's two ends connected to each other: the upper bound"

    def start(self):
        pass

    def pids(self):
        return []


class Postern(Relay):
    name, path, peer, secure, stun = "Postern", "postern", False, True, True
    about = ("as issued by `postern pki issue`; limits.legs raised for the row with warm legs, and "
             "stun.rate for STUN")
    engine = "auto"
    build = "build"

    def prepare(self):
        relayd = os.path.join(self.build, "postern-relayd")
        console = os.path.join(self.build, "postern")
        for path in (relayd, console):
            if not os.path.exists(path):
                raise Missing(f"{path} has not been built")
        self.relayd, address = os.path.abspath(relayd), f"127.0.0.1:{self.port}"

        def pki(*words):
            subprocess.run([os.path.abspath(console), "pki", *words], cwd=self.folder, check=True,
                           stdout=subprocess.DEVNULL, timeout=20)
        pki("init", "ca")
        pki("issue", "ca", "relay", "bench", "--host", "127.0.0.1", "--listen", address,
            "--out", "relay.yaml")
        pki("issue", "ca", "agent", "source", "--relay", address, "--out", "source.yaml")
        pki("issue", "ca", "agent", "sink", "--relay", address, "--publish", "bench=127.0.0.1:9",
            "--out", "sink.yaml")
        pki("issue", "ca", "console", "console", "--relay", address, "--out", "console.yaml")
        self.socket = os.path.join(self.folder, "control.sock")
        with open(os.path.join(self.folder, "relay.yaml"), "a", encoding="utf-8") as f:
            f.write(f"engine: {self.engine}\nlog_level: warning\nlimits:\n  legs: 4096\n"
                    f"control:\n  socket: {self.socket}\n"
                    "stun:\n  enabled: true\n  rate: 100000000\n  burst: 100000000\n")

    def command(self):
        return [self.relayd, "-c", "relay.yaml"]

    def version(self):
        return first_line(self.relayd, "--version")

    def extra_options(self):
        return ["--source", os.path.join(self.folder, "source.yaml"),
                "--sink", os.path.join(self.folder, "sink.yaml"),
                "--console", os.path.join(self.folder, "console.yaml")]


class PosternEpoll(Postern):
    name, engine = "Postern epoll", "epoll"
    about = "the same with `engine: epoll`, as where io_uring is refused"


HAPROXY = """
global
    nbthread 2
    maxconn 8500
    maxpipes 400
{tuning}
defaults
    mode tcp
    option splice-auto
    option splice-request
    option splice-response
    timeout connect 5s
    timeout client 10m
    timeout server 10m
listen bench
    bind 127.0.0.1:{port} backlog 4096
    server sink 127.0.0.1:{backend}
"""


class HAProxy(Relay):
    name, path = "HAProxy", "tcp"
    about = "mode tcp, splice-auto, splice-request and splice-response, 2 threads"
    tuning = ""

    def prepare(self):
        self.program = tool("haproxy")
        self.config = self.write("haproxy.cfg", HAPROXY.format(
            port=self.port, backend=self.backend, tuning=self.tuning))

    def command(self):
        return [self.program, "-db", "-f", self.config]

    def version(self):
        return first_line(self.program, "-v")


class HAProxyPipes(HAProxy):
    name, tuned = "HAProxy 1M", True
    about = "the same with tune.pipesize 1048576 (default: the kernel's 65536)"
    tuning = "    tune.pipesize 1048576"


NGINX = """
{module}
daemon off;
user root;
worker_processes 2;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 19000; }}
stream {{
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_pass 127.0.0.1:{backend};
        proxy_timeout 10m;
    }}
}}
"""


class Nginx(Relay):
    name, path = "nginx stream", "tcp"
    about = "2 workers, proxy_buffer_size as shipped (16 KiB)"

    def prepare(self):
        self.program = tool("nginx")
        built = subprocess.run([self.program, "-V"], stderr=subprocess.PIPE, text=True,
                               timeout=10).stderr
        module = ""
        if "--with-stream=dynamic" in built:
            folder = re.search(r"--modules-path=(\S+)", built)
            library = os.path.join(folder.group(1) if folder else "", "ngx_stream_module.so")
            if not os.path.exists(library):
                raise Missing("nginx has no stream module")
            module = f"load_module {library};"
        self.config = self.write("nginx.conf", NGINX.format(
            module=module, port=self.port, backend=self.backend))

    def command(self):
        return [self.program, "-p", self.folder, "-e", "stderr", "-c", self.config]

    def version(self):
        done = subprocess.run([self.program, "-v"], stderr=subprocess.PIPE, text=True, timeout=10)
        return done.stderr.strip()


class Strelaysrv(Relay):
    name, path, secure = "strelaysrv", "strelay", True
    about = "as shipped, in no pool; refuses more than 80% of the descriptor limit"
    max_sessions = 7900

    def prepare(self):
        self.program = tool("strelaysrv")

    def command(self):
        return [self.program, "-pools", "", "-protocol", "tcp4", "-status-srv", "",
                "-listen", f"127.0.0.1:{self.port}", "-keys", self.folder]

    def version(self):
        return " ".join(first_line(self.program, "-version").split()[:2])


class Coturn(Relay):
    name, path, relays, stun = "coturn", "stun", False, True
    about = "STUN only: --stun-only, no TLS, no log; as many threads as it takes by itself"

    def prepare(self):
        self.program = tool("turnserver")

    def command(self):
        return [self.program, "-n", "--stun-only", "-L", "127.0.0.1", "-p", str(self.port),
                "--no-cli", "--no-tls", "--no-dtls", "--log-file", "/dev/null", "--pidfile",
                os.path.join(self.folder, "pid"), "--userdb", os.path.join(self.folder, "db")]

    def version(self):
        return first_line(self.program, "--version")


ALL = (Direct, Postern, PosternEpoll, HAProxy, HAProxyPipes, Nginx, Strelaysrv, Coturn)
