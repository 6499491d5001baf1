# SPDX-License-Identifier: Apache-2.0
"""enter: starts this program again where it may build networks, and says what to do where not.

Inside are mount, network and process namespaces of our own (and a user namespace when we are not
root), a fresh /run, and names that resolve to the labs' addresses.  However a run ends, the
kernel takes away all that it made.
"""
import ctypes
import os
import resource
import signal
import subprocess
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
INSIDE = "POSTERN_NETLAB"

# One plan of addresses for all labs: names resolve alike in every host of every lab.
NAMES = {
    "relay.example.org": "45.0.0.2",
    "relay2.example.org": "45.0.0.3",
    "relay6.example.org": "2a00:45::2",
    "www.example.org": "45.0.0.2",
    "down.example.org": "45.0.0.2",
    "proxy.example.org": "45.0.0.30",
    "home.example.org": "45.0.0.10",
    "stun.example.org": "45.0.0.3",
    "acme.example.org": "45.0.0.40",
}

REMEDY = """namespaces are refused here: {why}
These tests build whole networks from Linux namespaces.  Any one of these makes that possible:
  - run as root
  - let ordinary users make user namespaces: sysctl user.max_user_namespaces=10000, and where they
    exist kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0
  - in a container: --privileged, or --cap-add SYS_ADMIN --cap-add NET_ADMIN with
    --security-opt seccomp=unconfined
"""


class Refused(Exception):
    """The machine does not let us make namespaces."""


def _unshare_arguments():
    """The unshare(1) command line that works here, widest first."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    why = ""
    for pid in (["--pid", "--fork", "--kill-child", "--mount-proc"], []):
        argv = ["unshare", *user, "--mount", "--net", *pid]
        # What a lab needs beside the namespaces: our own /run, and links between named hosts.
        need = ("mount -t tmpfs lab /run && ip netns add probe-a && ip netns add probe-b && "
                "ip link add x netns probe-a type veth peer name y netns probe-b && "
                "ip -n probe-a link add name br0 type bridge")
        try:
            probe = subprocess.run([*argv, "sh", "-c", need], capture_output=True, text=True,
                                   timeout=20, env={**os.environ, "PATH": search_path()})
        except (OSError, subprocess.TimeoutExpired) as e:
            raise Refused(str(e)) from e
        if probe.returncode == 0:
            return argv
        why = why or " ".join(probe.stderr.split())
    raise Refused(why)


def search_path():
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def _run_inside(argv):
    """Runs argv to its end, passing signals on, which unshare(1) does not; its exit status."""
    sys.stdout.flush()
    child = subprocess.Popen(argv, env={**os.environ, INSIDE: "1"}, preexec_fn=lambda:
                             ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))

    def forward(number, _frame):
        with open(f"/proc/{child.pid}/task/{child.pid}/children", encoding="ascii") as f:
            inner = f.read().split()
        for pid in inner or [child.pid]:
            os.kill(int(pid), number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    status = child.wait()
    return status if status >= 0 else 128 - status


def enter():
    """Returns inside namespaces of our own, having started the program again; raises Refused."""
    os.environ["PATH"] = search_path()
    if os.environ.get(INSIDE) != "1":
        os.environ["POSTERN_UID"] = str(os.geteuid())
        argv = [*_unshare_arguments(), sys.executable, *sys.argv]
        sys.exit(_run_inside(argv))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ[INSIDE] = "0"  # a program that we start and that enters by itself starts anew
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.run(["mount", "-t", "tmpfs", "lab", "/run"], check=True, timeout=10)
    files = {
        "hosts": "127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in NAMES.items()),
        "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    }
    os.makedirs("/run/etc")  # stays: nothing can be mounted over a file that was removed
    for name, text in files.items():
        path = os.path.join("/run/etc", name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        subprocess.run(["mount", "--bind", path, os.path.realpath(f"/etc/{name}")], check=True,
                       timeout=10)
    os.makedirs("/run/netns", exist_ok=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)


def on_signals():
    """The first signal becomes an exception, so that __exit__ methods run; more are ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number, _frame):
        for n in numbers:
            signal.signal(n, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in numbers:
        signal.signal(number, stop)
