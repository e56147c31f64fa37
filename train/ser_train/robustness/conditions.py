"""Every condition that a clip is recognized in, in the order of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser_train.corpora import Clip
from ser_train.robustness.babble import Babble
from ser_train.robustness.channels import CHANNELS
from ser_train.robustness.noises import NOISES
from ser_train.robustness.noises import generator
from ser_train.robustness.noises import mix

SNR_DB = (20, 15, 10, 5, 0)
BABBLE = "babble"


@dataclass(frozen=True)
class Condition:
    """What is done to a clip.

    Attributes:
        name: As tables have it.
        noise: `babble` or a key of `NOISES`; None where none is added.
        snr_db: Of the noise; None where none is added.
    """

    name: str
    noise: str | None = None
    snr_db: int | None = None


CLEAN = Condition("clean")
OTHER_WINDOWS = {Condition("the first 3 s"): "start", Condition("the loudest 3 s"): "loudest"}
"""Windows that a clip might have been scored on, whichever it is: key of `CROPS` by condition."""
WHOLE = Condition("whole clip, windows averaged")
"""What the runtime says of a file: the mean over the complete windows of a longer clip."""
CONDITIONS: tuple[Condition, ...] = (
    CLEAN,
    *(
        Condition(f"{noise}, {snr_db} dB", noise, snr_db)
        for noise in (BABBLE, *NOISES)
        for snr_db in SNR_DB
    ),
    *(Condition(name) for name in CHANNELS),
    *OTHER_WINDOWS,
    WHOLE,
)


def in_every_condition(
    clip: Clip,
    audio: NDArray[np.float32],
    babble: Babble,
    sample_rate: int,
    samples: int,
    seed: int,
) -> Iterator[NDArray[np.float32]]:
    """A clip's window as it sounds in each of `CONDITIONS`, in their order, up to `OTHER_WINDOWS`.

    A clip's noise is the same at every ratio, and does not depend on the other clips.

    Args:
        clip: The clip.
        audio: float32 [at most `samples`] in [-1, 1].
        babble: To take voices from.
        sample_rate: In Hz, of `audio`.
        samples: Of a window: as long as the noise lasts.
        seed: Of the noise.
    """
    yield audio
    for name in (BABBLE, *NOISES):
        rng = generator(seed, clip.id, name)
        if name == BABBLE:
            noise = babble.noise(rng, samples, without=(clip.corpus, clip.speaker))
        else:
            noise = NOISES[name](rng, samples, sample_rate)
        for snr_db in SNR_DB:
            yield mix(audio, noise, snr_db)
    for name, channel in CHANNELS.items():
        yield channel(audio, generator(seed, clip.id, name), sample_rate)
