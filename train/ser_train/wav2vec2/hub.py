"""A model of the Hugging Face hub: from the cache on this machine, else downloaded.

The hub's own client tries an unreachable hub again and again, for up to a minute: here it is asked
once, briefly, before the client begins.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub import get_token
from huggingface_hub import hf_hub_download
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError

from ser_runtime.errors import WeightsError

CONFIG_FILE = "config.json"
WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
"""By preference."""

_TIMEOUT_SECONDS = 5.0
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def is_hub_id(source: str) -> bool:
    """Whether a name could be that of a model on the hub: `name` or `owner/name`."""
    return _HUB_ID.fullmatch(source) is not None


def hub_folder(hub_id: str) -> Path:
    """The folder with configuration and weights of a model of the hub.

    Args:
        hub_id: Such as `facebook/wav2vec2-base`.

    Raises:
        WeightsError: If the model is neither in the cache nor on a hub that answers.
    """
    folder = _cached(hub_id)
    if folder is None:
        _ask_hub(hub_id)
        folder = _download(hub_id)
    return folder


def _cached(hub_id: str) -> Path | None:
    config = try_to_load_from_cache(hub_id, CONFIG_FILE)
    if not isinstance(config, str):
        return None
    weights = (try_to_load_from_cache(hub_id, name) for name in WEIGHTS_FILES)
    return Path(config).parent if any(isinstance(path, str) for path in weights) else None


def _ask_hub(hub_id: str) -> None:
    """One short question; an error if the answer is not the model.

    Raises:
        WeightsError: Saying where the model was looked for, and what to do.
    """
    if constants.HF_HUB_OFFLINE:
        raise _out_of_reach(hub_id, "HF_HUB_OFFLINE keeps it from being asked")
    url = f"{constants.ENDPOINT}/{hub_id}/resolve/main/{CONFIG_FILE}"
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, method="HEAD", headers=headers)
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            raise WeightsError(
                f"{constants.ENDPOINT} has no model {hub_id!r} with a {CONFIG_FILE}, or none for "
                f"you (HTTP {error.code}), and there is no folder {hub_id!r}: is it mistyped? "
                "The report's is facebook/wav2vec2-base"
            ) from error
        raise _out_of_reach(hub_id, f"HTTP {error.code}") from error
    except (OSError, ValueError) as error:
        raise _out_of_reach(hub_id, str(getattr(error, "reason", error))) from error


def _download(hub_id: str) -> Path:
    try:
        config = hf_hub_download(hub_id, CONFIG_FILE)
        for name in WEIGHTS_FILES:
            try:
                hf_hub_download(hub_id, name)
            except EntryNotFoundError:
                continue
            return Path(config).parent
    except (OSError, ValueError) as error:
        raise _out_of_reach(hub_id, str(error).splitlines()[0]) from error
    raise WeightsError(f"{hub_id} on {constants.ENDPOINT} has no {' or '.join(WEIGHTS_FILES)}")


def _out_of_reach(hub_id: str, reason: str) -> WeightsError:
    return WeightsError(
        f"there is no folder {hub_id!r}, no model {hub_id!r} in {constants.HF_HUB_CACHE}, and "
        f"{constants.ENDPOINT} is out of reach ({reason}): on a machine that reaches it, "
        f"`hf download {hub_id} --local-dir DIR`, then give --weights DIR"
    )
