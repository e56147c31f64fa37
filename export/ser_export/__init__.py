"""From a run folder to verified model files that describe themselves."""

import os

# As `ser_runtime.onnx_backend` does, which not every module here imports before ONNX Runtime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
