"""A node of a private proof-of-work chain over py-evm, for tests.

py-evm validates every block: its seal with the C++ implementation of Ethash (in place of its own in
Python, which takes minutes), its state root and its rewards. This file only speaks JSON-RPC. The one
rule that is not a real chain's is the difficulty, which is the same for every block: real ones begin at
131,072, too much for a processor.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ethash
import rlp
from eth import constants
from eth.chains.base import MiningChain
from eth.consensus import pow
from eth.db.atomic import AtomicDB
from eth.vm.forks.byzantium.headers import configure_header, create_header_from_parent
from eth.vm.forks.istanbul import IstanbulVM
from eth_utils import ValidationError

EPOCH_BLOCKS = 30_000


def hashimoto_light(_size, epoch, header_hash, nonce):
    final, mix = ethash.hash(epoch, header_hash, int.from_bytes(nonce, "big"))
    return {"mix_digest": mix, "result": final}


pow.get_cache = lambda number: number // EPOCH_BLOCKS
pow.get_dataset_full_size = lambda number: 0
pow.hashimoto_light = hashimoto_light


def chain_of(chain_id, difficulty):
    def same(_parent, _timestamp):
        return difficulty

    class VM(IstanbulVM):
        compute_difficulty = staticmethod(same)
        create_header_from_parent = staticmethod(create_header_from_parent(same))
        configure_header = configure_header(difficulty_fn=same)

    class Chain(MiningChain):
        vm_configuration = ((constants.GENESIS_BLOCK_NUMBER, VM),)

    Chain.chain_id = chain_id
    genesis = {
        "difficulty": difficulty,
        "gas_limit": 8_000_000,
        "timestamp": int(time.time()) - 60,
        "extra_data": b"gruve test",
        "nonce": bytes(7) + b"\x42",
    }
    return Chain.from_genesis(AtomicDB(), genesis, {})


def quantity(number):
    return hex(number)


def data(value):
    return "0x" + bytes(value).hex()


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Node:
    def __init__(self, chain_id, difficulty, coinbase):
        self.chain_id, self.coinbase = chain_id, coinbase
        self.chain = chain_of(chain_id, difficulty)
        self.lock = threading.Lock()
        self.work = None

    def tip(self):
        return self.chain.get_canonical_head()

    def pending(self):
        """The block without a seal on the present tip, made once."""
        tip = self.tip()
        if self.work is None or self.work.header.parent_hash != tip.hash:
            when = max(int(time.time()), tip.timestamp + 1)
            header = self.chain.create_header_from_parent(tip, timestamp=when)
            vm = self.chain.get_vm(header.copy(coinbase=self.coinbase))
            self.work = vm.mine_block(vm.get_block(), coinbase=self.coinbase).block
        return self.work

    def eth_getWork(self):
        header = self.pending().header
        seed = bytes(32)
        for _ in range(header.block_number // EPOCH_BLOCKS):
            seed = ethash.keccak_256(seed)
        target = min(2**256 // header.difficulty, 2**256 - 1)
        parts = [data(header.mining_hash), data(seed), data(target.to_bytes(32, "big"))]
        return parts + [quantity(header.block_number)]

    def eth_submitWork(self, nonce, header_hash, mix):
        block = self.pending()
        if data(block.header.mining_hash) != header_hash.lower():
            return False
        sealed = block.header.copy(
            nonce=bytes.fromhex(nonce[2:]), mix_hash=bytes.fromhex(mix[2:])
        )
        try:
            self.chain.import_block(block.copy(header=sealed))
        except ValidationError as fault:
            print("refused:", str(fault).splitlines()[0], flush=True)
            return False
        return True

    def shape(self, block):
        if block is None:
            return None
        header = block.header
        return {
            "hash": data(header.hash),
            "parentHash": data(header.parent_hash),
            "sha3Uncles": data(header.uncles_hash),
            "miner": data(header.coinbase),
            "stateRoot": data(header.state_root),
            "transactionsRoot": data(header.transaction_root),
            "receiptsRoot": data(header.receipt_root),
            "logsBloom": data(header.bloom.to_bytes(256, "big")),
            "difficulty": quantity(header.difficulty),
            "number": quantity(header.block_number),
            "gasLimit": quantity(header.gas_limit),
            "gasUsed": quantity(header.gas_used),
            "timestamp": quantity(header.timestamp),
            "extraData": data(header.extra_data),
            "mixHash": data(header.mix_hash),
            "nonce": data(header.nonce),
            "size": quantity(len(rlp.encode(block))),
            "transactions": [],
            "uncles": [data(uncle.hash) for uncle in block.uncles],
        }

    def at(self, place):
        if place == "pending":
            return self.pending()
        number = self.tip().block_number if place == "latest" else int(place, 16)
        if number > self.tip().block_number:
            return None
        return self.chain.get_canonical_block_by_number(number)

    def eth_getBlockByNumber(self, place, _full):
        return self.shape(self.at(place))

    def eth_getBlockByHash(self, block_hash, _full):
        wanted = bytes.fromhex(block_hash[2:])
        for number in range(self.tip().block_number, -1, -1):
            block = self.chain.get_canonical_block_by_number(number)
            if block.hash == wanted:
                return self.shape(block)
        return None

    def eth_getUncleByBlockHashAndIndex(self, _hash, _index):
        return None

    def eth_blockNumber(self):
        return quantity(self.tip().block_number)

    def eth_chainId(self):
        return quantity(self.chain_id)

    def eth_getBalance(self, account, _place):
        state = self.chain.get_vm().state
        return quantity(state.get_balance(bytes.fromhex(account[2:])))

    def eth_getTransactionCount(self, account, _place):
        return quantity(self.chain.get_vm().state.get_nonce(bytes.fromhex(account[2:])))

    def eth_getTransactionReceipt(self, _hash):
        return None

    def eth_coinbase(self):
        return data(self.coinbase)

    def eth_gasPrice(self):
        return quantity(10**9)

    def eth_syncing(self):
        return False

    def net_peerCount(self):
        return quantity(1)

    def eth_submitHashrate(self, _rate, _name):
        return True

    def call(self, method, params):
        if not method.startswith(("eth_", "net_")) or not hasattr(self, method):
            raise Refused(-32601, f"the method {method} does not exist")
        with self.lock:
            return getattr(self, method)(*params)


def handler_of(node):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"jsonrpc": "2.0", "id": call.get("id")}
            try:
                answer["result"] = node.call(call["method"], call.get("params", []))
            except Refused as refused:
                answer["error"] = {"code": refused.code, "message": refused.message}
            except Exception as fault:
                print("fault:", call["method"], repr(fault), flush=True)
                answer["error"] = {"code": -32603, "message": repr(fault)[:200]}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    return Handler


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--port", type=int, required=True)
    args.add_argument("--chain-id", type=int, required=True)
    args.add_argument("--difficulty", type=int, required=True)
    args.add_argument("--coinbase", required=True)
    given = args.parse_args()
    node = Node(given.chain_id, given.difficulty, bytes.fromhex(given.coinbase[2:]))
    # The cache of the first epoch, before anybody waits for it.
    ethash.hash(0, bytes(32), 0)
    server = ThreadingHTTPServer(("127.0.0.1", given.port), handler_of(node))
    # For whoever waits for it.
    print("listening", flush=True)
    server.serve_forever()


main()
