#!/usr/bin/env bash
# Writes requirements.lock: the core and the extras that need no torch, each version with the hashes of its files.
#   pip install pip-tools && scripts/make_lock.sh [--upgrade]
# To install exactly that:   pip install --require-hashes --only-binary :all: -r requirements.lock
# It is for the Python that runs this. torch is pinned by constraints.txt instead: builds differ from machine to machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CUSTOM_COMPILE_COMMAND=scripts/make_lock.sh pip-compile --quiet --generate-hashes --strip-extras --no-annotate \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	--extra plot --extra llm --extra onnx --output-file requirements.lock "$@" pyproject.toml
