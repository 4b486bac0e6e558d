# make run    install what the lab needs and start it on http://localhost:7860
# make test   install what the tests need, a browser too, and run them
# make slow   run the long statistics, of which `make test` runs small versions
# make audit  ask other libraries, and formulas in numpy, about every sampler, metric and number, on data drawn anew
# make check  lint, format and types, of Python and of the scripts
#
# The first call creates the virtual environment; later ones install again only if what is needed has changed.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: run test slow audit check

run: $(VENV)/.run
	$(BIN)/python app.py

test: $(VENV)/.dev $(VENV)/.browser
	npm test --silent
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=30 -m "not slow"

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=30 -m slow

audit: $(VENV)/.audit
	$(BIN)/python -m audit

# Gradio writes stubs beside its components when they are imported; mypy would read them in place of the sources.
check: $(VENV)/.dev node_modules/.package-lock.json
	find ddpm_ui -name '*.pyi' -delete
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	npm run check --silent

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt constraints.txt | $(BIN)/pip
	$(BIN)/pip install -c constraints.txt -r requirements.txt
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -c constraints.txt -e ".[dev]"
	$(BIN)/pip install -c constraints.txt --no-deps azula # it names torchvision, whose build must fit torch's; unused here
	@touch $@

# One of its judges; without it the audit says so. Only its `sampling` is loaded, which needs none of its dependencies.
$(VENV)/.audit: $(VENV)/.dev
	-$(BIN)/pip install --no-deps k-diffusion==0.1.1.post1
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

# A browser on the PATH; else Playwright's own; else, for root on Debian, the system's.
$(VENV)/.browser: | $(VENV)/.dev
	@command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || command -v google-chrome \
	|| { $(BIN)/playwright install --only-shell chromium && { $(BIN)/playwright install-deps chromium || true; }; } \
	|| { apt-get update && apt-get install --yes --no-install-recommends chromium-headless-shell; } \
	|| { echo "The tests need a browser: install Chromium or Google Chrome." >&2; exit 1; }
	@touch $@
