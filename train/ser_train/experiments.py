"""The registry: one row per experiment. Adding an experiment is adding a row."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import LOG_MEL
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_train.compact.augmentation import Augmentation


@dataclass(frozen=True)
class Experiment:
    """A model and its recipe.

    Attributes:
        id: Name on the command line, in run folders and in results.
        title: One line for tables.
        section: Where the report describes it; empty for what is not in it.
        architecture: Name of a function in `ser_train.architectures`.
        spec: Its features.
        noisy_copies: Copies with white noise that join every training clip.
        learning_rate: Of Adam.
        batch_size: Clips a step. The report prints it for wav2vec2 alone; 32 is Keras' default.
        max_epochs: No training is longer.
        patience: Epochs without a lower validation loss after which training stops.
        retrain: Whether the model is trained anew for the best number of epochs, as the report
            does for its CNN; else the weights of the best epoch are kept.
        parameters: All parameters, as the report prints them.
        trainable_parameters: Those that are trained.
        note: What is ours and not the report's.
        standardization: Key of `ser_train.features.standardize.SCALES`: what has a mean and a
            deviation of its own.
        crop: One of `ser_runtime.model_metadata.CROPS`: which 3 s of a clip are scored, and
            trained on where the family does not cut its own.
        options: Keyword arguments of the architecture; none are the report's.
        augmentation: Of the family `compact`: the fields of its `Augmentation`.
        finish: Of the family `compact`: a last phase, from the averaged weights on: its `epochs`,
            its `learning_rate`, and the fields of its `augmentation` that differ. Empty: none.
        needs: Packages, by import name, that not every training needs.
        scored_at_once: Clips in a batch when the network is scored; it matters to one that looks
            across them, whose accuracy one clip at a time is then measured too.
        family: Name in `ser_train.families`: what the inputs are, and how it is trained.
        monitor: What tells the best epoch: `val_loss` (lowest) or `val_accuracy` (highest); or
            `last`, where a schedule of the learning rate ends with it.
        pretrained: What its weights may start from, in words, for `--weights`, which it needs;
            empty for none.
        extra: Of `ser-edge`, that `needs` comes with.
        backend: Where it is trained, if that is not Keras' backend of the user's choice.
        protocol: Key of `ser_train.splits.PROTOCOLS`: how the report divided the clips for it,
            with the right labels.
    """

    id: str
    title: str
    section: str
    architecture: str
    spec: FeatureSpec
    noisy_copies: int
    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    retrain: bool
    parameters: int
    trainable_parameters: int
    note: str
    standardization: str = "coefficient"
    crop: str = "start"
    options: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    finish: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    scored_at_once: int = 256
    family: str = "features"
    monitor: str = "val_loss"
    pretrained: str = ""
    extra: str = "train"
    backend: str = ""
    protocol: str = "report"

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        return f"report, section {self.section}" if self.section else "not in the report"

    def to_dict(self) -> dict[str, Any]:
        """The row as plain JSON values.

        Without an empty `finish`: a recipe stays equal to what was written of it before there were
        any.
        """
        fields = dataclasses.asdict(self)
        return fields if self.finish else {k: v for k, v in fields.items() if k != "finish"}


_WORDING = (
    "title",
    "section",
    "note",
    "parameters",
    "trainable_parameters",
    "needs",
    "pretrained",
)

_KEPT_BEST = (
    "Ours: the batch size, the standardized input, and that the weights of the epoch of lowest "
    "validation loss are kept."
)

VGG16_WEIGHTS = "imagenet, or a file of VGG16's weights without its classifier (.h5, .keras)"
_VGG16_NOTE = (
    "Ours, since the report does not print them: the batch size, the dropout rate, colours and "
    "limits of the pictures, and how they are scaled (as for VGG16's own training){}. The "
    "validation accuracy tells the best epoch, as in the report."
)
_VGG16_LAYERS = (
    " The report says blocks; its counts of trainable parameters prove that it unfroze convolution "
    "layers, 2,359,808 parameters each."
)

_WAVEFORM = FeatureSpec()
"""Of a network without features: only the window and its sample rate count."""

EXPERIMENTS: dict[str, Experiment] = {
    row.id: row
    for row in (
        Experiment(
            id="cnn",
            title="single CNN on MFCC, 2-fold AWGN",
            section="4.3",
            architecture="cnn",
            spec=MFCC,
            noisy_copies=2,
            learning_rate=1e-2,
            batch_size=32,
            max_epochs=100,
            patience=12,
            retrain=True,
            parameters=27_495,
            trainable_parameters=27_191,
            note=(
                "Ours: the batch size, the patience (the report allowed 100 epochs and found its "
                "best at 67) and the standardized input; the best epoch is the one of lowest "
                "validation loss."
            ),
        ),
        Experiment(
            id="two-cnn",
            title="two CNNs in parallel on MFCC, 2-fold AWGN",
            section="4.4",
            architecture="two_cnn",
            spec=MFCC,
            noisy_copies=2,
            learning_rate=1e-4,
            batch_size=32,
            max_epochs=100,
            patience=10,
            retrain=False,
            parameters=54_983,
            trainable_parameters=54_375,
            note=_KEPT_BEST,
        ),
        *(
            Experiment(
                id=f"parallel-{name}{'-aug' * augmented}",
                title=f"two CNNs and a Transformer on {what}{', 2-fold AWGN' * augmented}",
                section="4.5.2",
                architecture="parallel",
                spec=spec,
                noisy_copies=2 * augmented,
                learning_rate=1e-4,
                batch_size=32,
                max_epochs=100,
                patience=10 if augmented else 20,
                retrain=False,
                parameters=parameters,
                trainable_parameters=trainable,
                note=_KEPT_BEST + " Each clip attends to its own frames: the report's layout let "
                "frames attend across the clips of a batch.",
                needs=("keras_hub",),
            )
            for name, what, spec, parameters, trainable in (
                ("mfcc", "MFCC", MFCC, 848_967, 848_359),
                ("mel", "mel spectrograms", MEL, 860_943, 859_723),
            )
            for augmented in (False, True)
        ),
        *(
            Experiment(
                id=f"vgg16-{number}",
                title=f"VGG16 on pictures of mel spectrograms, {what}",
                section=section,
                architecture="vgg16",
                spec=MEL,
                noisy_copies=0,
                learning_rate=1e-5,
                batch_size=32,
                max_epochs=100,
                patience=5,
                retrain=True,
                parameters=27_660_103,
                trainable_parameters=12_945_415 + 2_359_808 * options.get("unfrozen", 0),
                note=_VGG16_NOTE.format(
                    ", and how far pictures are turned and zoomed" if "augment" in options else ""
                )
                + _VGG16_LAYERS * ("unfrozen" in options),
                options=options,
                family="vgg16",
                monitor="val_accuracy",
                pretrained=VGG16_WEIGHTS,
            )
            for number, section, what, options in (
                (1, "5.2.2", "frozen", {}),
                (2, "5.2.3", "frozen, flips, rotations and zooms", {"augment": True}),
                (3, "5.3.1", "its last convolution layer trained too", {"unfrozen": 1}),
                (4, "5.3.2", "its last two convolution layers trained too", {"unfrozen": 2}),
                (5, "5.3.3", "its last three convolution layers trained too", {"unfrozen": 3}),
            )
        ),
        Experiment(
            id="wav2vec2",
            title="wav2vec 2.0 base on the waveform, fine-tuned",
            section="6.3",
            architecture="wav2vec2",
            spec=_WAVEFORM,
            noisy_copies=0,
            learning_rate=1e-5,
            batch_size=32,
            max_epochs=30,
            patience=10,
            retrain=False,
            parameters=94_377_095,
            trainable_parameters=94_377_095,
            note=(
                "Ours: PyTorch, since transformers has no TensorFlow classes any more. "
                "The batch size is the report's; the weights of the epoch of lowest validation "
                "loss are kept. The report's 608 test clips cannot be drawn again."
            ),
            needs=("torch", "transformers", "safetensors"),
            family="wav2vec2",
            pretrained="folder with config.json and model.safetensors, or the id of a model on "
            "the Hugging Face hub; the report's is facebook/wav2vec2-base",
            extra="wav2vec2",
            backend="torch",
            protocol="report-90-5-5",
        ),
        Experiment(
            id="compact",
            title="compact: residual CNN with attentive pooling, augmented",
            section="",
            architecture="compact",
            spec=LOG_MEL,
            noisy_copies=0,
            learning_rate=2e-3,
            batch_size=64,
            max_epochs=70,
            patience=70,
            retrain=False,
            parameters=548_639,
            trainable_parameters=546_863,
            note=(
                "Not in the report: AdamW with a one-cycle learning rate, averaged weights, "
                "windows cut anywhere from the clips under speed, level, room, noise and channel "
                "changes, SpecAugment, label smoothing; then, from the averaged weights, 12 epochs "
                "under half of the noise and no masks. The last epoch's averages are kept. "
                "The loudest 3 s of longer clips are scored. "
                "--teachers: learn from other networks beside the labels."
            ),
            crop="loudest",
            options={"widths": [24, 48, 96, 144], "relative": True},
            augmentation=Augmentation().to_dict(),
            finish={
                "epochs": 12,
                "learning_rate": 3e-4,
                "augmentation": {
                    "masks": 0,
                    "noisy": 0.3,
                    "reverberant": 0.1,
                    "band_limited": 0.15,
                },
            },
            family="compact",
            monitor="last",
        ),
    )
}


def _ablation(of: str, name: str, title: str, **changes: Any) -> Experiment:
    row = EXPERIMENTS[of]
    return dataclasses.replace(row, id=name, title=f"{title} ({of} otherwise)", **changes)


ABLATIONS: dict[str, Experiment] = {
    row.id: row
    for row in (
        _ablation(
            "parallel-mfcc",
            "parallel-mfcc-across",
            "attention across the clips of a batch, as the report's layout had it",
            options={"attention": "batch"},
            scored_at_once=32,
        ),
        _ablation(
            "parallel-mfcc",
            "parallel-mfcc-channels",
            "BatchNormalization over channels",
            options={"norm": "channels"},
            parameters=848_647,
            trainable_parameters=848_199,
        ),
        _ablation(
            "cnn",
            "cnn-channels",
            "BatchNormalization over channels",
            options={"norm": "channels"},
            parameters=27_335,
            trainable_parameters=27_111,
        ),
        _ablation(
            "parallel-mel",
            "parallel-mel-94",
            "mel spectrogram of 94 frames",
            spec=dataclasses.replace(MEL, hop=MFCC.hop),
            parameters=848_967,
            trainable_parameters=848_359,
        ),
        _ablation(
            "wav2vec2",
            "wav2vec2-frozen-encoder",
            "convolutions of the feature encoder frozen",
            options={"freeze_feature_encoder": True},
            trainable_parameters=90_176_647,
        ),
    )
}
"""What one deviation from the report, or of it, is worth; not part of `ser-train all`."""


def recipe_of(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row, as `Experiment.to_dict` gives it, changes a training: all but its wording."""
    return {name: value for name, value in row.items() if name not in _WORDING}


SHORT_NAMES = {"parallel": "parallel-mfcc-aug"}
"""The report's best, by the name that people know it by."""


def find_experiment(name: str, also: Iterable[str] = ()) -> Experiment:
    """The row of a name.

    Args:
        name: An experiment id, or one of `SHORT_NAMES`.
        also: Other words that may have been meant.

    Raises:
        UsageError: If there is none; it names the nearest ones.
    """
    known = EXPERIMENTS | ABLATIONS
    name = SHORT_NAMES.get(name, name)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, [*known, *also], n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(EXPERIMENTS)}"
    raise UsageError(f"no experiment or command {name!r}; {hint}")
