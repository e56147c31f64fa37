"""What converters print: the harmless kept off the screen, the rest shown once, in the end.

TensorFlow, tf2onnx and ONNX Runtime's quantizer write to the process' own streams, by logging and
as Python warnings; much of it on every conversion, and with nothing to act on.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_HARMLESS = re.compile(
    "|".join(
        (
            r"trackable_obj argument",
            r"Statistics for quantized inputs were expected",
            r"^\s*warnings\.warn\($",
            r"^fully_quantize: ",
            r"consider (to run )?pre-processing before quantization",
            r"check if the model is already quantized",
            r"XNNPACK delegate",
            r"^WARNING: All log messages before absl::InitializeLog",
            # What TensorFlow's C++ says of its own graphs, at times two lines in one.
            r"^[IW]\d{4} ",
            # An error to TensorFlow, where there is no GPU.
            r"cuInit",
            r"NodeDef mentions attribute",
            r"attributes? will be ignored\. NodeDef",
            r"^Estimated count of arithmetic ops",
            r"tf\.lite\.Interpreter is deprecated",
            r"Please use the LiteRT interpreter|ai_edge_litert|migration guide",
            r"^INFO: ",
            r"^\s*$",
        )
    )
)


@contextmanager
def quiet_converters() -> Iterator[list[str]]:
    """Hold back what is printed on stderr and stdout within the block.

    Yields:
        Filled when the block ends, also by an error: the lines that may matter, each once.
    """
    matter: list[str] = []
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with tempfile.TemporaryFile() as heard:
        kept = [(number, os.dup(number)) for number in (1, 2)]
        try:
            for number, _ in kept:
                os.dup2(heard.fileno(), number)
            with warnings.catch_warnings(record=True) as caught, _logging_to(matter):
                warnings.simplefilter("always")
                yield matter
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)
            heard.seek(0)
            printed = heard.read().decode(errors="replace").splitlines()
            warned = [str(item.message).splitlines()[0] for item in caught if str(item.message)]
            lines = dict.fromkeys((*matter, *warned, *printed))
            matter[:] = [line for line in lines if not _HARMLESS.search(line)]


@contextmanager
def _logging_to(lines: list[str]) -> Iterator[None]:
    """Warnings and errors that are logged go to a list, and nowhere else."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname.lower()}: {record.getMessage()}")

    collector = Collector(logging.WARNING)
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("absl", "tensorflow", "tf2onnx"))]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [collector]
        logger.propagate = False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers[:] = handlers
            logger.propagate = propagate
