# SPDX-License-Identifier: Apache-2.0
"""peers: the other programs of a test: servers, clients, proxies, and data to send through."""
import base64
import hashlib
import os
import random
import select
import shutil
import socket
import ssl
import subprocess
import threading

MIB = 1 << 20


def need(program, package=None):
    """The path of a program that the test cannot do without."""
    path = shutil.which(program)
    if not path:
        raise AssertionError(f"{program} is not installed: apt-get install {package or program}")
    return path


def data(size, seed=1):
    """Bytes that repeat nowhere, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def receive_exactly(sock, size):
    parts = bytearray()
    while len(parts) < size:
        got = sock.recv(min(size - len(parts), 1 << 18))
        if not got:
            raise AssertionError(f"connection ended after {len(parts)} of {size} bytes")
        parts += got
    return bytes(parts)


def receive_all(sock):
    """Everything up to the end of the stream; a reset raises."""
    parts = bytearray()
    while True:
        got = sock.recv(1 << 18)
        if not got:
            return bytes(parts)
        parts += got


def ends(sock, timeout):
    """True when the peer closes or resets within timeout; all that it says is dropped."""
    sock.settimeout(timeout)
    try:
        while sock.recv(65536):
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True


# ---- servers: handlers for Host.serve() ---------------------------------------------------------

def echo(sock, _peer):
    while got := sock.recv(1 << 16):
        sock.sendall(got)


def answer_digest(sock, _peer):
    """Reads up to the end, then answers length and SHA-256: works only with a half-close."""
    h, size = hashlib.sha256(), 0
    while got := sock.recv(1 << 18):
        h.update(got)
        size += len(got)
    sock.sendall(f"{size} {h.hexdigest()}\n".encode())


# ---- nginx --------------------------------------------------------------------------------------

NGINX = """
daemon off; master_process off; user root root; pid {dir}/{name}.pid; error_log stderr warn;
{head}
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type text/plain; sendfile on;
  client_body_temp_path {dir}/{name}-body; proxy_temp_path {dir}/{name}-proxy;
  fastcgi_temp_path {dir}/{name}-fastcgi; uwsgi_temp_path {dir}/{name}-uwsgi;
  scgi_temp_path {dir}/{name}-scgi;
  types {{ text/html html; }}
  server {{ {listen} root {root}; index index.html; }}
}}
"""

PROXY_S = 4  # how long nginx waits for an answer to give on

PAGE = "<!doctype html><title>Home</title><h1>served by nginx at home</h1>\n"


def nginx(host, name="nginx", port=8080, tls=None, files=None, head="", proxy=None):
    """Starts nginx on host; tls is (certificate, key) paths; files are {name: content}; proxy is
    the HOST:PORT that it passes all requests to."""
    lab = host.lab
    root = lab.path(f"{name}-root")
    os.makedirs(root, exist_ok=True)
    for file, content in {"index.html": PAGE.encode(), **(files or {})}.items():
        with open(os.path.join(root, file), "wb") as f:
            f.write(content)
    listen = f"listen {port};"
    if tls:
        listen = (f"listen {port} ssl; ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]}; "
                  "ssl_protocols TLSv1.2 TLSv1.3;")
    if proxy:
        listen += (f" location / {{ proxy_pass http://{proxy}; proxy_http_version 1.1; "
                   'proxy_set_header Connection ""; proxy_set_header Host $http_host; '
                   f"proxy_read_timeout {PROXY_S}s; client_max_body_size 0; }}")
    config = lab.write(f"{name}.conf", NGINX.format(dir=lab.dir, name=name, listen=listen,
                                                   root=root, head=head))
    process = host.start([need("nginx", "nginx-light"), "-c", config, "-p", lab.dir, "-e",
                          "stderr"], name)
    wait_for_port(host, port)
    return process


def wait_for_port(host, port, address="127.0.0.1", timeout=10.0):
    from netlab import wait_until  # pylint: disable=import-outside-toplevel

    def up():
        try:
            host.connect(address, port, timeout=1).close()
            return True
        except OSError:
            return False
    wait_until(f"{host.name} listens on {port}", up, timeout)


# ---- certificates -------------------------------------------------------------------------------

class WebCa:
    """A CA that has nothing to do with Postern's, made with openssl."""

    def __init__(self, lab, name="Example Web CA"):
        self.lab, self.slug = lab, name.lower().replace(" ", "-")
        self.certificate, self.key = lab.path(f"{self.slug}.pem"), lab.path(f"{self.slug}.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", self.certificate, "-days", "30", "-subj",
                f"/O={name}/CN={name}")

    def issue(self, host):
        """(certificate chain, key) for a host name."""
        stem = self.lab.path(f"{self.slug}-{host}")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={host}")
        with open(f"{stem}.ext", "w", encoding="ascii") as f:
            f.write(f"subjectAltName=DNS:{host}\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", self.certificate, "-CAkey", self.key,
                "-CAcreateserial", "-days", "30", "-extfile", f"{stem}.ext", "-out",
                f"{stem}.pem")
        return f"{stem}.pem", f"{stem}.key"


def openssl(*arguments):
    done = subprocess.run([need("openssl"), *arguments], capture_output=True, timeout=20)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout


def spki_pin(certificate):
    """base64(SHA-256(SubjectPublicKeyInfo)), as Chromium names a key."""
    public = openssl("x509", "-in", certificate, "-noout", "-pubkey")
    lines = [x for x in public.decode().splitlines() if "-----" not in x]
    return base64.b64encode(hashlib.sha256(base64.b64decode("".join(lines))).digest()).decode()


def tls_context(*ca_files, version=None):
    """A strict client context that trusts only these CAs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in ca_files:
        context.load_verify_locations(path)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


# ---- things in the way --------------------------------------------------------------------------

def pump(a, b):
    """Copies both ways between two sockets until both ended."""
    open_ends = {a: b, b: a}
    while open_ends:
        for sock in select.select(list(open_ends), [], [], 60)[0]:
            got = sock.recv(1 << 16)
            if got:
                open_ends[sock].sendall(got)
                continue
            try:
                open_ends.pop(sock).shutdown(socket.SHUT_WR)
            except OSError:
                return


class ConnectProxy:
    """An HTTP CONNECT proxy that may ask for a password (RFC 9110 section 9.3.6)."""

    def __init__(self, host, port, user=None, password=None):
        self.host, self.requests, self.refused = host, [], 0
        self.expected = None
        if user:
            self.expected = base64.b64encode(f"{user}:{password}".encode()).decode()
        host.serve(port, self.handle)

    def handle(self, sock, _peer):
        head = b""
        while b"\r\n\r\n" not in head:
            got = sock.recv(4096)
            if not got:
                return
            head += got
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ")
        fields = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":")
                                                               for x in lines[1:] if x)}
        self.requests.append((method, target))
        given = fields.get("proxy-authorization", "")
        if self.expected and given != f"Basic {self.expected}":
            self.refused += 1
            sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                         b"Proxy-Authenticate: Basic realm=\"office\"\r\n"
                         b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            return
        name, _, port = target.rpartition(":")
        with self.host.connect(socket.gethostbyname(name), int(port)) as far:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pump(sock, far)


def intercept_tls(host, port, certificate, key, upstream):
    """A middlebox that ends TLS itself and speaks TLS of its own to upstream (address, port)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    onward = ssl.create_default_context()
    onward.check_hostname, onward.verify_mode = False, ssl.CERT_NONE

    def handle(sock, _peer):
        with context.wrap_socket(sock, server_side=True) as near, \
                onward.wrap_socket(host.connect(*upstream)) as far:
            threading.Thread(target=one_way, args=(far, near), daemon=True).start()
            one_way(near, far)

    def one_way(a, b):
        try:
            while got := a.recv(1 << 16):
                b.sendall(got)
        except OSError:
            pass

    host.serve(port, handle)


def port_sources(sockets):
    """The local address of each socket, as "a.b.c.d:port"."""
    return ["%s:%d" % s.getsockname()[:2] for s in sockets]
