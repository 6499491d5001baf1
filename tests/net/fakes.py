# SPDX-License-Identifier: Apache-2.0
"""fakes: gateways with the manners that miniupnpd cannot show, and a LAN's hostile neighbours.

    fake = FakeGateway(lab, router, "192.168.77.1", pcp=True, upnp=None)
    fake.mappings   {("tcp", 443): Mapping}, what it would forward
    fake.seen       [("pcp", "map", {...}), ...], everything it was asked, in order

They keep to their protocols (RFC 6886, RFC 6887, UPnP IGD) but for what the test switches: errors,
silence, delays, lies.  They forward nothing; tests of data use miniupnpd (gateway.py).
"""
import contextlib
import dataclasses
import re
import socket
import struct
import threading
import time

PCP_PORT, SSDP_PORT, ANNOUNCE_PORT = 5351, 1900, 5350
SSDP_GROUP, SSDP_GROUP6, ANNOUNCE_GROUP = "239.255.255.250", "ff02::c", "224.0.0.1"
PROTOCOLS = {6: "tcp", 17: "udp"}
MAPPED = b"\0" * 10 + b"\xff\xff"


@dataclasses.dataclass
class Mapping:
    """One entry of a gateway's table; lease 0 is for good."""
    inside: str
    port: int
    lease: int
    description: str = ""
    nonce: bytes = b""


def udp(host, port, address="0.0.0.0", group=None, interface=None):
    """A UDP socket on host, perhaps in a multicast group on the interface with this address."""
    with host.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    if group:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton(group) + socket.inet_aton(interface))
    host.lab.callbacks.append(s.close)
    return s


def answer_datagrams(lab, sock, handler):
    """handler(bytes, peer) for each datagram, in a thread; what it returns is sent back."""
    sock.settimeout(0.2)
    over = threading.Event()
    lab.callbacks.append(over.set)

    def loop():
        with contextlib.suppress(OSError):
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    data, peer = sock.recvfrom(2048)
                    reply = handler(data, peer)
                    if reply:
                        sock.sendto(reply, peer)

    threading.Thread(target=loop, daemon=True).start()


# ---- PCP and NAT-PMP ------------------------------------------------------------------------------

class PortControl:
    """The server on 5351.  Switches: pcp, natpmp, result (PCP code for MAP), silent, delay,
    shift (grants another port than asked for), same_port (inside as outside, whatever was asked),
    deaf (to MAP, not to probes), refuses_renewals (a PCP code while there is a mapping), external
    (None: has none), listen (the one address that it answers at)."""

    def __init__(self, lab, router, address, mappings, seen, pcp=True, natpmp=True,
                 external="45.0.0.10", result=0, shift=0, delay=0.0, lifetime=120,
                 listen="0.0.0.0"):
        self.pcp, self.natpmp, self.external, self.result = pcp, natpmp, external, result
        self.shift, self.delay, self.lifetime = shift, delay, lifetime
        self.silent = self.same_port = self.deaf = False
        self.refuses_renewals = 0
        self.mappings, self.seen, self.address = mappings, seen, address
        self.started = time.monotonic()
        self.sock = udp(router, PCP_PORT, listen)
        answer_datagrams(lab, self.sock, self.answer)

    def epoch(self):
        return int(time.monotonic() - self.started)

    def answer(self, data, peer):
        if self.silent or len(data) < 2:
            return None
        time.sleep(self.delay)
        if data[0] == 0:
            return self.answer_natpmp(data, peer)
        return self.answer_pcp(data, peer)

    def answer_natpmp(self, data, peer):
        if not self.natpmp:
            if self.pcp:  # RFC 6887 appendix A: a PCP-only server answers in its own version
                return struct.pack("!BBxBIIxxxxxxxxxxxx", 2, data[1] | 0x80, 1, 0, self.epoch())
            return None
        op = data[1]
        code = 0 if self.external else 3
        if op == 0:
            self.seen.append(("natpmp", "address", {}))
            return struct.pack("!BBHI4s", 0, 128, code, self.epoch(),
                               socket.inet_aton(self.external or "0.0.0.0"))
        if op not in (1, 2) or len(data) != 12:
            return struct.pack("!BBHI", 0, op | 0x80, 5, self.epoch())
        inside, outside, lease = struct.unpack("!HHI", data[4:])
        transport = "udp" if op == 1 else "tcp"
        self.seen.append(("natpmp", "map", {"transport": transport, "inside": inside,
                                            "outside": outside, "lease": lease}))
        if self.deaf:
            return None
        if self.same_port and lease:
            inside = outside
        if code == 0:
            outside = self.enter(transport, peer[0], inside, outside, lease, b"")
        return struct.pack("!BBHIHHI", 0, op | 0x80, code, self.epoch(), inside, outside,
                           min(lease, self.lifetime))

    def answer_pcp(self, data, peer):
        if not self.pcp:  # NAT-PMP says UNSUPP_VERSION in its own words, RFC 6886 section 3.5
            return struct.pack("!BBHI", 0, data[1] | 0x80, 1, self.epoch()) if self.natpmp else None
        if data[0] != 2 or len(data) < 24 or data[1] & 0x80:
            return None
        op, lease, client = data[1], struct.unpack("!I", data[4:8])[0], data[8:24]
        if op == 0:
            self.seen.append(("pcp", "announce", {}))
            return self.pcp_head(0, 0, 0)
        if client != MAPPED + socket.inet_aton(peer[0]):
            self.seen.append(("pcp", "mismatch", {}))
            return self.pcp_head(op, 12, lease) + data[24:]
        nonce, protocol, inside, outside, wanted = struct.unpack("!12sBxxxHH16s", data[24:60])
        prefer = 2 in self.options(data[60:])
        self.seen.append(("pcp", "map", {"nonce": nonce, "transport": PROTOCOLS[protocol],
                                         "inside": inside, "outside": outside, "lease": lease,
                                         "prefer_failure": prefer}))
        if self.deaf:
            return None
        if self.same_port and lease:
            inside = outside
        code = self.result or (0 if self.external else 7)  # NETWORK_FAILURE
        if self.refuses_renewals and lease and any(m.port == inside for m in self.mappings.values()):
            return self.pcp_head(op, self.refuses_renewals, 0) + data[24:]
        lease = min(lease, self.lifetime)
        if code == 0 and lease == 0 and self.is_not_theirs(protocol, inside, nonce):
            code = 2
        if code == 0:
            outside = self.enter(PROTOCOLS[protocol], peer[0], inside, outside, lease, nonce)
        external = MAPPED + socket.inet_aton(self.external) if self.external else wanted
        return self.pcp_head(op, code, lease) + struct.pack(
            "!12sBxxxHH16s", nonce, protocol, inside, outside, external)

    def is_not_theirs(self, protocol, inside, nonce):
        return any(t == PROTOCOLS[protocol] and m.port == inside and m.nonce != nonce
                   for (t, _), m in self.mappings.items())

    @staticmethod
    def options(data):
        """{code: value}, RFC 6887 section 7.3."""
        found = {}
        while len(data) >= 4:
            code, length = data[0], struct.unpack("!H", data[2:4])[0]
            found[code] = data[4:4 + length]
            data = data[4 + (length + 3) // 4 * 4:]
        return found

    def pcp_head(self, op, code, lease):
        return struct.pack("!BBxBII12x", 2, op | 0x80, code, lease, self.epoch())

    def enter(self, transport, inside, port, outside, lease, nonce):
        for key, old in list(self.mappings.items()):
            if key[0] == transport and (old.inside, old.port) == (inside, port):
                if lease == 0:
                    del self.mappings[key]
                    return outside
                old.lease, old.nonce = lease, nonce
                return key[1]
        if lease:
            outside = (outside or port) + self.shift
            while (transport, outside) in self.mappings:
                outside += 1
            self.mappings[(transport, outside)] = Mapping(inside, port, lease, nonce=nonce)
        return outside

    def restart(self, announce=True):
        """Forgets everything, as a reboot does; RFC 6887 section 14.1.1."""
        self.mappings.clear()
        self.started = time.monotonic()
        if announce:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                 socket.inet_aton(self.address))
            message = self.pcp_head(0, 0, 0) if self.pcp else struct.pack(
                "!BBHI4s", 0, 128, 0, 0, socket.inet_aton(self.external))
            self.sock.sendto(message, (ANNOUNCE_GROUP, ANNOUNCE_PORT))


# ---- UPnP ------------------------------------------------------------------------------------------

DESCRIPTION = """<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:{v}</deviceType>
<friendlyName>{name}</friendlyName><manufacturer>Example</manufacturer><modelName>{name}</modelName>
<UDN>uuid:{uuid}</UDN><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANDevice:{v}</deviceType><friendlyName>WAN</friendlyName>
<UDN>uuid:{uuid}-1</UDN><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>
<serviceId>urn:upnp-org:serviceId:WANCommonIFC1</serviceId><SCPDURL>/cic.xml</SCPDURL>
<controlURL>/cic</controlURL><eventSubURL>/cic-events</eventSubURL></service></serviceList>
<deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:{v}</deviceType>
<friendlyName>WANConnection</friendlyName><UDN>uuid:{uuid}-2</UDN><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:{v}</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/ipc.xml</SCPDURL>
<controlURL>{control}</controlURL><eventSubURL>/events</eventSubURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>"""

PINHOLES = """<service><serviceType>urn:schemas-upnp-org:service:WANIPv6FirewallControl:1</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPv6Firewall1</serviceId><SCPDURL>/6fc.xml</SCPDURL>
<controlURL>/6fc</controlURL><eventSubURL>/6fc-events</eventSubURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>"""

SOAP = """<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" \
s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>{}</s:Body></s:Envelope>"""
FAULT = """<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{}</errorCode>\
<errorDescription>{}</errorDescription></UPnPError></detail></s:Fault>"""

SSDP_ANSWER = ("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {st}\r\nUSN: uuid:{uuid}::{st}\r\n"
               "EXT:\r\nSERVER: Fake/1 UPnP/1.1 Fake/1\r\nLOCATION: {location}\r\n"
               "BOOTID.UPNP.ORG: {boot}\r\nCONFIGID.UPNP.ORG: 1\r\n\r\n")


class InternetGateway:
    """SSDP, the description and the SOAP calls.  Switches: version (1, 2), only_permanent (error
    725, or the code given, to any lease), error ({action: code}), same_port (inside as outside,
    whatever was asked), delay, external, location, enabled (what its entries say of themselves), owner (who named its
    services), text (its own, beside what it maps), answers (the only searches that it hears),
    pinholes (it has them, over IPv4; allowed: the switch of its owner)."""

    def __init__(self, lab, router, address, mappings, seen, version=1, only_permanent=0, error=None,
                 external="45.0.0.10", port=5000, location=None, control="/control", delay=0.0,
                 name="Fake Router", enabled=1, owner="schemas-upnp-org", answers=(),
                 pinholes=False):
        self.enabled, self.owner, self.answers, self.pinholes = enabled, owner, answers, pinholes
        self.holes, self.allowed, self.strict = {}, 1, False
        self.text = ""
        self.version, self.only_permanent, self.error = version, only_permanent, error or {}
        self.external, self.port, self.delay, self.name = external, port, delay, name
        self.address, self.control = address, control
        self.location = location or f"http://{address}:{port}/description.xml"
        self.uuid, self.boot = "6d6e7570-0000-4000-8000-00000000fade", 1
        self.mappings, self.seen, self.silent, self.same_port = mappings, seen, False, False
        self.ssdp = self.listen_to_searches(router)
        answer_datagrams(lab, self.ssdp, self.answer_search)
        router.serve(port, self.answer_http, "::" if ":" in address else "0.0.0.0")

    def listen_to_searches(self, router):
        return udp(router, SSDP_PORT, group=SSDP_GROUP, interface=self.address)

    def answer_search(self, data, _peer):
        text = data.decode("latin-1")
        found = re.search(r"^ST: *(\S+)", text, re.I | re.M)
        if self.silent or not text.startswith("M-SEARCH") or not found:
            return None
        self.seen.append(("ssdp", "search", {"st": found[1]}))
        mine = (f"urn:{self.owner}:device:InternetGatewayDevice:{self.version}",
                f"urn:{self.owner}:device:InternetGatewayDevice:1", "upnp:rootdevice", "ssdp:all")
        if found[1] not in (self.answers or mine):
            return None
        st = mine[0] if found[1] == "ssdp:all" else found[1]
        return SSDP_ANSWER.format(st=st, uuid=self.uuid, location=self.location,
                                  boot=self.boot).encode()

    def answer_http(self, sock, peer):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(4096)
            if not more:
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"^content-length: *(\d+)", head, re.I | re.M)
        while length and len(body) < int(length[1]):
            body += sock.recv(4096)
        time.sleep(self.delay)
        if self.silent:
            return
        if head.startswith(b"GET"):
            status, text = "200 OK", self.description()
        else:
            status, text = self.call(body.decode("latin-1"), peer)
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nConnection: close\r\n"
                     f"Content-Length: {len(text)}\r\n\r\n{text}".encode())

    def description(self):
        text = DESCRIPTION.format(v=self.version, name=self.name, uuid=self.uuid,
                                  control=self.control)
        if self.pinholes:
            text = text[:text.rindex("</serviceList>")] + PINHOLES
        return text.replace("urn:schemas-upnp-org:", f"urn:{self.owner}:")

    def call(self, body, peer):
        action = re.search(r"<(?:\w+:)?Body>\s*<(?:\w+:)?(\w+)", body)[1]
        values = dict(re.findall(r"<(New\w+|\w+)>([^<]*)</", body))
        self.seen.append(("upnp", action, values))
        code = self.error.get(action, 0)
        result = {}
        if not code:
            code, result = getattr(self, "do_" + action, lambda *_: (401, {}))(values, peer)
        if code:
            return "500 Internal Server Error", SOAP.format(FAULT.format(code, "no"))
        inner = "".join(f"<{k}>{v}</{k}>" for k, v in result.items())
        kind = re.search(r'xmlns:\w+="(urn:[^"]*)"', body)[1]
        if f"<serviceType>{kind}<" not in self.description():
            return "500 Internal Server Error", SOAP.format(FAULT.format(401, "no such service"))
        return "200 OK", SOAP.format(f'<u:{action}Response xmlns:u="{kind}">{inner}'
                                     f"</u:{action}Response>")

    # One method for each action: (error code or 0, result).

    def do_GetExternalIPAddress(self, _values, _peer):  # pylint: disable=invalid-name
        return 0, {"NewExternalIPAddress": self.external or "0.0.0.0"}

    def do_GetStatusInfo(self, _values, _peer):  # pylint: disable=invalid-name
        return 0, {"NewConnectionStatus": "Connected" if self.external else "Disconnected",
                   "NewLastConnectionError": "ERROR_NONE", "NewUptime": 100}

    @staticmethod
    def key(values):
        return values["NewProtocol"].lower(), int(values["NewExternalPort"])

    def do_GetSpecificPortMappingEntry(self, values, _peer):  # pylint: disable=invalid-name
        m = self.mappings.get(self.key(values))
        if not m:
            return 714, {}
        return 0, {"NewInternalPort": m.port, "NewInternalClient": m.inside,
                   "NewEnabled": self.enabled, "NewPortMappingDescription": m.description,
                   "NewLeaseDuration": m.lease}

    def do_GetGenericPortMappingEntry(self, values, _peer):  # pylint: disable=invalid-name
        entries = list(self.mappings.items())
        index = int(values["NewPortMappingIndex"])
        if index >= len(entries):
            return 713, {}
        (transport, port), m = entries[index]
        return 0, {"NewRemoteHost": "", "NewExternalPort": port, "NewProtocol": transport.upper(),
                   "NewInternalPort": m.port, "NewInternalClient": m.inside,
                   "NewEnabled": self.enabled, "NewPortMappingDescription": m.description,
                   "NewLeaseDuration": m.lease}

    def do_AddPortMapping(self, values, peer):  # pylint: disable=invalid-name
        key, lease = self.key(values), int(values["NewLeaseDuration"])
        if self.only_permanent and lease:
            return self.only_permanent, {}
        old = self.mappings.get(key)
        if old and old.inside != values["NewInternalClient"]:
            return 718, {}
        if values["NewInternalClient"] != peer[0]:
            return 606, {}
        inside = values["NewExternalPort" if self.same_port else "NewInternalPort"]
        self.mappings[key] = Mapping(values["NewInternalClient"], int(inside),
                                     lease, self.text or values["NewPortMappingDescription"])
        return 0, {}

    def do_AddAnyPortMapping(self, values, peer):  # pylint: disable=invalid-name
        if self.version < 2:
            return 401, {}
        transport, port = self.key(values)
        while (transport, port) in self.mappings and \
                self.mappings[(transport, port)].inside != values["NewInternalClient"]:
            port += 1
        code, _ = self.do_AddPortMapping({**values, "NewExternalPort": str(port)}, peer)
        return code, {"NewReservedPort": port}

    def do_DeletePortMapping(self, values, peer):  # pylint: disable=invalid-name
        m = self.mappings.get(self.key(values))
        if not m:
            return 714, {}
        if m.inside != peer[0]:
            return 606, {}
        del self.mappings[self.key(values)]
        return 0, {}


    # WANIPv6FirewallControl; strict: for the host alone that asks.

    def do_GetFirewallStatus(self, _values, _peer):  # pylint: disable=invalid-name
        return 0, {"FirewallEnabled": 1, "InboundPinholeAllowed": self.allowed}

    def do_AddPinhole(self, values, peer):  # pylint: disable=invalid-name
        if self.strict and values["InternalClient"] != peer[0].partition("%")[0]:
            return 606, {}
        number = len(self.holes) + 1
        self.holes[number] = (values["InternalClient"], int(values["InternalPort"]))
        return 0, {"UniqueID": number}

    def do_UpdatePinhole(self, values, _peer):  # pylint: disable=invalid-name
        return (0 if int(values["UniqueID"]) in self.holes else 704), {}

    def do_DeletePinhole(self, values, _peer):  # pylint: disable=invalid-name
        return (0 if self.holes.pop(int(values["UniqueID"]), None) else 704), {}


class Gateway6(InternetGateway):
    """The same over IPv6: SSDP on lan0, its description at address (a literal of the router's)."""

    def __init__(self, lab, router, address, **options):
        location = f"http://[{address}]:{options.get('port', 5000)}/description.xml"
        self.seen = []
        super().__init__(lab, router, address, {}, self.seen, location=location, pinholes=True,
                         **options)
        self.strict = True

    def listen_to_searches(self, router):
        with router.inside():
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            index = socket.if_nametoindex("lan0")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("::", SSDP_PORT))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     socket.inet_pton(socket.AF_INET6, SSDP_GROUP6) + struct.pack("@I", index))
        router.lab.callbacks.append(s.close)
        return s


class FakeGateway:
    """What of PCP/NAT-PMP and UPnP a router speaks: pcp, natpmp: booleans; control and upnp: switches
    of PortControl and InternetGateway (upnp None: none at all)."""

    def __init__(self, lab, router, address, pcp=False, natpmp=False, control=None, upnp=None):
        self.mappings, self.seen = {}, []
        self.control = self.upnp = None
        if pcp or natpmp:
            self.control = PortControl(lab, router, address, self.mappings, self.seen, pcp, natpmp,
                                       **(control or {}))
        if upnp is not None:
            self.upnp = InternetGateway(lab, router, address, self.mappings, self.seen, **upnp)

    def asked(self, protocol, what):
        return [values for p, w, values in self.seen if (p, w) == (protocol, what)]
