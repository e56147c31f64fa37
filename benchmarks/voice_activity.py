"""Voice activity on real clips and on noise: what is found, what is wrongly found, what it costs.

    python benchmarks/voice_activity.py [--corpora ../shared/corpora] [--clips 300]

Prints Markdown tables. A clip is found if at least one window of its stream is voiced.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ser_runtime.feature_spec import MFCC
from ser_runtime.features import FeatureExtractor
from ser_runtime.voice_activity import VoiceActivity

RATE, WINDOW, STEP = MFCC.sample_rate, MFCC.window_samples, 8_192
FIRST = WINDOW - 4 * STEP
CORPORA = {
    "RAVDESS": "RAVDESS/*/*.opus",
    "SAVEE": "SAVEE/AudioData/*/*.opus",
    "TESS": "TESS/*.opus",
    "CREMA-D": "CREMA-D/AudioWAV/*.opus",
}
NOISES = {"white": 0.0, "pink": 1.0, "brown": 2.0}
SNRS = (20, 10, 5, 0)
NOISE_SECONDS, REPEATS = 3_600, 15


def voiced_windows(audio: NDArray[np.float32]) -> list[bool]:
    """For each window of a stream, whether it is voiced."""
    activity, found, seen = VoiceActivity(RATE, WINDOW), [], 0
    for end in [*range(FIRST, len(audio), STEP), len(audio)]:
        activity.append(audio[seen:end])
        found.append(activity.voice(max(0, end - WINDOW)) is not None)
        seen = end
    return found


def noise(exponent: float, seconds: int) -> NDArray[np.float32]:
    """Unit power, falling with that power of the frequency, from 20 Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(seconds * RATE))
    frequency = np.fft.rfftfreq(seconds * RATE, 1 / RATE)
    spectrum[frequency < 20] = 0
    spectrum[1:] /= frequency[1:] ** (exponent / 2)
    sound = np.fft.irfft(spectrum)
    return (sound / sound.std()).astype(np.float32)


def read(path: Path) -> NDArray[np.float32]:
    audio, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(audio, rate, RATE, quality="HQ")


def with_noise(
    audio: NDArray[np.float32], background: NDArray[np.float32], snr: float
) -> NDArray[np.float32]:
    return audio + audio.std() * np.float32(10 ** (-snr / 20)) * background[: len(audio)]


def found_in_corpora(corpora: Path, clips: int) -> None:
    background = {name: noise(NOISES[name], 30) for name in ("white", "pink")}
    columns = [f"{name} {snr} dB" for name in background for snr in SNRS]
    print("| clips found, % | clean | voiced windows | " + " | ".join(columns) + " |")
    print("| --- " * (3 + len(columns)) + "|")
    for corpus, pattern in CORPORA.items():
        paths = sorted(corpora.glob(pattern))
        chosen = [read(p) for p in random.Random(0).sample(paths, min(clips, len(paths)))]
        windows = [voiced_windows(audio) for audio in chosen]
        clean = statistics.mean(map(any, windows))
        share = statistics.mean(w for clip in windows for w in clip)
        cells = [
            statistics.mean(any(voiced_windows(with_noise(audio, sound, snr))) for audio in chosen)
            for sound in background.values()
            for snr in SNRS
        ]
        cells = " | ".join(f"{100 * cell:.1f}" for cell in (clean, share, *cells))
        print(f"| {corpus} ({len(chosen)}) | {cells} |")


def found_in_noise() -> None:
    print("\n| steady noise, 1 h | voiced windows at -60, -40, -20 dBFS |\n| --- | --- |")
    for name, exponent in NOISES.items():
        sound = noise(exponent, NOISE_SECONDS)
        counts = [sum(voiced_windows(sound * np.float32(10 ** (d / 20)))) for d in (-60, -40, -20)]
        print(f"| {name} | {', '.join(map(str, counts))} |")


def cost() -> None:
    """CPU time of a step of the stream; the median of interleaved repeats."""
    audio = 0.1 * noise(1.0, 60)
    steps = len(range(FIRST, len(audio), STEP)) + 1
    extract, gate_ms, features_ms = FeatureExtractor(MFCC), [], []
    for _ in range(REPEATS):
        started = time.process_time()
        voiced_windows(audio)
        gate_ms.append(1e3 * (time.process_time() - started) / 60)
        started = time.process_time()
        for start in range(0, 20 * STEP, STEP):
            extract(audio[start : start + WINDOW])
        features_ms.append(1e3 * (time.process_time() - started) / 20 * steps / 60)
    gate, features = statistics.median(gate_ms), statistics.median(features_ms)
    print("\n| CPU for a second of audio | ms | relative |\n| --- | --- | --- |")
    print(f"| features of every window, each computed anew | {features:.3f} | 1.00 |")
    print(f"| voice activity | {gate:.3f} | {gate / features:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, default=Path("../shared/corpora"))
    parser.add_argument("--clips", type=int, default=300, help="of each corpus")
    arguments = parser.parse_args()
    if not arguments.corpora.is_dir():
        parser.error(f"no corpora in {arguments.corpora}: give their folder with --corpora")
    found_in_corpora(arguments.corpora, arguments.clips)
    found_in_noise()
    cost()


if __name__ == "__main__":
    main()
