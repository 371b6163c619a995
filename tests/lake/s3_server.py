"""`python -m tests.lake.s3_server`: moto's S3 on loopback in a separate process. Prints its address.

In the same process it could not answer while delta-rs reads a table's history, which holds Python's lock.
"""

import sys
import threading

from moto.server import ThreadedMotoServer


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    app, turn = server._server.app, threading.Lock()

    def one_request_at_a_time(*request):  # unlike S3, moto's If-None-Match is not atomic
        with turn:
            return app(*request)

    server._server.app = one_request_at_a_time
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main()
