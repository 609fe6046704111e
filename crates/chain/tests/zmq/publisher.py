# Publishes over libzmq what it is told on its input, a line a message: topic, body in hexadecimal,
# number. Says first where it listens, and then who subscribes to what.
import sys
import threading
import zmq

context = zmq.Context()
# As Bitcoin Core does it, or seeing the subscriptions.
kind = zmq.PUB if sys.argv[1:] == ["pub"] else zmq.XPUB
socket = context.socket(kind)
socket.setsockopt(zmq.LINGER, 0)
socket.bind("tcp://127.0.0.1:*")
print(socket.getsockopt(zmq.LAST_ENDPOINT).decode(), flush=True)

lines = context.socket(zmq.PAIR)
lines.bind("inproc://lines")


def read():
    out = context.socket(zmq.PAIR)
    out.connect("inproc://lines")
    for line in sys.stdin:
        out.send_string(line)
    out.send_string("")


threading.Thread(target=read, daemon=True).start()
poller = zmq.Poller()
poller.register(lines, zmq.POLLIN)
if kind == zmq.XPUB:
    poller.register(socket, zmq.POLLIN)
while True:
    ready = dict(poller.poll())
    if socket in ready:
        wish = socket.recv()
        print("on" if wish[:1] == b"\x01" else "off", wish[1:].decode(), flush=True)
    if lines in ready:
        line = lines.recv_string()
        if not line:
            sys.exit()
        topic, body, number = line.split(" ")
        parts = [topic.encode(), bytes.fromhex(body), int(number).to_bytes(4, "little")]
        socket.send_multipart(parts)
