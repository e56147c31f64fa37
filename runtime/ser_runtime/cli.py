"""`ser-listen`: recognizes emotions in a file, from a pipe, or from the microphone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from typing import NoReturn

from rich.console import Console

from ser_runtime.audio_file import AudioFile
from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.errors import run_command
from ser_runtime.microphone import Microphone
from ser_runtime.microphone import list_microphones
from ser_runtime.model import DEFAULT_MODEL
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.pcm_stream import SAMPLE_TYPES
from ser_runtime.pcm_stream import PcmFormat
from ser_runtime.pcm_stream import PcmStream
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import SummaryMaker
from ser_runtime.stream import DEFAULT_STEP
from ser_runtime.stream import Stream
from ser_runtime.terminal import LiveView
from ser_runtime.terminal import file_progress
from ser_runtime.terminal import show_line
from ser_runtime.terminal import show_summary

_EXAMPLES = """examples:
  ser-listen                              the default microphone, live
  ser-listen speech.wav                   a file: any rate, channels, container
  ser-listen speech.wav | jq .label       one JSON object a line when piped
  arecord -f S16_LE -r 16000 | ser-listen -
  ffmpeg -i film.mkv -f s16le -ac 1 -ar 16000 - | ser-listen -
  ser-listen --model my_model.onnx speech.wav"""


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    run_command(lambda: _main(argv))


def _main(argv: list[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.list_models:
        return _list(packaged_models(), "the package holds no model")
    if arguments.list_devices:
        devices = [f"{index:3}  {name}  ({rate} Hz)" for index, name, rate in list_microphones()]
        return _list(devices, "no capture device found")
    if arguments.input is not None and arguments.device is not None:
        raise UsageError("--device belongs to the microphone: leave out the file")
    stream = Stream(Model.open(arguments.model), step=arguments.step)
    if arguments.input is None:
        return _listen_to_microphone(stream, arguments)
    if arguments.input == "-":
        return _listen_to_pipe(stream, arguments)
    return _recognize_file(stream, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ser-listen",
        description="Recognize seven emotions in speech: angry, disgust, fear, happy, neutral, "
        "sad, surprise. On a terminal it draws; piped, it prints one JSON object a line.",
        epilog=f"{_EXAMPLES}\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", nargs="?", help="audio file, or - for PCM on standard input")
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="name or file (default: %(default)s)"
    )
    parser.add_argument("--list-models", action="store_true", help="models of the package")
    parser.add_argument(
        "--step",
        type=float,
        default=DEFAULT_STEP,
        metavar="SECONDS",
        help="between predictions, a multiple of the feature hop (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on a terminal too")
    microphone = parser.add_argument_group("microphone")
    microphone.add_argument("--device", type=_device, metavar="NAME|INDEX")
    microphone.add_argument("--list-devices", action="store_true", help="capture devices")
    pcm = parser.add_argument_group("PCM on standard input (a WAV header there wins)")
    pcm.add_argument("--rate", type=int, default=16_000, metavar="HZ")
    pcm.add_argument("--channels", type=int, default=1, metavar="N")
    pcm.add_argument("--sample-type", choices=SAMPLE_TYPES, default="s16le")
    return parser


def _list(lines: list[str], otherwise: str) -> int:
    for line in lines:
        print(line)
    if not lines:
        print(otherwise, file=sys.stderr)
    return 0


def _device(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _recognize_file(stream: Stream, arguments: argparse.Namespace) -> int:
    console, status = Console(highlight=False), Console(stderr=True, highlight=False)
    drawn = _draws(arguments)
    show = (lambda prediction: show_line(console, prediction)) if drawn else _print_json
    with AudioFile(arguments.input) as audio, file_progress(status, audio, hidden=drawn) as bar:
        blocks = ((block, 0.0) for block in bar(audio.blocks()))
        summary = _run(stream, blocks, audio.sample_rate, show).summary()
    if summary is not None:
        show_summary(console if drawn else status, summary)
    return 0


def _listen_to_pipe(stream: Stream, arguments: argparse.Namespace) -> int:
    wanted = PcmFormat(arguments.rate, arguments.channels, arguments.sample_type)
    if sys.stdin is None:
        raise AudioError("standard input is closed")
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal: pipe PCM into it (arecord | ser-listen -)")
    source = PcmStream(sys.stdin.buffer, wanted)
    blocks = ((block, 0.0) for block in source.blocks())
    _run_live(stream, blocks, source.format.sample_rate, "standard input", arguments)
    return 0


def _listen_to_microphone(stream: Stream, arguments: argparse.Namespace) -> int:
    with Microphone(arguments.device) as microphone:
        print(f"listening to {microphone.name} at {microphone.sample_rate} Hz", file=sys.stderr)
        _run_live(stream, microphone.blocks(), microphone.sample_rate, microphone.name, arguments)
    return 0


def _run_live(
    stream: Stream,
    blocks: Iterable[tuple[Any, float]],
    sample_rate: int,
    source: str,
    arguments: argparse.Namespace,
) -> None:
    console = Console(highlight=False)
    with ExitStack() as stack:
        show = _print_json
        if _draws(arguments):
            show = stack.enter_context(LiveView(console, source, stream.model.metadata.name)).show
        _run(stream, blocks, sample_rate, show)


def _run(
    stream: Stream,
    blocks: Iterable[tuple[Any, float]],
    sample_rate: int,
    show: Callable[[Prediction], None],
) -> SummaryMaker:
    """Push blocks of samples, each with the milliseconds lost before it, and show what comes."""
    summary = SummaryMaker()
    try:
        for samples, dropped_ms in blocks:
            for prediction in stream.push(samples, sample_rate, dropped_ms):
                summary.add([prediction])
                show(prediction)
        for prediction in stream.flush():
            summary.add([prediction])
            show(prediction)
    finally:
        if count := stream.replaced_samples:
            what = "values were NaN, infinite or far too large, and count as 0"
            print(f"warning: {count} {what}", file=sys.stderr)
    return summary


def _draws(arguments: argparse.Namespace) -> bool:
    """Whether standard output is for eyes: rich's own idea of it can be forced from outside."""
    return sys.stdout is not None and sys.stdout.isatty() and not arguments.json


def _print_json(prediction: Prediction) -> None:
    print(json.dumps(prediction.to_dict()), flush=True)
