"""proxy.py - a TCP proxy that a test can make worse: it holds bytes back in one direction or both, resets its
connections, refuses new ones, or splits what it forwards into a few bytes at a time and breaks off in the middle."""
import selectors
import socket
import struct
import threading
import time

PIECE = 65536


class Proxy:
    """Listens at `here`, forwards to `there`. What it does is set by the attributes, at any time."""

    def __init__(self, here, there):
        self.there = there
        self.hold_out = False   # from who connected to the server: nothing is taken
        self.hold_back = False  # the other way
        self.refuse = False     # a new connection is closed at once
        self.piece = PIECE      # bytes forwarded at a time
        self.breaks = 0         # this many bytes more, and the connection that has them is reset
        self.connections = []
        self.resets = 0
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(here)
        self.listener.listen(64)
        self.over = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.over:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.there, 5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            for s in pair:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.append(pair)
            threading.Thread(target=self.pump, args=(pair, 0), daemon=True).start()
            threading.Thread(target=self.pump, args=(pair, 1), daemon=True).start()

    def pump(self, pair, way):
        source, sink = pair[way], pair[1 - way]
        ready = selectors.DefaultSelector()
        try:
            ready.register(source, selectors.EVENT_READ)
            while not self.over:
                if (self.hold_out, self.hold_back)[way]:
                    time.sleep(0.01)
                    continue
                if not ready.select(0.05):
                    continue
                data = source.recv(self.piece)
                if not data:
                    break
                if self.breaks > 0:
                    self.breaks -= len(data)
                    if self.breaks <= 0:
                        sink.sendall(data[: max(1, len(data) // 2)])
                        self.reset_one(pair)
                        break
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        ready.close()
        self.drop(pair)

    def drop(self, pair):
        with self.lock:
            if pair in self.connections:
                self.connections.remove(pair)
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def reset_one(self, pair):
        self.resets += 1
        for s in pair:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
            except OSError:
                pass

    def reset(self):
        with self.lock:
            pairs = list(self.connections)
        for pair in pairs:
            self.reset_one(pair)

    def calm(self):
        self.hold_out = self.hold_back = self.refuse = False
        self.piece, self.breaks = PIECE, 0

    def close(self):
        self.over = True
        self.listener.close()
        with self.lock:
            pairs = list(self.connections)
        for pair in pairs:
            self.drop(pair)
