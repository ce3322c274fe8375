# make run: set up and measure.   make test: everything CI checks.   make clean: forget the environment.
# make fuzz: tests by random examples, with new and many.   make soak N=10: all tests, ten times, into soak.log.
# make notebooks: run the course's notebooks and write their outputs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
N ?= 10

.PHONY: run test fuzz soak notebooks clean

run: $(VENV)/.installed
	$(BIN)/bench run all || test $$? -eq 3  # 3: measured, but something is suspect, as the run says

# Three tests at a time share the cores: threads within one would only wait for each other.
test fuzz soak: export OPENBLAS_NUM_THREADS = 1

test: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 3 --dist worksteal -m "not alone"
	$(BIN)/pytest -m alone

fuzz: $(VENV)/.installed
	$(BIN)/pytest --hypothesis-profile fuzz -m hypothesis --timeout 1200

soak: $(VENV)/.installed
	@: > soak.log; failed=0; for run in $$(seq $(N)); do \
		start=$$(date +%s); \
		if { $(BIN)/pytest -n 3 --dist worksteal -m "not alone" && $(BIN)/pytest -m alone; } > soak.last 2>&1; \
		then went=passed; else went=FAILED; failed=$$((failed + 1)); fi; \
		echo "run $$run of $(N): $$went in $$(($$(date +%s) - start)) s" | tee -a soak.log; \
		grep -E '^(FAILED|ERROR)|(passed|failed|error).* in ' soak.last >> soak.log; \
		test $$went = passed || cat soak.last >> soak.log; \
	done; rm -f soak.last; echo "$$failed of $(N) runs failed; soak.log says how" | tee -a soak.log; test $$failed -eq 0

notebooks: $(VENV)/.installed
	$(BIN)/python -m bench.course.notebooks

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12 run" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV)
