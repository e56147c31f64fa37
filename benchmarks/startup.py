"""From the start of a process to its first prediction: time, CPU time and memory.

    python benchmarks/startup.py [--model NAME|FILE] [--run FOLDER] [--repeats 9]

Prints a Markdown table; medians of fresh processes that take turns, with the files in the page
cache. Each imports what it needs, opens the model and recognizes one window of speech. Memory is
the largest resident set (`VmHWM`: Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from live_step_ways import ONE_THREAD
from live_step_ways import SHIPPED_RUNS
from live_step_ways import SPEECH
from live_step_ways import STEP
from live_step_ways import looped_steps
from live_step_ways import model_path

from ser_runtime.model import DEFAULT_MODEL
from ser_runtime.model import Model

OPEN_SESSION = """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
"""
LIBROSA = """
from types import SimpleNamespace
from librosa_features import librosa_features
features = librosa_features(np.fromfile(window, np.float32), SimpleNamespace(**json.loads(spec)))
"""
PROGRAMS = {
    "the interpreter alone": "",
    "numpy, and ONNX Runtime with the model open": OPEN_SESSION,
    "`Model.open`, `Stream.push`": """
import numpy as np
from ser_runtime import Model, Stream
stream = Stream(Model.open(model))
(*_, prediction) = stream.push(np.fromfile(window, np.float32), stream.model.spec.sample_rate)
assert prediction.complete and prediction.probabilities
""",
    "librosa + ONNX Runtime": f"""
{OPEN_SESSION}
{LIBROSA}
session.run(None, {{session.get_inputs()[0].name: features[None]}})
""",
    "librosa + `keras.predict` (TensorFlow)": f"""
import numpy as np
from pathlib import Path
from ser_export.source import load_model
from ser_train.run_folder import RunFolder
network = load_model(RunFolder(Path(run)))
{LIBROSA}
network.predict(features[None], verbose=0)
""",
}
REPORT = """
took, cpu = time.monotonic() - float(started), time.process_time()
with open("/proc/self/status") as status:
    memory = dict(line.split(":", 1) for line in status)
peak = int(memory["VmHWM"].split()[0]) / 1024
print(json.dumps({"took": took, "cpu": cpu, "peak": peak}))
"""


def start(program: str, *given: object) -> dict[str, float]:
    """Figures of one fresh process, given model, run, window and spec."""
    code = "import json, sys, time\nmodel, run, window, spec, started = sys.argv[1:]\n"
    code += program + REPORT
    # As a user's: with compiled modules, and no settings of threads.
    dropped = {*ONE_THREAD, "PYTHONDONTWRITEBYTECODE"}
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    command = [sys.executable, "-c", code, *map(str, given), str(time.monotonic())]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="of the package, or an ONNX file")
    parser.add_argument("--run", type=Path, help="its run folder, for Keras")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    run = arguments.run or SHIPPED_RUNS.get(arguments.model)
    if run is None:
        parser.error("a model that is not of the package needs --run")
    spec = Model.open(arguments.model).spec
    spec_json = json.dumps(spec.to_dict())
    figures: dict[str, dict[str, list[float]]] = {}
    with tempfile.NamedTemporaryFile() as window:
        steps = looped_steps(SPEECH, spec.sample_rate, -(-spec.window_samples // STEP))
        steps.ravel()[: spec.window_samples].tofile(window.name)
        for repeat in range(1 + arguments.repeats):
            for name, program in PROGRAMS.items():
                taken = start(program, model_path(arguments.model), run, window.name, spec_json)
                if repeat:  # the first one fills the page cache
                    figures.setdefault(name, defaultdict(list))
                    for key, value in taken.items():
                        figures[name][key].append(value)
    print("| from start to first prediction | s | CPU s | relative | peak MiB |\n|" + " --- |" * 5)
    ours = median(figures["`Model.open`, `Stream.push`"]["cpu"])
    for name, values in figures.items():
        took, cpu, peak = (median(values[key]) for key in ("took", "cpu", "peak"))
        print(f"| {name} | {took:.2f} | {cpu:.2f} | {cpu / ours:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
