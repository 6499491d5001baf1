# SPDX-License-Identifier: Apache-2.0
"""Name servers with manners of their own, and programs that see an /etc of their own."""
import contextlib
import os
import shutil
import socket
import struct
import threading
import time

A, AAAA, CNAME = 1, 28, 5


def encode_name(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.rstrip(".").split(".")) + b"\0"


class Dns:
    """A name server on a host. zone: {name: {type: [text]}}; of the silent types nothing is said;
    rcode: {type: number}. off: it says nothing at all. seen: (time, name, type) of each question."""

    def __init__(self, host, zone, address="127.0.0.1", silent=(), rcode=None, ttl=5, delay=0.0):
        self.zone, self.silent, self.rcode = zone, set(silent), rcode or {}
        self.ttl, self.delay = ttl, delay
        self.seen, self.off = [], False
        with host.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        host.lab.callbacks.append(self.close)
        threading.Thread(target=self.loop, daemon=True).start()

    def close(self):
        self.off = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def asked(self, name):
        """How many questions there were for a name."""
        return sum(1 for _, n, _ in self.seen if n == name)

    def loop(self):
        with contextlib.suppress(OSError):
            while True:
                question, peer = self.socket.recvfrom(4096)
                if not question:  # close() has shut it down
                    return
                threading.Thread(target=self.answer, args=(question, peer), daemon=True).start()

    def answer(self, question, peer):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack_from("!H", question, at + 1)[0]
        name = ".".join(labels).lower()
        self.seen.append((time.monotonic(), name, kind))
        if self.off or kind in self.silent:
            return
        time.sleep(self.delay)
        asked, records = name, self.zone.get(name)
        code = self.rcode.get(kind, 0 if records is not None else 3)
        answers = []
        if records and not code:
            for target in records.get(CNAME, []):
                answers.append(self.record(asked, name, CNAME, target))
                name, records = target, self.zone.get(target, {})
            answers += [self.record(asked, name, kind, v) for v in records.get(kind, [])]
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
        with contextlib.suppress(OSError):
            self.socket.sendto(head + question[12:at + 5] + b"".join(answers), peer)

    def record(self, asked, owner, kind, value):
        """The name that was asked for is a pointer: without EDNS an answer has 512 bytes at most."""
        if kind == CNAME:
            what = encode_name(value)
        else:
            what = socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)
        head = b"\xc0\x0c" if owner == asked else encode_name(owner)
        return head + struct.pack("!HHIH", kind, 1, self.ttl, len(what)) + what


class Etc:
    """A copy of /etc that only the programs which start() starts see."""

    def __init__(self, lab, resolv="nameserver 127.0.0.1\n", hosts="127.0.0.1 localhost\n"):
        self.dir = lab.path("etc")
        shutil.copytree("/etc", self.dir, symlinks=True, ignore_dangling_symlinks=True,
                        ignore=shutil.ignore_patterns("shadow*", "gshadow*"))
        self.write("hosts", hosts)
        self.write("resolv.conf", resolv)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        """In the place of what is there, as network managers do."""
        fresh = self.path(name + ".new")
        with open(fresh, "w") as f:
            f.write(text)
        os.chmod(fresh, 0o644)
        os.rename(fresh, self.path(name))

    def remove(self, name):
        os.unlink(self.path(name))

    def link(self, name, target):
        with contextlib.suppress(FileNotFoundError):
            self.remove(name)
        os.symlink(target, self.path(name))

    def start(self, host, argv, name, env=None):
        inside = (f"mount --bind {self.dir} /etc; "
                  "for f in hosts resolv.conf; do umount /etc/$f 2>/dev/null; done; exec \"$@\"")
        return host.start(["unshare", "--mount", "--propagation", "private", "sh", "-c", inside, "sh",
                           *argv], name, env=env)

    def agent(self, host, config, name, wait=15.0, level="info"):
        """wait None: not until its link is up."""
        p = self.start(host, [f"{host.lab.build}/postern-agent", "-c", config,
                              "--log-level", level], f"agent-{name}")
        if wait:
            p.wait_for_line(r"link: up\b.*relay=", wait)
        return p
