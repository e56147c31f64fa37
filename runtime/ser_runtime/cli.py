"""`ser-listen`: recognizes emotions in files, from a pipe, or from the microphone."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

from ser_runtime.commands.files import recognize_many
from ser_runtime.commands.files import recognize_one
from ser_runtime.commands.live import listen_to_microphone
from ser_runtime.commands.live import listen_to_pipe
from ser_runtime.commands.output import PLOT_SUFFIXES
from ser_runtime.commands.output import Output
from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import UsageError
from ser_runtime.errors import run_command
from ser_runtime.lost_output import hang_up_ends
from ser_runtime.lost_output import lost_output
from ser_runtime.microphone import list_microphones
from ser_runtime.model import DEFAULT_MODEL
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.output_formats import FORMATS
from ser_runtime.path_facts import is_folder
from ser_runtime.pcm_stream import SAMPLE_TYPES
from ser_runtime.pcm_stream import PcmFormat
from ser_runtime.stream import DEFAULT_SMOOTHING
from ser_runtime.stream import DEFAULT_STEP
from ser_runtime.stream import VAD_MODES
from ser_runtime.stream import Stream

_EXAMPLES = """examples:
  ser-listen                                  the default microphone, live; Ctrl-C ends
  ser-listen speech.wav                       a file: any rate, channels, container
  ser-listen speech.wav | jq .label           one JSON object a line when piped
  ser-listen speech.wav --out speech.srt      subtitles of the emotion segments
  ser-listen speech.wav --plot speech.png     waveform, segments and curves as a picture
  ser-listen call.wav clips/ --format csv > all.csv          many files, in parallel
  ser-listen clips/ --format audacity --out labels/ --jobs 4 a file of results for each
  arecord -f S16_LE -r 16000 | ser-listen -
  ffmpeg -i film.mkv -f s16le -ac 1 -ar 16000 - | ser-listen - --segments
  ser-listen --vad off --smoothing 0 --min-confidence 0 speech.wav    the bare model
  ser-listen --model my_model.onnx speech.wav

results go to standard output or --out, everything else to standard error. A file that cannot be
read does not stop the others; the exit code is then that of the first such error. --out appears
when it is whole; of a microphone or pipe also on Ctrl-C."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    run_command(lambda: _main_with_output(argv))


def _main_with_output(argv: list[str] | None) -> int:
    _set_encoding()
    with hang_up_ends():
        code = _main(argv)
    with lost_output():
        if sys.stdout is not None:
            sys.stdout.flush()
    return code


def _main(argv: list[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.list_models:
        return _list(packaged_models(), "the package holds no model")
    if arguments.list_devices:
        devices = [f"{index:3}  {name}  ({rate} Hz)" for index, name, rate in list_microphones()]
        return _list(devices, "no capture device found")
    inputs = arguments.input
    if inputs and arguments.device is not None:
        raise UsageError("--device belongs to the microphone: leave out the file")
    if "-" in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) cannot be one of several inputs")
    output = Output.of_options(arguments.format, arguments.segments, arguments.out, arguments.plot)
    model = Model.open(arguments.model)

    def make_stream() -> Stream:
        return Stream(
            model,
            step=arguments.step,
            vad=arguments.vad,
            smoothing=arguments.smoothing,
            min_confidence=arguments.min_confidence,
        )

    if not inputs:
        return listen_to_microphone(make_stream(), arguments.device, output)
    if inputs == ["-"]:
        pcm_format = PcmFormat(arguments.rate, arguments.channels, arguments.sample_type)
        return listen_to_pipe(make_stream(), pcm_format, output)
    if len(inputs) > 1 or is_folder(Path(inputs[0])):
        return recognize_many(inputs, make_stream, output, arguments.jobs)
    return recognize_one(Path(inputs[0]), make_stream(), output)


def _set_encoding() -> None:
    """Rows are UTF-8 whatever the locale; a terminal that cannot show a character gets another."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ser-listen",
        description="Recognize seven emotions in speech: angry, disgust, fear, happy, neutral, "
        "sad, surprise. On a terminal it draws; piped, it prints one JSON object a line.",
        epilog=f"{_EXAMPLES}\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "input",
        nargs="*",
        help="audio files and folders of them, or - for PCM on standard input; "
        "without any, the microphone",
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="name or file (default: %(default)s)"
    )
    parser.add_argument("--list-models", action="store_true", help="models of the package")
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=_usable_cores(),
        metavar="N",
        help="files at once, of several (default: the cores, %(default)s)",
    )
    _add_recognition(parser.add_argument_group("recognition"))
    _add_results(parser.add_argument_group("results"))
    microphone = parser.add_argument_group("microphone")
    microphone.add_argument("--device", type=_device, metavar="NAME|INDEX")
    microphone.add_argument("--list-devices", action="store_true", help="capture devices")
    pcm = parser.add_argument_group("PCM on standard input (a WAV header there wins)")
    pcm.add_argument("--rate", type=int, default=16_000, metavar="HZ")
    pcm.add_argument("--channels", type=int, default=1, metavar="N")
    pcm.add_argument("--sample-type", choices=SAMPLE_TYPES, default="s16le")
    return parser


def _add_recognition(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--step",
        type=float,
        default=DEFAULT_STEP,
        metavar="SECONDS",
        help="between predictions, a multiple of the feature hop (default: %(default)s)",
    )
    group.add_argument(
        "--vad",
        choices=VAD_MODES,
        default="energy",
        help="what finds the voice; where there is none, there is no emotion (default: energy)",
    )
    group.add_argument(
        "--smoothing",
        type=float,
        default=DEFAULT_SMOOTHING,
        metavar="SECONDS",
        help="time constant of labels and confidences, 0 for none (default: %(default)s)",
    )
    group.add_argument(
        "--min-confidence",
        type=float,
        metavar="X",
        help="0 to 1; below it the label is 'uncertain' (default: by the model)",
    )


def _add_results(group: argparse._ArgumentGroup) -> None:
    formats = ", ".join(f"{name}: {known.what}" for name, known in FORMATS.items())
    group.add_argument(
        "--format",
        choices=FORMATS,
        help=f"{formats} (default: drawn on a terminal, else jsonl)",
    )
    group.add_argument(
        "--json", action="store_const", const="jsonl", dest="format", help="--format jsonl"
    )
    group.add_argument(
        "--segments", action="store_true", help="a row for each emotion segment, not each window"
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write them there, by default in the format of the suffix; of several inputs, a "
        "folder with a file for each",
    )
    group.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help=f"a picture ({', '.join(PLOT_SUFFIXES)}) of one file or pipe; needs the extra 'plot'",
    )


def _list(lines: list[str], otherwise: str) -> int:
    for line in lines:
        print(line)
    if not lines:
        print(otherwise, file=sys.stderr)
    return 0


def _device(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
