# The habits of this project. `make` alone lists them.
.DEFAULT_GOAL := help
PY := .venv/bin

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

venv: .venv/.dev  ## the Python environment, with the developer tools

.venv/.dev: pyproject.toml
	CCCI_EXTRAS=dev ./ccci --version
	$(PY)/pip install --disable-pip-version-check -q -e '.[dev]'
	touch $@

platform: venv  ## this machine as an embedded node (Docker, swarm, registry, Traefik, abra, backups)
	./ccci bootstrap --yes

test: venv  ## everything that is tested; sets up what it needs, in containers of its own
	./ccci bootstrap -i nested --yes
	$(PY)/pytest tests -n 4 --dist loadfile -m 'not docker and not nested and not recipes'
	$(PY)/pytest tests -m nested

test-recipes: venv  ## plays every recipe with its pull requests (an hour or more; CCCI_RECIPES_INVENTORY: on another node)
	$(PY)/pytest tests/recipes -m recipes

soak: venv  ## kills runs in every tier and every way, and compares the node before and after (hours)
	$(PY)/python tests/integration/soak.py

faults: venv  ## causes every failure of docs/failures.md for real, and times what is said (about half an hour; resumable)
	$(PY)/python tests/faults/suite.py $(FAULTS)

unit: venv  ## what needs no Docker (about three minutes)
	$(PY)/pytest tests -n 4 --dist loadfile -m 'not docker and not nested and not recipes'

lint: venv  ## ruff, mypy, yamllint, ansible-lint
	$(PY)/ruff check .
	$(PY)/ruff format --check .
	$(PY)/mypy
	$(PY)/yamllint --strict .
	$(PY)/ansible-lint --offline -q

fmt: venv  ## formats the Python code
	$(PY)/ruff format .
	$(PY)/ruff check --fix .

bench: platform  ## the table of docs/performance.md
	$(PY)/python bench/lifecycle.py

docs: venv  ## pages and READMEs that are made from code
	$(PY)/python docs/make_role_readmes.py
	$(PY)/python docs/make_failures.py

.PHONY: help venv platform test soak faults unit lint fmt bench docs
