"""What the corpora hold, as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from collections import defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ser_runtime.labels import EMOTIONS
from ser_train.corpora.clip import CORPORA
from ser_train.corpora.index import CorpusIndex

_FILES_SHOWN = 5


def class_counts(index: CorpusIndex) -> dict[str, Counter[str]]:
    """Corpus -> emotion -> clips, for the corpora that are there."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in index.clips:
        counts[clip.corpus][clip.emotion] += 1
    return {corpus: counts[corpus] for corpus in CORPORA if corpus in counts}


def show_corpora(index: CorpusIndex, console: Console | None = None) -> None:
    """Print clips per corpus, class and speaker, hours, rates, and what is odd.

    Args:
        index: What was found.
        console: Where to; default stdout.
    """
    console = console or Console(highlight=False)
    counts = class_counts(index)
    table = Table(
        title=Text(f"{len(index.clips)} clips in {index.folder}"), box=None, padding=(0, 1, 0, 0)
    )
    table.add_column("corpus")
    for name in (*EMOTIONS, "clips", "speakers", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for corpus, of_emotion in counts.items():
        clips = [clip for clip in index.clips if clip.corpus == corpus]
        table.add_row(
            corpus,
            *(str(of_emotion[emotion] or "–") for emotion in EMOTIONS),
            str(len(clips)),
            str(len({clip.speaker for clip in clips})),
            f"{sum(clip.seconds for clip in clips) / 3600:.2f}",
        )
    table.add_row(
        "all",
        *(str(sum(of[emotion] for of in counts.values())) for emotion in EMOTIONS),
        str(len(index.clips)),
        str(len({(clip.corpus, clip.speaker) for clip in index.clips})),
        f"{sum(clip.seconds for clip in index.clips) / 3600:.2f}",
        style="bold",
    )
    console.print(table)
    _show_rates_and_speakers(index, console)
    for corpus in CORPORA:
        if corpus not in counts:
            console.print(f"{corpus}: not there", style="yellow")
    _show_odd(index, console)


def _show_rates_and_speakers(index: CorpusIndex, console: Console) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("corpus", "sample rates", "clips per speaker"):
        table.add_column(name)
    for corpus in CORPORA:
        clips = [clip for clip in index.clips if clip.corpus == corpus]
        if clips:
            rates = Counter(f"{clip.sample_rate} Hz" for clip in clips)
            speakers = Counter(clip.speaker for clip in clips)
            usual, _ = Counter(speakers.values()).most_common(1)[0]
            others = {name: n for name, n in sorted(speakers.items()) if n != usual}
            counted = [f"{len(speakers) - len(others)} speakers: {usual} each"]
            counted += [f"{name}: {n}" for name, n in others.items()]
            table.add_row(
                corpus,
                ", ".join(f"{rate}: {n}" for rate, n in rates.most_common()),
                "; ".join(counted),
            )
    console.print(table)


def _show_odd(index: CorpusIndex, console: Console) -> None:
    silent, same = index.silent, index.same_audio
    if silent:
        console.print(f"silent, kept: {', '.join(clip.id for clip in silent)}")
    if same:
        console.print("same audio under several names, kept:")
        for group in same:
            labels = len({clip.emotion for clip in group})
            note = "  (different labels)" if labels > 1 else ""
            console.print(f"  {' = '.join(clip.id for clip in group)}{note}")
    reasons: dict[str, list[str]] = defaultdict(list)
    for item in index.left_out:
        reasons[item.reason].append(str(item.path.relative_to(index.folder)))
    for reason, paths in sorted(reasons.items()):
        more = f" and {len(paths) - _FILES_SHOWN} more" if len(paths) > _FILES_SHOWN else ""
        console.print(f"left out, {reason}: {len(paths)}", style="yellow")
        console.print(f"  {', '.join(paths[:_FILES_SHOWN])}{more}", markup=False)
    if not index.left_out:
        console.print("left out: nothing")
