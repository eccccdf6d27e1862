"""hands.py - starts the roles of a job by hand, so that they reach each other through proxies: what listens at
127.0.0.1:PORT is known to the others as 127.0.0.2:PORT. Restarts nothing. Ends with the coordinator's exit code once all
have ended; with 1, and the rest of them told to stop, if a role fails.

    hands.py ESMM RUN PORT SERVERS SERVER_THREADS WORKERS THREADS -- options of the coordinator"""
import os
import signal
import subprocess
import sys
import time


def main():
    esmm, out, port, servers, server_threads, workers, threads = sys.argv[1:8]
    port, servers, server_threads, workers = int(port), int(servers), int(server_threads), int(workers)
    os.makedirs(os.path.join(out, "logs"), exist_ok=True)

    def start(name, words):
        log = open(os.path.join(out, "logs", name + ".log"), "a")
        return subprocess.Popen(["esmm"] + words + ["--log", log.name], executable=esmm, stdout=log, stderr=log,
                                stdin=subprocess.DEVNULL)

    coord = "tcp://127.0.0.2:%d" % port
    roles = [start("coord-0", ["coord", "--listen", "tcp://127.0.0.1:%d" % port, "--out", out, "--servers", str(servers),
                               "--workers", str(workers)] + sys.argv[9:])]
    for i in range(servers):
        roles.append(start("ps-%d" % i, ["ps", "--coord", coord, "--index", str(i), "--advertise", "127.0.0.2",
                                         "--threads", str(server_threads),
                                         "--listen", "tcp://127.0.0.1:%d" % (port + 1 + i * server_threads)]))
    for i in range(workers):
        roles.append(start("worker-%d" % i, ["worker", "--coord", coord, "--index", str(i), "--threads", threads]))
    signal.signal(signal.SIGTERM, lambda *_: roles[0].send_signal(signal.SIGTERM))
    failed = None
    while any(r.poll() is None for r in roles):
        bad = next((r for r in roles if r.poll() not in (None, 0)), None)
        if bad is not None and failed is None:
            failed = time.monotonic()
            print("failed: %s" % " ".join(bad.args[:4]), flush=True)
        if failed is not None and time.monotonic() > failed + 2:
            for r in roles:
                if r.poll() is None:
                    r.kill()
        time.sleep(0.05)
    sys.exit(1 if failed is not None else roles[0].returncode)


main()
