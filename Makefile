# `make` alone lists the targets. Every path is relative and quoted: the folder's name may hold spaces.

SHELL := bash
.DEFAULT_GOAL := help
# Compiled Python is kept even where the shell forbids it: the tests start many processes that load the same modules.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup venv check types contracts lint test core soak unit bench bench-ingest demo up down site portal clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make .venv and fetch the engine's jars; needs Python 3.11 or 3.12 and Java 17
	@bash infra/setup.sh

venv: ## make .venv only; needs no Java
	@bash infra/setup.sh --no-java

check: venv ## lint, types, contracts: seconds, no Java; names everything that is wrong
	@$(MAKE) --no-print-directory --keep-going --jobs 2 types contracts lint

types:
	.venv/bin/mypy --num-workers 2

contracts:
	.venv/bin/lake check

lint:
	.venv/bin/ruff check --quiet .
	.venv/bin/yamllint --strict schemas expectations infra .yamllint

test: setup site ## run all tests, three files of them at a time: some wait for a scheduler or a browser
	.venv/bin/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

core: venv ## run the tests of the pure core: seconds, no Java
	.venv/bin/python -m pytest --quiet --numprocesses 2 tests/rows tests/sets tests/registers

soak: setup ## every point of death, many orders of arrival, many more examples, for hours
	.venv/bin/python -m pytest --soak tests/stages/test_order.py tests/stages/test_keyed.py tests/rows tests/sets tests/registers tests/privacy \
	    tests/storage/test_hostile_files.py

unit: venv ## run the tests that need no Java
	.venv/bin/python -m pytest -m "not spark and not e2e"

bench: ## the merge beside other engines; DATA=DIR or REGISTER=1e6 CHANGES=1e5, ENGINES=a,b REPEAT=3
	@bash infra/setup.sh --peers
	.venv/bin/lake bench $(if $(DATA),"$(DATA)") $(if $(REGISTER),--register $(REGISTER)) \
	    $(if $(CHANGES),--changes $(CHANGES)) $(if $(ENGINES),--engines $(ENGINES)) \
	    $(if $(REPEAT),--repeat $(REPEAT)) $(if $(OUT),--out "$(OUT)")

bench-ingest: setup ## ingest of a large CSV beside DuckDB, Polars and Spark; ROWS="1e6 5e6"
	.venv/bin/python -m tests.benchmarks.ingest $(ROWS)

demo: setup ## a synthetic city through Airflow and Spark to open datasets; STORAGE=minio keeps them in buckets
ifeq ($(STORAGE),minio)
	@infra/minio.sh >/dev/null
	.venv/bin/lake demo --buckets
else
	.venv/bin/lake demo
endif

up: setup ## start Airflow and the engine and keep them; prints address and login
	.venv/bin/lake up

down: venv ## stop what `make up` started
	.venv/bin/lake down

site: venv ## build the portal's front end from TypeScript; fetches Node when there is none
	@bash infra/site.sh

portal: site ## build the open-data site of the lake, front end and pages
	.venv/bin/lake portal build

clean: ## remove the environment and caches; the lake's data stays
	rm -rf -- .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info jobs/portal/site/dist jobs/portal/site/node_modules
