# SPDX-License-Identifier: Apache-2.0
"""runner: finds the functions test_* in tests/net/test_*.py and runs each in a Lab of its own.

Each test is a child process, so that one that hangs or crashes takes nothing else along.  A test is
a function of one argument, the Lab; it fails by an exception.  Nothing is ever skipped: what a test
needs and does not find is a failure that names the remedy.
"""
import argparse
import fnmatch
import glob
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zlib

import enter
import netlab

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINES = ("io_uring", "epoll")
THREADS = (1, 3)  # of the relay
LIMIT_S = 60
AGAIN = 2


def limit(seconds):
    """Decorator: the test may take this long."""
    def mark(test):
        test.limit_s = seconds
        return test
    return mark


def once(test):
    """Decorator: the test does not depend on the engine; it runs for the first one only."""
    test.once = True
    return test


def find(patterns):
    """The tests that fit any pattern, as [(name, function)] in the order of the files."""
    tests = []
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        module = importlib.import_module(os.path.basename(path)[:-3])
        for name, value in vars(module).items():
            if name.startswith("test_") and callable(value) \
                    and value.__module__ == module.__name__:
                tests.append((name[5:], module.__name__[5:], value))
    unknown = [p for p in patterns
               if not any(fits(p, name, area) for name, area, _ in tests)]
    if unknown:
        names = "\n  ".join(f"{area + ':':<16} {name}" for name, area, _ in tests)
        sys.exit(f"no test fits {', '.join(unknown)}; there are\n  {names}")
    return [(name, function) for name, area, function in tests
            if not patterns or any(fits(p, name, area) for p in patterns)]


def share_of(name, share):
    """0 or 1: the two shares of a test differ, and half of all tests have either in each."""
    return (zlib.crc32(name.encode()) + share) % 2


def fits(pattern, name, area):
    return fnmatch.fnmatch(name, pattern) or pattern == area


def run_in_child(test, options, engine):
    """The child's whole life; returns its exit status."""
    enter.on_signals()
    lab = netlab.Lab(options.build, engine, test.__name__)
    lab.threads = THREADS[share_of(test.__name__[5:], ENGINES.index(engine))]
    lab.options = options
    try:
        with lab:
            test(lab)
    except BaseException as e:  # pylint: disable=broad-except  (a signal is a failure, too)
        frames = [f for f in traceback.extract_tb(e.__traceback__) if f.filename.startswith(HERE)]
        where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}"
                           for f in reversed(frames[-5:]) if f.name != "run_in_child")
        text = str(e) or (frames[-1].line if frames else "")
        print(f"{type(e).__name__}: {text}\n  at {where}\n{lab.report}")
        return 1
    return 0


class Running:
    """A test that runs as a child process."""

    def __init__(self, name, test, options, engine):
        self.name, self.test, self.engine = name, test, engine
        self.start = time.monotonic()
        self.limit_s = getattr(test, "limit_s", LIMIT_S) * options.patience
        self.output = tempfile.TemporaryFile(mode="w+", errors="replace")
        self.told = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(self.output.fileno(), 1)
            os.dup2(self.output.fileno(), 2)
            status = run_in_child(test, options, engine)
            sys.stdout.flush()
            os._exit(status)

    def poll(self):
        """None while it runs; then (seconds, ok, output)."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        took = time.monotonic() - self.start
        if not pid:
            if took > self.limit_s and not self.told:
                self.told = took
                os.kill(self.pid, signal.SIGTERM)
            elif self.told and took > self.told + 15:
                os.kill(self.pid, signal.SIGKILL)
            return None
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        if self.told:
            text = f"took longer than its {self.limit_s:g} s\n" + text
        return took, status == 0 and not self.told, text


def leftovers():
    """Namespaces and processes that tests left behind: there must be none."""
    reap()
    spaces = [n for n in os.listdir("/run/netns") if n.startswith("pst-")]
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="],
                              capture_output=True, text=True, timeout=10).stdout.splitlines()
    return spaces + [c.strip() for c in children if "ps --ppid" not in c]


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def run_all(tests, options, engine):
    """Runs the tests; returns (passed, [names of failed])."""
    running = []
    try:
        return run_each(tests, options, engine, running)
    except BaseException:
        for one in running:
            os.kill(one.pid, signal.SIGTERM)
        for one in running:
            netlab.wait_until("a stopped test's end", one.poll, 15)
        raise


def run_each(tests, options, engine, running):
    passed, failed = 0, []
    waiting, again, jobs = list(tests), [], options.jobs
    while waiting or running or again:
        if not waiting and not running:
            waiting, again, jobs = again, [], 1
        while waiting and len(running) < jobs:
            running.append(Running(*waiting.pop(0), options, engine))
        time.sleep(0.02)
        for one in list(running):
            done = one.poll()
            if not done:
                continue
            running.remove(one)
            took, ok, text = done
            first, _, rest = text.partition("\n")
            if ok:
                passed += 1
                print(f"  ok     {one.name} ({took:.1f} s)")
            elif jobs > 1 and len(again) < AGAIN:
                again.append((one.name, one.test))
                print(f"  again  {one.name}, alone and last: {first}")
            else:
                failed.append(one.name)
                print(f"  FAILED {one.name}: {first}")
            if not ok or options.verbose:
                print(*("      " + line for line in (text if ok else rest).splitlines()), sep="\n")
            sys.stdout.flush()
    return passed, failed


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tests/run-net", description="Runs Postern in real networks made of namespaces.",
        epilog="A NAME is a test's name, a pattern like 'split*', or a file's area like 'front'.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; see --list")
    parser.add_argument("--engine", choices=ENGINES, action="append",
                        help="run on this engine only (default: on both)")
    parser.add_argument("--share", type=int, choices=(0, 1),
                        help="each test on one engine only; the other share has the other one, and "
                        "another number of the relay's threads")
    parser.add_argument("--build", default="build", metavar="DIR", help="where the programs are")
    parser.add_argument("--sessions", type=int, default=4000, metavar="N",
                        help="sessions of the leak test; a full run takes 100000")
    parser.add_argument("--patience", type=float, default=1.0, metavar="X",
                        help="multiply time limits, for sanitizers or slow machines")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="tests at a time")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what tests print")
    parser.add_argument("--list", action="store_true", help="show the names, run nothing")
    return parser.parse_args()


def main():
    options = parse_arguments()
    found = find(options.names)
    if options.list:
        print(*(name for name, _ in found), sep="\n")
        return 0
    missing = [p for p in ("postern-relayd", "postern-agent", "postern-natd", "postern")
               if not os.access(os.path.join(options.build, p), os.X_OK)]
    if missing:
        print(f"{options.build} has no {', '.join(missing)}; run 'make' first", file=sys.stderr)
        return 2
    try:
        enter.enter()
    except enter.Refused as e:
        print(enter.REMEDY.format(why=e), file=sys.stderr)
        return 2
    enter.on_signals()
    passed, failed = 0, []
    start = time.monotonic()
    for n, engine in enumerate(options.engine or ENGINES):
        print(f"engine {engine}:")
        if options.share is not None:
            tests = [t for t in found if ENGINES[share_of(t[0], options.share)] == engine]
        else:
            tests = [t for t in found if n == 0 or not getattr(t[1], "once", False)]
        try:
            ok, bad = run_all(tests, options, engine)
        except KeyboardInterrupt as e:
            print(f"stopped by {e}")
            return 130  # the kernel ends what still runs, with our process namespace
        passed, failed = passed + ok, failed + [f"{name} ({engine})" for name in bad]
    left = leftovers()
    if left:
        failed.append("leftovers")
        print("  FAILED leftovers: still there after all tests:", *left, sep="\n      ")
    print(f"{passed} passed, {len(failed)} failed, in {time.monotonic() - start:.0f} s")
    if failed:
        print("failed:", ", ".join(failed))
    return 1 if failed else 0
