"""redis_liar.py - something that answers like a Redis server, or a sentinel,
but what a test tells it to; and it remembers what it was told.

usage: redis_liar.py ADDRESS

Listens at ADDRESS, prints its port, then obeys lines on stdin and answers each
with one line:

    says WORD HEX  a command in which WORD stands is answered by these bytes;
                   the first such line that fits counts, and else it is +OK
    forget         what it says, and what it has heard
    heard          the number of connections, and the words of all commands
"""
import os
import socket
import sys
import threading


class Liar:
    def __init__(self):
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        with self.lock:
            self.lines = []
            self.connections = 0
            self.words = []

    def says(self, word, text):
        with self.lock:
            self.lines.append((word, text))

    def answer(self, command):
        with self.lock:
            self.words += command
            for word, text in self.lines:
                if word in command:
                    return text
        return b"+OK\r\n"

    def heard(self):
        with self.lock:
            words = " ".join(w.decode("latin-1") for w in self.words)
            return f"{self.connections} {words}".strip()


def read_line(f):
    line = f.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    return line[:-2]


def read_command(f):
    words = []
    for _ in range(int(read_line(f)[1:])):
        n = int(read_line(f)[1:])
        words.append(f.read(n))
        f.read(2)
    return words


def serve(liar, client):
    f = client.makefile("rb")
    try:
        while True:
            client.sendall(liar.answer(read_command(f)))
    except (OSError, EOFError, ValueError):
        client.close()


def accept(liar, listener):
    while True:
        client, _ = listener.accept()
        with liar.lock:
            liar.connections += 1
        threading.Thread(target=serve, args=(liar, client),
                         daemon=True).start()


def main():
    liar = Liar()
    listener = socket.create_server((sys.argv[1], 0))
    threading.Thread(target=accept, args=(liar, listener), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        answer = "ok"
        if word == "says":
            liar.says(rest[0].encode(), bytes.fromhex(rest[1]))
        elif word == "forget":
            liar.forget()
        elif word == "heard":
            answer = liar.heard()
        print(answer, flush=True)
    os._exit(0)


main()
