"""A server that recognizes emotions in WAV streams over TCP, and a client for it.

    python examples/wav_over_socket.py serve --port 7007
    python examples/wav_over_socket.py send --port 7007 examples/speech.flac

The client sends WAV as it has it and reads one JSON object a line, a prediction each, while it
sends. The end of what it sends ends the stream. Anyone who reaches the port can use the server.
"""

import argparse
import io
import json
import socket
import socketserver
import sys
import threading
from contextlib import suppress

import soundfile

from ser_runtime import Model
from ser_runtime import SerError
from ser_runtime import Stream
from ser_runtime.pcm_stream import PcmFormat
from ser_runtime.pcm_stream import PcmStream


class Connection(socketserver.StreamRequestHandler):
    """One client: a stream of its own, with the model of all."""

    server: "Server"

    def handle(self) -> None:
        stream = Stream(self.server.model)
        try:
            source = PcmStream(self.rfile, PcmFormat())
            for block in source.blocks():
                self._answer(*stream.push(block, source.format.sample_rate))
            self._answer(*stream.flush())
        except SerError as error:
            self._write({"error": str(error)})
        except ConnectionError as error:
            print(f"{self.client_address[0]}: {error.strerror}", file=sys.stderr)

    def _answer(self, *predictions) -> None:
        for prediction in predictions:
            self._write(prediction.to_dict())

    def _write(self, fields: dict) -> None:
        self.wfile.write(json.dumps(fields).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Connection)
        self.model = Model.open()


def serve(port: int) -> None:
    with Server(port) as server:
        print(f"listening on port {server.server_address[1]}; Ctrl-C ends", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def send(port: int, path: str) -> None:
    samples, sample_rate = soundfile.read(path, dtype="int16")
    wav = io.BytesIO()
    soundfile.write(wav, samples, sample_rate, format="WAV")

    def write(connection: socket.socket) -> None:
        connection.sendall(wav.getvalue())
        connection.shutdown(socket.SHUT_WR)

    with socket.create_connection(("127.0.0.1", port)) as connection:
        threading.Thread(target=write, args=[connection], daemon=True).start()
        for line in connection.makefile("r"):
            print(line, end="", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve")
    client = commands.add_parser("send")
    for command in (server, client):
        command.add_argument("--port", type=int, default=7007)
    client.add_argument("file", help="any format that libsndfile reads")
    arguments = parser.parse_args()
    if arguments.command == "serve":
        serve(arguments.port)
    else:
        send(arguments.port, arguments.file)
