# SPDX-License-Identifier: Apache-2.0
"""How operators run the relay: as a small container under the default profile, and by systemd."""
import os
import re
import shutil
import subprocess
import time

from netlab import run
from peers import MIB, data, echo, need, receive_exactly
from runner import limit, once
from world import World

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Podman:
    """podman with storage in the lab's directory, so that nothing of it stays."""

    def __init__(self, lab):
        if os.environ.get("POSTERN_UID") != "0":
            raise AssertionError("the image's user cannot be mapped in an ordinary user's "
                                 "namespace: run this test as root")
        self.argv = [need("podman"), "--runtime", need("runc"), "--storage-driver", "vfs",
                     "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        for option in ("root", "runroot", "tmpdir"):
            self.argv += [f"--{option}", lab.path(f"podman-{option}")]

    def __call__(self, *arguments, timeout=60):
        done = subprocess.run([*self.argv, *arguments], capture_output=True, text=True, cwd=ROOT,
                              timeout=timeout)
        assert done.returncode == 0, f"podman {arguments[0]}: {done.stderr}"
        return done.stdout


@once
@limit(120)
def test_container(lab):
    """FROM scratch, read-only, no capabilities, default seccomp: the main job works, on epoll."""
    lab.engine = "auto"
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    podman = Podman(lab)
    image_root = lab.path("image-root")
    subprocess.run([f"{ROOT}/container/stage", image_root, f"{lab.build}/postern-relayd"],
                   check=True, capture_output=True, timeout=60, cwd=ROOT)
    podman("build", "-q", "-t", "postern", "-f", "container/Containerfile", image_root)
    config = w.issue_relay()
    os.chmod(config, 0o644)  # the container's user does not exist here
    with w.relay_host.inside():  # as Docker does for its networks
        run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=443"])
    process = w.relay_host.start(
        [*podman.argv, "run", "--rm", "--name", "relay", "--network", "host", "--read-only",
         "--cap-drop", "all", "--security-opt", "no-new-privileges", "--ulimit",
         "nofile=20000:20000", "--ulimit", "nproc=1000:1000", "--env",
         "ASAN_OPTIONS=detect_leaks=0", "-v",
         f"{config}:/etc/postern/relay.yaml:ro", "postern"], "container")
    process.wait_for_line(r"relay: listening\b.*address=", 30)
    why = re.search(r"^.*epoll.*$", process.log(), re.MULTILINE)
    assert why and "io_uring" in why.group(0), \
        f"the log does not say that and why epoll is used:\n{process.log()}"
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    with w.laptop.connect("127.0.0.1", 7000) as s:
        for n in range(16):
            piece = data(MIB // 4, seed=n)
            s.sendall(piece)
            assert receive_exactly(s, len(piece)) == piece
    health = w.visitor.run(["curl", "-sSf", "-m", "5", "--cacert", w.ca,
                            "https://relay.example.org/"])
    assert health.returncode == 0
    start = time.monotonic()
    podman("stop", "-t", "20", "relay")
    assert process.wait(20) == 0, "the container did not end with status 0"
    assert time.monotonic() - start < 15, "podman stop had to kill it"


@once
def test_systemd_units(lab):
    """systemd understands the units as installed."""
    need("systemd-analyze", "systemd")
    for name in ("postern-relayd", "postern-agent", "postern-natd"):
        unit = shutil.copy(f"{ROOT}/systemd/{name}.service", lab.dir)
        with open(unit, encoding="utf-8") as f:
            text = f.read()
        program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE).group(1)
        with open(unit, "w", encoding="utf-8") as f:
            f.write(text.replace(program, f"{lab.build}/{os.path.basename(program)}"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                              capture_output=True, text=True, timeout=30)
        said = [x for x in done.stderr.splitlines() if name in x]
        assert done.returncode == 0 and not said, f"{name}: {done.stderr}"
