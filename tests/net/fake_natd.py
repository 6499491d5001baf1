# SPDX-License-Identifier: Apache-2.0
"""fake_natd: what listens in the place of postern-natd, for the programs that follow it.

    natd = FakeNatd(lab.path("natd.sock"), "45.0.0.10")
    natd.start()            it listens, and answers as postern-natd would
    natd.move("45.0.0.11")  its external address changes: the followers hear of it
    natd.stop()

With says=b"..." it sends that, and nothing else, to each client that connects.
"""
import contextlib
import json
import os
import socket
import threading


def mapping(number, place, state="mapped", protocol="tcp", family="ipv4", **more):
    port = int(place.rpartition(":")[2]) if place else 443
    return {"id": number, "name": f"{protocol} {port}", "protocol": protocol, "family": family,
            "port": port, "wanted_port": port, "any": False, "state": state, "why": "by a fake",
            "for_s": 1, **({"external": place} if place else {}), **more}


class FakeNatd:
    def __init__(self, path, address, says=None):
        self.path, self.address, self.says = path, address, says
        self.verdict, self.advice = "one_nat", ""
        self.mappings = [mapping(1, f"{address}:443")]
        self.listener, self.followers = None, []
        self.lock = threading.Lock()
        self.events = 0
        self.served = 0  # whom all was said to that it says

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(8)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """It ends as a process would: the socket stays behind, and no program listens."""
        with self.lock:
            for s in (self.listener, *self.followers):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
                s.close()
            self.followers.clear()

    def external(self):
        advice = {"advice": self.advice} if self.advice else {}
        return {"verdict": self.verdict, "sentence": f"outside sees {self.address}",
                "gateway": self.address, **advice}

    def event(self, kind, **fields):
        self.events += 1
        line = {"jsonrpc": "2.0", "method": "event",
                "params": {"number": self.events, "at": "2026-11-21T10:00:00.000Z", "kind": kind,
                           **fields}}
        with self.lock:
            for s in list(self.followers):
                try:
                    s.sendall(json.dumps(line).encode() + b"\n")
                except OSError:
                    self.followers.remove(s)

    def move(self, address):
        old, self.address = self.address, address
        self.event("external", address=address, old=old)

    def judge(self, verdict, advice):
        self.verdict, self.advice = verdict, advice
        self.event("verdict", **self.external())

    def map(self, number, place, state="mapped", **more):
        one = mapping(number, place, state, **more)
        self.mappings = [m for m in self.mappings if m["id"] != number] + [one]
        self.event("mapping", **one, **{"from": "requested"})

    # ---- connections

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError, ValueError):
            if self.says is not None:
                with self.lock:
                    self.followers.append(sock)
                with contextlib.suppress(OSError):
                    sock.sendall(self.says)
                self.served += 1
            for line in sock.makefile("rb"):
                if self.says is None:
                    self._answer(sock, json.loads(line))

    def _answer(self, sock, call):
        result = {"events": []}
        if call["method"] == "status":
            result = {"version": "0", "engine": "fake", "uptime_ms": 1, "network": {"up": True},
                      "external": self.external(), "protocols": [], "mappings": self.mappings,
                      "counts": {}}
        with self.lock:
            if call["method"] == "events":
                self.followers.append(sock)
            sock.sendall(json.dumps({"jsonrpc": "2.0", "id": call["id"],
                                     "result": result}).encode() + b"\n")
