#!/usr/bin/env bash
# Live views in two terminals: one watches, the other places orders.
#
#   examples/live-demo.sh watch           shows revenueByDay, and shows it again whenever it changes
#   examples/live-demo.sh order [N]       places N orders, one a second; without N until Ctrl-C
#
# The shop has to run in a third one: `weir dev examples/shop`, or `cargo run --release -- dev examples/shop`.
# WEIR_URL is where, http://127.0.0.1:4000 without it. Needs bash, curl, and for `watch` python3 with nothing installed: what
# a WebSocket says is read and written by hand below, and in bash alone that would be no pleasure.
set -euo pipefail

url=${WEIR_URL:-http://127.0.0.1:4000}

fail() {
    echo "live-demo: $*" >&2
    exit 1
}

# needs PROGRAM...: ends with a word where one is missing.
needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "this needs $program"
    done
}

# ask QUERY: the answer to a query or mutation without variables.
ask() {
    local query=${1//\"/\\\"}
    curl -sS -H 'Content-Type: application/json' -d "{\"query\":\"$query\"}" "$url/graphql" ||
        fail "no answer from $url: start the shop with: weir dev examples/shop"
}

# The id of the customer whose orders these are. A shop without customers is filled first.
customer() {
    local found
    found=$(ask '{ customerByEmail(email: "ada@example.com") { id } }') || exit
    if [[ $found != *'"id":"'* ]]; then
        ask 'mutation { seed { customers orders } }' >/dev/null || exit
        found=$(ask '{ customerByEmail(email: "ada@example.com") { id } }') || exit
    fi
    [[ $found =~ \"id\":\"([^\"]+)\" ]] || fail "no customer: $found"
    echo "${BASH_REMATCH[1]}"
}

order() {
    local most=${1:-} id total number answer
    id=$(customer) || exit
    for ((number = 1; number <= ${most:-number}; number++)); do
        if ((number > 1)); then sleep 1; fi
        total=$((RANDOM % 90 + 10))
        answer=$(ask "mutation { placeOrder(customer: \"$id\", total: $total) { id } }") || exit
        [[ $answer =~ \"commit\":\"([0-9]+)\" ]] || fail "$answer"
        echo "order $number: $total at commit ${BASH_REMATCH[1]}"
    done
}

watch() {
    exec python3 -u -c "$reader" "$url"
}

# A client of graphql-transport-ws as small as can be: it subscribes, answers pings, and prints what comes.
reader=$(
    cat <<'PYTHON'
import base64, json, os, socket, struct, sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
port = url.port or 80
try:
    stream = socket.create_connection((url.hostname, port))
except OSError as error:
    sys.exit(f"live-demo: no answer from {url.geturl()}: start the shop with: weir dev examples/shop ({error})")
incoming = stream.makefile("rb")


def send(kind, payload):
    mask = os.urandom(4)
    length = len(payload)
    head = bytes([0x80 | kind, 0x80 | length]) if length < 126 else struct.pack("!BBH", 0x80 | kind, 0xFE, length)
    stream.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))


def tell(message):
    send(1, json.dumps(message).encode())


def read(count):
    data = incoming.read(count)
    if len(data) < count:
        sys.exit("live-demo: the server is gone")
    return data


def receive():
    """The next message; pings are answered."""
    text = b""
    while True:
        first, length = read(2)
        if length == 126:
            (length,) = struct.unpack("!H", read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", read(8))
        kind, payload = first & 0x0F, read(length)
        if kind == 8:
            sys.exit(f"live-demo: the server closes: {payload[2:].decode()}")
        if kind == 9:
            send(10, payload)
        elif kind in (0, 1):
            text += payload
            if first & 0x80:
                return json.loads(text)


key = base64.b64encode(os.urandom(16)).decode()
stream.sendall(
    f"GET /graphql HTTP/1.1\r\nHost: {url.hostname}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
)
status = incoming.readline().decode().strip()
if " 101 " not in status:
    sys.exit(f"live-demo: {url.geturl()} does not speak WebSocket: {status}")
while incoming.readline().strip():
    pass
tell({"type": "connection_init"})
receive()
query = "subscription { revenueByDay { key revenue orders } }"
tell({"id": "1", "type": "subscribe", "payload": {"query": query}})
before = {}
while True:
    message = receive()
    payload = message.get("payload")
    if message["type"] == "ping":
        tell({"type": "pong"})
        continue
    if message["type"] != "next" or "errors" in payload:
        sys.exit(f"live-demo: {json.dumps(message)}")
    rows = payload["data"]["revenueByDay"]
    print(f"\nrevenueByDay at commit {payload['extensions']['weir']['commit']}")
    for row in rows[-7:]:
        changed = "" if before.get(row["key"]) == row or not before else "  <- changed"
        print(f"  {row['key']}  {row['orders']:5} orders  {row['revenue']:10.2f}{changed}")
    before = {row["key"]: row for row in rows}
PYTHON
)

case ${1:-} in
watch)
    needs curl python3
    customer >/dev/null || exit
    watch
    ;;
order)
    needs curl
    [[ ${2:-1} =~ ^[1-9][0-9]*$ ]] || fail "not a number of orders: $2"
    order "${2:-}"
    ;;
*)
    echo "In one terminal:  $0 watch"
    echo "In another:       $0 order"
    [[ $# == 0 || $1 == help || $1 == --help ]] || exit 2
    ;;
esac
