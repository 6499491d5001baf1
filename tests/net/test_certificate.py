# SPDX-License-Identifier: Apache-2.0
"""A certificate of a public CA at the relay's front door, renewed in files while it runs."""
import os
import shutil
import signal
import tempfile
import time

from console import console
from peers import WebCa, need, openssl
from runner import once
from world import World

DAY = 86400
AUTHORITY = """[ca]
default_ca = it
[it]
database = {dir}/index
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = optional
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:relay.example.org
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""


class Authority:
    """A root that hosts trust, and below it the one that issues."""

    def __init__(self, lab):
        self.root = WebCa(lab, "Example Root")
        self.dir = lab.path("authority")
        os.makedirs(self.dir)
        for name, text in (("index", ""), ("conf", AUTHORITY.format(dir=self.dir))):
            with open(f"{self.dir}/{name}", "w", encoding="ascii") as f:
                f.write(text)
        self.sign("below", "authority", self.root.certificate, self.root.key, 20 * DAY)

    def sign(self, name, kind, ca, ca_key, left_s):
        stem = f"{self.dir}/{name}"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={name}")
        moments = [time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + s))
                   for s in (-100 * DAY, left_s)]
        openssl("ca", "-batch", "-notext", "-config", f"{self.dir}/conf", "-cert", ca, "-keyfile",
                ca_key, "-extensions", kind, "-startdate", moments[0], "-enddate", moments[1],
                "-in", f"{stem}.csr", "-out", f"{stem}.pem")

    def issue(self, name, left_s):
        """(the file of the whole chain, that of its key)"""
        below = f"{self.dir}/below"
        self.sign(name, "server", f"{below}.pem", f"{below}.key", left_s)
        with open(f"{self.dir}/{name}.chain", "w", encoding="ascii") as out:
            for path in (f"{self.dir}/{name}.pem", f"{below}.pem"):
                with open(path, encoding="ascii") as f:
                    out.write(f.read())
        return f"{self.dir}/{name}.chain", f"{self.dir}/{name}.key"


def shown(w, root):
    """The common name of the certificate that a client is shown who trusts the root alone."""
    done = w.visitor.run([need("openssl"), "s_client", "-connect", "relay.example.org:443",
                          "-servername", "relay.example.org", "-CAfile", root,
                          "-verify_hostname", "relay.example.org", "-verify_return_error"],
                         input=b"")
    return done.stdout.split("subject=CN = ")[1].split("\n")[0]


def trust_system(config):
    with open(config, encoding="utf-8") as f:
        text = f.read()
    line = next(x for x in text.split("\n") if "address: " in x and "relay.example.org" in x)
    indent = " " * line.index("address: ")
    with open(config, "w", encoding="utf-8") as f:
        f.write(text.replace(line, f"{line}\n{indent}trust: system", 1))


@once
def test_public_certificate(lab):
    w = World(lab).two_homes()
    authority = Authority(lab)
    root = authority.root.certificate
    first, second = authority.issue("first", 3 * DAY - 600), authority.issue("second", 15 * DAY)
    chain, key = lab.path("fullchain.pem"), lab.path("privkey.pem")

    def put(chain_file, key_file):
        for source, to in ((chain_file, chain), (key_file, key)):
            shutil.copyfile(source, to + ".new")
            os.chmod(to + ".new", 0o600)
            os.rename(to + ".new", to)

    config = w.issue_relay(blocks={"tls": f"\n  certificate_file: {chain}\n  key_file: {key}"})
    relayd = [f"{lab.build}/postern-relayd", "-c", config]
    # Neither starts without its files, nor with those of two pairs, and says which.
    missing = w.relay_host.run(relayd, check=False)
    assert missing.returncode, missing
    assert f"tls.certificate_file: {chain}: No such file" in missing.stderr, missing
    put(first[0], second[1])
    for more in ([], ["--check"]):
        unfit = w.relay_host.run(relayd + more, check=False)
        assert unfit.returncode and f"tls.key_file: {key}: is not the key" in unfit.stderr, unfit
    put(*first)
    relay = w.start_relay(config)
    relay.process.wait_for_line(r"warning relay: the certificate expires in 2 days.*"
                                r"tls\.certificate_file")
    # Whole: the root alone is enough for a browser.
    page = w.visitor.run(["curl", "-sSf", "-m", "10", "--cacert", root,
                          "https://relay.example.org/"]).stdout
    assert "<html" in page.lower(), page
    # An agent takes it that is told to trust what its system trusts; another does not.
    home = w.issue_agent("home")
    stubborn = w.start_agent(w.home, home, "home", wait=False, env={"SSL_CERT_FILE": root})
    stubborn.wait_for_line(r"TLS is being intercepted by .*below")
    stubborn.signal(signal.SIGTERM)
    stubborn.wait()
    trust_system(home)
    # The file lies where the agent, once it runs, can read nothing.
    with tempfile.TemporaryDirectory() as elsewhere:
        os.chmod(elsewhere, 0o755)
        shutil.copyfile(root, f"{elsewhere}/roots.pem")
        w.start_agent(w.home, home, "home", env={"SSL_CERT_FILE": f"{elsewhere}/roots.pem"})
    # So does a console, whom it tells in time that the certificate ends.
    boss = console(w, trust="system")
    boss.env = {"SSL_CERT_FILE": root}
    told = [e for e in boss.json("relay", "events")["events"] if e["kind"] == "certificate.expiring"]
    assert [(e["days"], e["file"]) for e in told] == [(3, chain)], told
    status = boss.json("relay", "status")
    ends = status["front_certificate_expires"]
    assert abs(ends - time.time() - 3 * DAY) < 1200 < status["certificate_expires"] - ends, status
    # Half renewed: told with the path, and what was in force stays.
    put(first[0], second[1])
    relay.process.signal(signal.SIGHUP)
    relay.process.wait_for_line(rf"error control: tls\.key_file: {key}: is not the key.*"
                                "stays in force")
    assert shown(w, root) == "first"
    put(*second)
    relay.process.signal(signal.SIGHUP)
    relay.process.wait_for_line(rf"the certificate in {chain} is in force")
    assert shown(w, root) == "second"
    assert boss.json("relay", "status")["front_certificate_expires"] > ends + 10 * DAY
    os.unlink(chain)
    relay.process.signal(signal.SIGHUP)
    relay.process.wait_for_line(rf"error control: tls\.certificate_file: {chain}: No such file")
    assert shown(w, root) == "second"
