"""What the programs of this directory share: the flags and the lines of output
that ../README.md describes."""

import argparse
import json
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor


def options(scenarios):
    flags = argparse.ArgumentParser()
    flags.add_argument("--endpoint", default="http://127.0.0.1:2379")
    flags.add_argument("--name", default="python")
    flags.add_argument("--counter")
    flags.add_argument("--clients", type=int, default=4)
    flags.add_argument("--turns", type=int, default=5)
    flags.add_argument("--ttl", type=int, default=3)
    flags.add_argument("scenarios", nargs="+", choices=scenarios)
    return flags.parse_args()


def play(scenarios):
    """Plays those that were asked for, each under a name of its own; exits with 1
    if any failed."""
    given, failed = options(scenarios), False
    for scenario in given.scenarios:
        own = argparse.Namespace(**vars(given))
        own.name = f"{given.name}-{scenario}"
        own.counter = given.counter or f"{own.name}.count"
        try:
            say({"scenario": scenario, "saw": scenarios[scenario](own)})
        except Exception as error:
            traceback.print_exc()
            say({"scenario": scenario, "error": f"{type(error).__name__}: {error}"})
            failed = True
    sys.exit(failed)


def say(line):
    print(json.dumps(line), flush=True)


def together(work, clients):
    """Calls work(number, client) for all clients side by side, and returns once all
    are done."""
    with ThreadPoolExecutor(len(clients)) as pool:
        for done in [pool.submit(work, n, c) for n, c in enumerate(clients)]:
            done.result()


def until(look, what):
    """Returns once look() is true; an error if that takes longer than 30 s."""
    end = time.monotonic() + 30
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.005)


class Stopwatch:
    def __init__(self):
        self.start = time.monotonic()

    def ms(self):
        return int((time.monotonic() - self.start) * 1000)


class Grants:
    """Who held a lock, in which order they first did, and whether two did at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.order, self.turns, self.inside, self.overlaps = [], 0, 0, 0

    def during(self, who, work):
        with self.lock:
            if who not in self.order:
                self.order.append(who)
            self.turns += 1
            self.overlaps += self.inside > 0
            self.inside += 1
        work()
        with self.lock:
            self.inside -= 1

    def saw(self):
        return {"order": self.order, "turns": self.turns, "overlaps": self.overlaps}


def shown(kind, value, before, key=None):
    """An event as a text; its key is only named below a prefix."""
    words = [kind] + ([key] if key else []) + ([value] if value else [])
    return " ".join(words + (["after", before] if before else []))
