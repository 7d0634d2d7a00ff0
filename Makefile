# make up     run a whole deck on this machine: python3 >= 3.11 with venv and pip is all it needs
# make test   every test, in parallel; ARGS="-k name" goes to pytest
# make lint   style, types, and the arrows between packages
# make bench  what is fast, and how fast; ARGS="accept --quick" runs one of them, small
#
# GNU make 3.81 and POSIX tools are enough.

PYTHON ?= python3
UV := .uv/bin/uv
UV_VERSION := 0.13.9
ARGS ?=

# Environments know the path that they were made under: each path has stamps of its own.
HERE := $(shell pwd | cksum | cut -d ' ' -f 1)
RUNS := .venv/.runs-$(HERE)
TESTS := .venv/.tests-$(HERE)
SYNC = UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --python "$(PYTHON)"

.PHONY: up test lint bench clean

# On a leash: what kills make by SIGKILL kills the deck. Other signals reach it, and it stops in order.
up: $(RUNS)
	@exec .venv/bin/python app/leash.py $$PPID 9 "" "" .venv/bin/tapedeck up

test: $(TESTS)
	@.venv/bin/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(TESTS)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(TESTS)
	@.venv/bin/python -m benchmarks $(ARGS)

# Data stays: it is in .tapedeck.
clean:
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(RUNS): uv.lock pyproject.toml | $(UV)
	@echo "tapedeck: making the environment in .venv"
	@for other in .venv/.runs-* .venv/.tests-*; do \
	  case "$$other" in *'*'|*-$(HERE)) ;; *) rm -rf .venv ;; esac; done
	@$(SYNC) --inexact --no-dev
	@touch $@

$(TESTS): uv.lock pyproject.toml $(RUNS)
	@$(SYNC) --all-groups
	@touch $(RUNS) $@

.uv/bin/uv:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tapedeck: $(PYTHON) is missing or older than 3.11; name another with PYTHON=..." >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null \
	  || { echo "tapedeck: $(PYTHON) has no venv; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "tapedeck: fetching uv $(UV_VERSION)"
	@rm -rf .uv && "$(PYTHON)" -m venv .uv
	@certificates=/etc/ssl/certs/ca-certificates.crt; \
	  if [ -z "$$PIP_CERT" ] && [ -f $$certificates ]; then PIP_CERT=$$certificates; export PIP_CERT; fi; \
	  .uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
	  || { rm -rf .uv; exit 1; }
