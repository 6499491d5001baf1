# SPDX-License-Identifier: Apache-2.0
"""Programs that people use every day, unmodified, through a forward or ProxyCommand."""
import hashlib
import json
import os

from console import console
from peers import data, echo, need, nginx, receive_exactly, wait_for_port
from runner import limit
from world import World

SSHD = """
Port 2222
ListenAddress 127.0.0.1
HostKey {dir}/host_key
PidFile {dir}/sshd.pid
AuthorizedKeysFile {dir}/user_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""

USER = "alice"


def unprivileged(lab):
    """The words before a command that make it run as an ordinary user named alice; sshd as root
    wants directories and users of the system that need not be there."""
    passwd = f"root:x:0:0:root:{lab.dir}:/bin/sh\n{USER}:x:1000:1000::{lab.dir}:/bin/sh\n"
    lab.write("passwd", passwd)
    inner = (f"mount --bind {lab.path('passwd')} /etc/passwd && exec "
             "unshare --user --map-user=1000 --map-group=1000 \"$@\"")
    return ["unshare", "--mount", "sh", "-c", inner, "sh"]


def sshd_at_home(w):
    lab = w.lab
    for key in ("host_key", "user_key"):
        w.home.run([need("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f",
                    lab.path(key)])
    config = lab.write("sshd_config", SSHD.format(dir=lab.dir))
    w.home.start([*unprivileged(lab), need("sshd", "openssh-server"), "-D", "-e", "-f", config],
                 "sshd")
    wait_for_port(w.home, 2222)


@limit(90)
def test_ssh_and_scp(lab):
    w = World(lab).two_homes()
    sshd_at_home(w)
    w.relay()
    w.agent(w.home, "home", publish={"ssh": "127.0.0.1:2222"})
    laptop = w.issue_agent("laptop")
    with open(lab.path("host_key.pub"), encoding="ascii") as f:
        lab.write("known_hosts", "home " + f.read())
    options = ["-F", "/dev/null", "-i", lab.path("user_key"), "-o", "BatchMode=yes",
               "-o", f"UserKnownHostsFile={lab.path('known_hosts')}",
               "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
               "-o", f"ProxyCommand={lab.build}/postern --as {laptop} connect %h/ssh"]
    said = w.laptop.run(["ssh", *options, f"{USER}@home", "cat; id -u"], input=b"hello\n").stdout
    assert said == "hello\n1000\n", said
    content = data(8 << 20, seed=3)
    source, target = lab.write("up.bin", content), lab.path("down.bin")
    remote = lab.path("remote.bin")
    os.chmod(lab.dir, 0o777)
    w.laptop.run(["scp", *options, source, f"{USER}@home:{remote}"], timeout=40)
    w.laptop.run(["scp", *options, f"{USER}@home:{remote}", target], timeout=40)
    with open(target, "rb") as f:
        assert hashlib.sha256(f.read()).digest() == hashlib.sha256(content).digest()


def test_connect_command(lab):
    """stdin and stdout as a session: both ends of file pass, and failures have a status."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    laptop = w.issue_agent("laptop")
    argv = [f"{lab.build}/postern", "--as", laptop, "connect"]
    for size in (0, 1, 100000):
        text = data(size, seed=size).hex().encode()
        done = w.laptop.run([*argv, "home/echo"], input=text)
        assert done.stdout.encode() == text, f"{len(done.stdout)} of {len(text)} came back"
    for target, word in (("home/nothing", "nothing"), ("nobody/echo", "nobody")):
        done = w.laptop.run([*argv, target], input=b"", check=False)
        assert done.returncode and word in done.stderr, (done.returncode, done.stderr)
    boss = console(w)
    done = w.visitor.run(boss.argv("connect", "home/echo"), input=b"", check=False)
    assert done.returncode == 2 and "boss.yaml is a console's file" in done.stderr, done
    done = w.visitor.run(boss.argv("connect", "home/postern/control"), check=False,
                         input=b'{"jsonrpc":"2.0","id":1,"method":"status"}\n')
    assert '"agent":"home"' in done.stdout, done


@limit(90)
def test_iperf(lab):
    w = World(lab).two_homes()
    w.home.start([need("iperf3"), "-s", "-p", "5201"], "iperf3-server")
    wait_for_port(w.home, 5201)
    w.pair(5201, "iperf")
    for direction in ([], ["-R"]):
        done = w.laptop.run(["iperf3", "-c", "127.0.0.1", "-p", "5201", "-P", "4", "-t", "2", "-J",
                             *direction], timeout=40)
        result = json.loads(done.stdout)
        assert "error" not in result, result["error"]
        received = result["end"]["sum_received"]
        assert len(result["end"]["streams"]) == 4
        assert received["bits_per_second"] > 20e6, received
        print(f"iperf3 {' '.join(direction)}: {received['bits_per_second'] / 1e6:.0f} Mbit/s")


def test_socks5(lab):
    w = World(lab).two_homes()
    nginx(w.home, port=8080)
    w.home.serve(7000, echo)
    w.relay()
    w.agent(w.home, "home", publish={"web": "127.0.0.1:8080", "dept/echo.v1": "127.0.0.1:7000"})
    agent = w.agent(w.laptop, "laptop", socks5=1080)
    page = w.laptop.run(["curl", "-sSf", "-m", "10", "--socks5-hostname", "127.0.0.1:1080",
                         "http://web.home.postern/"]).stdout
    assert "served by nginx" in page
    page = w.laptop.run(["curl", "-sSf", "-m", "10", "-x", "socks5h://127.0.0.1:1080",
                         "http://WEB.home.POSTERN:81/index.html"]).stdout
    assert "served by nginx" in page
    for name in ("web.nobody.postern", "nothing.home.postern", "www.example.org"):
        agent.remember()
        done = w.laptop.run(["curl", "-sS", "-m", "20", "--socks5-hostname", "127.0.0.1:1080",
                             f"http://{name}/"], check=False)
        assert done.returncode == 97, f"{name}: status {done.returncode} {done.stderr}"
    # A literal address is no service: an agent is no open proxy.
    done = w.laptop.run(["curl", "-sS", "-m", "20", "--socks5", "127.0.0.1:1080",
                         "http://45.0.0.2:443/"], check=False)
    assert done.returncode == 97, done
    # Bytes that follow the request at once are the session's first.
    with w.laptop.connect("127.0.0.1", 1080) as s:
        s.sendall(b"\x05\x01\x00")
        assert receive_exactly(s, 2) == b"\x05\x00"
        name = b"dept/echo.v1.home.postern"
        s.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x00\x50early bytes")
        assert receive_exactly(s, 10)[:2] == b"\x05\x00"
        assert receive_exactly(s, 11) == b"early bytes"
