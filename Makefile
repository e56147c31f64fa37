# The two commands of the README: `make listen` and `make test`.
PYTHON ?= python3
VENV ?= .venv
# Installed first, so that no other package asks for another build of it.
TORCH ?= torch==2.13.0
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
SOUND_PACKAGES = libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils alsa-utils

CORPORA ?= ../shared/corpora

# Side by side; each file of tests stays in one process.
TEST_PROCESSES ?= 2

.PHONY: listen test test-packages test-javascript models lint clean

listen: $(VENV)/runtime.installed
	$(VENV)/bin/ser-listen examples/speech.flac

test: lint
	$(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

# Debian and Ubuntu, as root: a microphone without hardware, and Node. Tests that need it are skipped without.
test-packages:
	dpkg --status $(SOUND_PACKAGES) >/dev/null 2>&1 || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  $(SOUND_PACKAGES) >/dev/null; }
	command -v npm >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  nodejs npm >/dev/null; }

# A host outside our code, with ONNX Runtime for JavaScript. Tests that need it are skipped without.
test-javascript:
	npm install --prefix examples/javascript --no-package-lock --no-audit --no-fund --silent --ignore-scripts

lint: $(VENV)/all.installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

# The models in the runtime's package, from committed weights.
models: $(VENV)/all.installed
	$(VENV)/bin/ser-export --model train/results/compact-report-seed0 --corpora $(CORPORA) \
	  --int8 --runtime onnx --plain-name --out runtime/ser_runtime/models
	$(VENV)/bin/ser-export --model train/results/cnn-report-seed0 --corpora $(CORPORA) \
	  --int8 --runtime onnx --plain-name --out runtime/ser_runtime/models
	$(VENV)/bin/ser-export --model train/results/parallel-mfcc-aug-report-seed0 --corpora $(CORPORA) \
	  --int8 --runtime onnx --plain-name --name parallel --out runtime/ser_runtime/models

$(VENV)/runtime.installed: pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/all.installed: pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) --editable ".[all]"
	touch $@ $(VENV)/runtime.installed

clean:
	rm -rf $(VENV) build dist *.egg-info
