"""redis_proxy.py - a server between a client and a Redis server, that fails.

usage: redis_proxy.py PORT-OF-THE-SERVER

Prints its own port, then obeys lines on stdin and answers each with "ok":

    pass                   everything passes
    cut N TIMES            N more bytes of answers pass, then the connection is
                           reset; TIMES times (0: always)
    say N TIMES AFTER HEX  as cut, but these bytes come then, instead of what
                           the server says. AFTER: close, hang, or endless (the
                           bytes again and again), drip (one at a time, slowly)
    each HEX HEX           a question that has the first bytes in it is answered
                           with the second ones; all others pass
    once HEX HEX           the same, but only the first such question; the second
                           one passes, and is lost as by `lose`
    hold HEX [MS]          a question that has these bytes in it, and all behind
                           it on that connection, wait for another command;
                           all others wait MS
    lose HEX TIMES         a question that has these bytes in it passes, and the
                           connection is reset instead of its answer
    drop HEX TIMES         the same, but the question does not pass either
    delay MS               each question waits so long
    nag HEX HEX            a question that has the first bytes in it is not
                           answered; the second bytes come instead, every 0.02 s
    fired                  answers with how often it has happened since
"""
import os
import socket
import struct
import sys
import threading
import time


class Plan:
    """What is to happen; the same for all connections."""

    def __init__(self):
        self.lock = threading.Lock()
        self.set(0, -1, "pass", b"")

    def set(self, after_bytes, times, action, text, question=None, held=None,
            delay=0, lost=None):
        with self.lock:
            self.question = question
            self.held = held
            self.delay = delay
            self.lost = lost
            self.after_bytes = self.left = after_bytes
            self.times = times
            self.action = action
            self.text = text
            self.fired = 0

    def take(self, n):
        """How many of n bytes pass, and what happens then (or None)."""
        with self.lock:
            if self.action in ("pass", "once", "nag", "drop") or self.times < 0:
                return n, None
            if n <= self.left:
                self.left -= n
                return n, None
            passed, self.left = self.left, self.after_bytes
            self.fired += 1
            if self.times > 0:
                self.times -= 1
                if self.times == 0:
                    self.times = -1
            return passed, self.action


    def wait(self, data):
        with self.lock:
            delay = self.delay
            held = self.held
            if held is None or held not in data:
                held = None
            else:
                self.fired += 1
        time.sleep(delay)
        while held is not None and self.held is held:
            time.sleep(0.001)

    def loses(self, data):
        with self.lock:
            if self.lost is None or self.times == 0 or self.lost not in data:
                return False
            self.times -= 1
            self.fired += 1
            return True

    def asked(self, data):
        """The answer to these questions, if it is not the server's."""
        with self.lock:
            if self.question is None or self.question not in data:
                return None
            self.fired += 1
            if self.action == "once":
                self.lost, self.question, self.times = self.question, None, 1
            return self.text


def hang_up(s, reset=False):
    """Also while another thread waits for it, which a mere close() ignores."""
    if reset:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
    try:
        s.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()


def requests(plan, client, server, lost):
    try:
        while data := client.recv(65536):
            plan.wait(data)
            if plan.loses(data):
                if plan.action == "drop":
                    hang_up(client, reset=True)
                    break
                lost.set()
            text = plan.asked(data)
            if text is None:
                server.sendall(data)
            else:
                client.sendall(text)
            while text is not None and plan.action == "nag":
                time.sleep(0.02)
                client.sendall(text)
    except OSError:
        pass
    hang_up(server)


def misbehave(client, action, text):
    if action == "cut":
        return hang_up(client, reset=True)
    if action != "drip":
        client.sendall(text)
    while action == "endless":
        client.sendall(text * max(1, 65536 // len(text)))
    while action == "drip":
        for i in range(len(text)):
            client.sendall(text[i:i + 1])
            time.sleep(0.1)
    if action == "hang":
        threading.Event().wait()
    hang_up(client)


def answers(plan, client, server, lost):
    try:
        while data := server.recv(65536):
            if lost.is_set():
                return hang_up(client, reset=True)
            n, action = plan.take(len(data))
            if n > 0:
                client.sendall(data[:n])
            if action is not None:
                return misbehave(client, action, plan.text)
    except OSError:
        pass
    hang_up(client)


def accept(plan, listener, target):
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", target))
        except OSError:
            hang_up(client, reset=True)
            continue
        for s in client, server:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lost = threading.Event()
        for body in ((requests, plan, client, server, lost),
                     (answers, plan, client, server, lost)):
            threading.Thread(target=body[0], args=body[1:],
                             daemon=True).start()


def main():
    plan = Plan()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, daemon=True,
                     args=(plan, listener, int(sys.argv[1]))).start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split(" ")
        answer = "ok"
        if word == "pass":
            plan.set(0, -1, "pass", b"")
        elif word == "cut":
            plan.set(int(rest[0]), int(rest[1]), "cut", b"")
        elif word == "say":
            plan.set(int(rest[0]), int(rest[1]), rest[2],
                     bytes.fromhex(rest[3]))
        elif word in ("each", "once"):
            plan.set(0, -1, "once" if word == "once" else "pass", bytes.fromhex(rest[1]),
                     bytes.fromhex(rest[0]))
        elif word == "hold":
            plan.set(0, -1, "pass", b"", held=bytes.fromhex(rest[0]),
                     delay=int(rest[1] if rest[1:] else 0) / 1000)
        elif word in ("lose", "drop"):
            plan.set(0, int(rest[1]), "drop" if word == "drop" else "pass", b"",
                     lost=bytes.fromhex(rest[0]))
        elif word == "delay":
            plan.set(0, -1, "pass", b"", delay=int(rest[0]) / 1000)
        elif word == "nag":
            plan.set(0, -1, "nag", bytes.fromhex(rest[1]),
                     bytes.fromhex(rest[0]))
        elif word == "fired":
            answer = str(plan.fired)
        print(answer, flush=True)
    os._exit(0)


main()
