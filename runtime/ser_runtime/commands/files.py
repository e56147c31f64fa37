"""`ser-listen FILE`, and `ser-listen FILE FOLDER ...`."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ser_runtime.audio_file import AudioFile
from ser_runtime.audio_folder import AudioInput
from ser_runtime.audio_folder import find_audio
from ser_runtime.commands.output import REPLACED
from ser_runtime.commands.output import Output
from ser_runtime.commands.output import draw_plot
from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.many_files import ManyFiles
from ser_runtime.many_files import recognize_blocks
from ser_runtime.output_formats import FORMATS
from ser_runtime.output_formats import Rows
from ser_runtime.path_facts import exists
from ser_runtime.path_facts import followed
from ser_runtime.path_facts import is_folder
from ser_runtime.prediction import Summary
from ser_runtime.prediction import SummaryMaker
from ser_runtime.result_output import results_to
from ser_runtime.result_output import write_standard_output
from ser_runtime.stream import Stream
from ser_runtime.terminal import PlainConsole
from ser_runtime.terminal import file_progress
from ser_runtime.terminal import files_progress
from ser_runtime.terminal import show_summary
from ser_runtime.terminal import show_summary_table
from ser_runtime.timeline import Timeline


def recognize_one(path: Path, stream: Stream, output: Output) -> int:
    """Recognize one file; its results come as they are made.

    Raises:
        UsageError: If the output's places cannot be.
        SerError: If the file cannot be read, or a result cannot be written.
    """
    output = output.of_one(path)
    labels = stream.model.labels
    results, summary = output.results(labels), SummaryMaker()
    timeline = None if output.plot is None else Timeline(labels)
    console, status = PlainConsole(), PlainConsole(stderr=True)
    try:
        with (
            AudioFile(path) as audio,
            results_to(output.out) as write,
            file_progress(status, audio, hidden=output.rows_on_terminal) as bar,
        ):
            write(results.begin())
            blocks = bar(audio.blocks())
            if timeline is not None:
                blocks = timeline.watch(blocks, audio.sample_rate)
            for prediction in recognize_blocks(stream, blocks, audio.sample_rate):
                summary.add([prediction])
                if timeline is not None:
                    timeline.add(prediction)
                write(results.add(prediction))
            write(results.end())
    finally:
        if count := stream.replaced_samples:
            _tell(status, f"warning: {REPLACED.format(count)}")
    if timeline is not None and output.plot is not None:
        draw_plot(timeline, path.name, output.plot)
    show_summary(console if output.draws else status, summary.summary())
    return 0


def recognize_many(
    arguments: Sequence[str], make_stream: Callable[[], Stream], output: Output, jobs: int
) -> int:
    """Recognize files and folders in parallel: rows of each, and a table of summaries at the end.

    A file that cannot be read is told on standard error and does not stop the others.

    Args:
        arguments: Files and folders.
        make_stream: Makes the stream of one file.
        output: `out` is a folder here.
        jobs: Files at once.

    Returns:
        The exit code of the first error of a file; 0 if there is none.

    Raises:
        UsageError: If the output cannot be one of many recordings.
        StorageError: If a result cannot be written.
    """
    many, inputs, errors = _prepared(arguments, make_stream, output)
    status = PlainConsole(stderr=True)
    codes = [error.exit_code for error in errors]
    for error in errors:
        _tell(status, f"error: {error}")
    summaries: list[tuple[str, Summary | None]] = []
    with files_progress(status, len(inputs), hidden=output.rows_on_terminal) as one_done:
        for result in many.recognize([file.path for file in inputs], jobs):
            if result.error is not None:
                codes.append(result.error.exit_code)
                _tell(status, f"error: {result.error}")
            if result.replaced_samples:
                _tell(status, f"warning: {result.path}: {REPLACED.format(result.replaced_samples)}")
            summaries.append((str(result.path), result.summary))
            one_done()
    if summaries:
        show_summary_table(PlainConsole() if output.draws else status, summaries)
    return codes[0] if codes else 0


def _prepared(
    arguments: Sequence[str], make_stream: Callable[[], Stream], output: Output
) -> tuple[ManyFiles, list[AudioInput], list[AudioError]]:
    """What is to be done, by where the rows go; the files; and the errors of folders."""
    if output.plot is not None:
        raise UsageError("--plot draws one recording: give one file")
    if output.out is not None and exists(output.out) and not is_folder(output.out):
        raise UsageError(f"--out {output.out} is no folder, which several inputs need")
    row_format = output.row_format or ("jsonl" if output.out else None)
    if row_format and not output.out and not FORMATS[row_format].by_window:
        raise UsageError(f"--format {row_format} is a file for each recording: say --out FOLDER")
    inputs, errors = find_audio(arguments)
    if row_format is None:
        return ManyFiles(make_stream), inputs, errors
    labels = make_stream().model.labels
    if output.out is not None:
        places = _places(inputs, output.out, FORMATS[row_format].suffix)

        def rows_of(_: Path) -> Rows:
            return Rows(row_format, labels, output.segments)

        return ManyFiles(make_stream, rows_of, places=places), inputs, errors

    def named_rows_of(path: Path) -> Rows:
        return Rows(row_format, labels, output.segments, path)

    write_standard_output(named_rows_of(Path()).begin())
    return ManyFiles(make_stream, named_rows_of, write_standard_output), inputs, errors


def _places(inputs: Sequence[AudioInput], folder: Path, suffix: str) -> dict[Path, Path]:
    """The file of results of each input: its name, in full, and the format's suffix.

    Raises:
        UsageError: If two inputs would have the same, or one the place of an input.
    """
    sources: dict[Path, Path] = {}
    recordings = {followed(file.path) for file in inputs}
    for file in inputs:
        place = folder / file.name.with_name(file.name.name + suffix)
        if place in sources:
            raise UsageError(
                f"the results of {sources[place]} and {file.path} would both be {place}: "
                "give the folder that holds both, or recognize them one by one"
            )
        if followed(place) in recordings:
            raise UsageError(f"the results of {file.path} would take the place of {place}")
        sources[place] = file.path
    return {source: place for place, source in sources.items()}


def _tell(status: Console, text: str) -> None:
    # Through rich, which keeps it above the progress bar.
    status.print(Text(text))
