"""Recognition of many files at once: in parallel, results in the order of the inputs.

Threads, not processes: they share one model, start at once, and end with the command, whatever
ends it. They run side by side because ONNX Runtime, numpy, soxr and libsndfile release Python's
lock where the work is.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from threading import Event
from typing import IO
from typing import Any

from numpy.typing import NDArray

from ser_runtime.audio_file import AudioFile
from ser_runtime.errors import SerError
from ser_runtime.errors import StorageError
from ser_runtime.output_formats import Rows
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary
from ser_runtime.prediction import SummaryMaker
from ser_runtime.result_output import Write
from ser_runtime.result_output import results_to
from ser_runtime.stream import Stream

# Files that may be done before an earlier one is. Their rows wait, on disk beyond 256 KiB.
_AHEAD_PER_JOB = 8
_MOST_IN_MEMORY = 1 << 18
_COPIED_AT_ONCE = 1 << 16
# Waits end that often, so that Ctrl-C is seen on every platform.
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class FileResult:
    """What came of one file.

    Attributes:
        path: The file.
        summary: Its one answer; None if it could not be read.
        error: Why it could not be read.
        replaced_samples: Values that were no possible sample and counted as 0.
    """

    path: Path
    summary: Summary | None
    error: SerError | None
    replaced_samples: int


class _StoppedError(Exception):
    """Nobody wants the result of this thread any more."""


@dataclass(frozen=True)
class ManyFiles:
    """How many files are recognized.

    An error of one file is its result, and does not stop the others; such a file leaves no rows.

    Attributes:
        make_stream: Makes the stream of one file; all may share a model.
        make_rows: Makes the rows of one file; None: only the summaries are wanted.
        write: Takes the rows, file after file, without headers; None: they go to `places`.
        places: The file that the rows of each file go to, headers included.
    """

    make_stream: Callable[[], Stream]
    make_rows: Callable[[Path], Rows] | None = None
    write: Write | None = None
    places: Mapping[Path, Path] = field(default_factory=dict)

    def recognize(self, paths: Sequence[Path], jobs: int) -> Iterator[FileResult]:
        """Recognize files; each result comes when it and all before it are there.

        Args:
            paths: The files.
            jobs: Threads.

        Raises:
            StorageError: If rows cannot be written: the next file's could not be either.
            BrokenPipeError: As `write`.
        """
        stop = Event()
        todo: deque[Path] = deque(paths)
        running: deque[tuple[Future[FileResult], IO[str]]] = deque()
        pool = ThreadPoolExecutor(jobs)
        try:
            while todo or running:
                while todo and len(running) < _AHEAD_PER_JOB * jobs:
                    rows = _waiting_rows()
                    running.append((pool.submit(self._one, todo.popleft(), rows, stop), rows))
                while not wait([running[0][0]], _POLL_SECONDS).done:
                    pass
                done, rows = running.popleft()
                with rows:
                    result = done.result()
                    while self.write is not None and (text := rows.read(_COPIED_AT_ONCE)):
                        self.write(text)
                yield result
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            for _, rows in running:
                rows.close()

    def _one(self, path: Path, waiting: IO[str], stop: Event) -> FileResult:
        """Recognize one file, in a thread; its rows wait for `write`, or go to their place."""
        stream, summary = self.make_stream(), SummaryMaker()
        rows = self.make_rows and self.make_rows(path)
        try:
            with AudioFile(path) as audio, self._output(path, rows, waiting) as write:
                blocks = _until(stop, audio.blocks())
                for prediction in recognize_blocks(stream, blocks, audio.sample_rate):
                    summary.add([prediction])
                    if rows is not None:
                        write(rows.add(prediction))
                if rows is not None:
                    write(rows.end())
        except StorageError:
            raise
        except SerError as error:
            waiting.truncate(0)
            return FileResult(path, None, error, stream.replaced_samples)
        waiting.seek(0)
        return FileResult(path, summary.summary(), None, stream.replaced_samples)

    @contextmanager
    def _output(self, path: Path, rows: Rows | None, waiting: IO[str]) -> Iterator[Write]:
        if rows is None or self.write is not None:
            yield waiting.write
            return
        with results_to(self.places[path]) as write:
            write(rows.begin())
            yield write


def recognize_blocks(
    stream: Stream, blocks: Iterable[NDArray[Any]], sample_rate: int
) -> Iterator[Prediction]:
    """All predictions of a recording.

    Args:
        stream: A new one; it is flushed at the end.
        blocks: As `Stream.push` takes them.
        sample_rate: Of the blocks, in Hz.

    Raises:
        AudioError: As `Stream.push`, and as the blocks.
    """
    for block in blocks:
        yield from stream.push(block, sample_rate)
    yield from stream.flush()


def _waiting_rows() -> IO[str]:
    return tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY, "w+", encoding="utf-8", newline="")


def _until(stop: Event, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    for block in blocks:
        if stop.is_set():
            raise _StoppedError
        yield block
