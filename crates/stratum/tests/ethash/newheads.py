"""New heads over a WebSocket, by the `websockets` package, in front of a node that has none.

newheads.py heads URL   tells whoever subscribes of every block of the node at URL
newheads.py WAY         misbehaves: flood, refuse, nonsense, huge, silent
"""

import asyncio
import json
import sys
import urllib.request

from websockets.asyncio.server import serve

way = sys.argv[1]
clients = set()
SUBSCRIPTION = "0x9cef478923ff08bf67fde6c64013158d"


def ask(method, params):
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(
        sys.argv[2], json.dumps(call).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


def head(result):
    params = {"subscription": SUBSCRIPTION, "result": result}
    return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


async def client(socket):
    call = json.loads(await socket.recv())
    assert call["method"] == "eth_subscribe" and call["params"] == ["newHeads"], call
    answer = {"jsonrpc": "2.0", "id": call["id"]}
    if way == "silent":
        await asyncio.Future()
    if way == "refuse":
        answer["error"] = {"code": -32601, "message": "notifications not supported"}
    else:
        answer["result"] = SUBSCRIPTION
    await socket.send(json.dumps(answer))
    if way == "nonsense":
        for said in ["null", "{", b"\xff\x00", "[" * 10_000, head(None).replace("0x9c", "0x9d")]:
            await socket.send(said)
    if way == "huge":
        await socket.send(head("x" * 1_000_000))
    while way == "flood":
        await socket.send(head(None))
    clients.add(socket)
    await socket.wait_closed()
    clients.discard(socket)


async def main():
    async with serve(client, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        last = None
        while way != "heads":
            await asyncio.Future()
        while True:
            block = await asyncio.to_thread(ask, "eth_getBlockByNumber", ["latest", False])
            if last is not None and block["hash"] != last:
                for socket in list(clients):
                    await socket.send(head(block))
            last = block["hash"]
            await asyncio.sleep(0.005)


asyncio.run(main())
