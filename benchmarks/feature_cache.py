"""How long the features of all clips take, computed once into the cache, and read from it again.

    python benchmarks/feature_cache.py CORPORA [--workers 2]

Prints a Markdown table; one pass each, the files of the corpora being in the page cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_train.corpora import read_corpora
from ser_train.features.cache import cached_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        started = time.perf_counter()
        index = read_corpora(arguments.corpora, cache / "corpora.json")
        first = time.perf_counter() - started
        started = time.perf_counter()
        read_corpora(arguments.corpora, cache / "corpora.json")
        again = time.perf_counter() - started
        print("| what | s, first | s, again |\n| --- | --- | --- |")
        print(f"| reading {len(index.clips)} clips (one process) | {first:.0f} | {again:.1f} |")
        for name, spec, copies in (
            ("128 MFCC x 94", MFCC, 0),
            ("128 MFCC x 94, with 2 noisy copies", MFCC, 2),
            ("128 mel bands x 188", MEL, 0),
        ):
            seconds = []
            for _ in range(2):
                started = time.perf_counter()
                cached_features(index, spec, cache, copies, workers=arguments.workers)
                seconds.append(time.perf_counter() - started)
            print(f"| {name} | {seconds[0]:.0f} | {seconds[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
