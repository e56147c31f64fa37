"""Recognize emotions in many live streams at once, with asyncio and one inference for all.

    python examples/asyncio_streams.py --speed 20 examples/speech.flac examples/speech.flac

Each file stands for a live source: it is paced like one, or `--speed` times as fast. What the
sources deliver is taken in together every 0.1 s, in a thread, so that the event loop stays free.
"""

import argparse
import asyncio
import time

import numpy as np

from ser_runtime import AudioFile
from ser_runtime import Model
from ser_runtime import Prediction
from ser_runtime import Push
from ser_runtime import Stream
from ser_runtime import push_many

ROUND = 0.1


class Source:
    """A live source, and the stream that listens to it."""

    def __init__(self, name: str, path: str, model: Model) -> None:
        self.name, self.stream = name, Stream(model)
        self._audio = AudioFile(path)
        self._arrived: list[np.ndarray] = []

    async def listen(self, speed: float) -> None:
        started, heard = time.monotonic(), 0.0
        with self._audio as audio:
            for block in audio.blocks():
                heard += len(block) / audio.sample_rate
                await asyncio.sleep(max(0.0, heard / speed - (time.monotonic() - started)))
                self._arrived.append(block)

    def take(self) -> list[Push]:
        """What has arrived since the last time: one push, or none."""
        blocks, self._arrived = self._arrived, []
        if not blocks:
            return []
        return [Push(self.stream, np.concatenate(blocks), self._audio.sample_rate)]

    def show(self, predictions: list[Prediction]) -> None:
        for prediction in predictions:
            if prediction.voice:
                told = f"{prediction.label}  {prediction.confidence:.0%}"
                print(f"{self.name}  {prediction.end:6.2f} s  {told}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--speed", type=float, default=1.0)
    arguments = parser.parse_args()
    model = Model.open()
    sources = [Source(f"{n} {path}", path, model) for n, path in enumerate(arguments.files, 1)]
    owners = {source.stream: source for source in sources}
    ending = asyncio.gather(*(source.listen(arguments.speed) for source in sources))
    ended = False
    while not ended:
        ended = bool((await asyncio.wait([ending], timeout=ROUND))[0])
        pushes = [push for source in sources for push in source.take()]
        said = await asyncio.to_thread(push_many, pushes)
        for push, predictions in zip(pushes, said, strict=True):
            owners[push.stream].show(predictions)
    await ending
    for source in sources:
        source.show(source.stream.flush())


if __name__ == "__main__":
    asyncio.run(main())
