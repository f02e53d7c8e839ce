# The verbs of a working day. `make test` is the whole; every layer's log is in .cache/logs/.
.DEFAULT_GOAL := help
.PHONY: help demo test quick lint sanity unit house integration cores faults molecule acceptance bench-audit bench-backup bench-certificates bench-cycle bench-postgres bench-politeness bench-restore bench-files bench-secrets docs changelog locks

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## see the collection at work on a private PostgreSQL (bin/demo clean removes it)
	bin/demo

test: ## every layer; ends with one line: N passed, N failed
	bin/test

quick: ## what to run before each commit: lint and unit tests, under three minutes
	bin/test lint unit

lint: ## ruff, mypy, import-linter, ansible-lint, yamllint, shellcheck, antsibull
	bin/test lint

sanity: ## ansible-test sanity, on every Python found
	bin/test sanity

unit: ## the logic in module_utils, without Ansible
	bin/test unit

house: ## guards: built collection, defaults against argument specifications, secrets, names
	bin/test house

integration: ## the modules on real servers: PostgreSQL 13 to 18
	bin/test integration

cores: ## unit and integration tests on the other ansible-cores
	bin/test cores

faults: ## what is injected, what must happen; more kills than in `make test`, and the table of flipped bits
	STEWARD_KILLS="$${STEWARD_KILLS:-20}" bin/test faults

molecule: ## roles and playbooks on systemd hosts; make molecule SCENARIO=x runs one
	SCENARIO='$(SCENARIO)' bin/test molecule

acceptance: ## bin/demo as a new user has it: unprivileged, and on bare Debian 12 and 13
	bin/test acceptance

bench-cycle: ## cost of a cycle with nothing due, beside `ansible -m ping` on the same hosts
	@bin/test --exec python benchmarks/bench_cycle.py

bench-postgres: ## our PostgreSQL maintenance beside vacuumdb, reindexdb and a loop in a playbook, about 30 minutes (IMAGE=deb11-pg13: on another PostgreSQL)
	@bin/test --exec $(if $(IMAGE),tests/bed/run-benchmark $(IMAGE) bench_postgres.py,python benchmarks/bench_postgres.py) $(BENCH)

bench-backup: ## our backup beside pg_dump in all its ways, and what its proof costs, about 20 minutes
	@bin/test --exec python benchmarks/bench_backup.py $(BENCH)

bench-certificates: ## 500 endpoints looked at in one call, one in twenty dead or mute, under a minute
	@bin/test --exec python benchmarks/bench_certificates.py $(BENCH)

bench-files: ## our backup of 100,000 small files beside aws s3 sync, and its memory at a million, about 40 minutes
	@bin/test --exec python benchmarks/bench_files.py $(BENCH)

bench-audit: ## our audit of the dependencies of 200 projects beside pip-audit and npm audit one by one, about 6 minutes
	@bin/test --exec python benchmarks/bench_audit.py $(BENCH)

bench-secrets: ## logins refused while a password is rotated under pgbench -C, in both strategies, about 3 minutes (BENCH=--pool: behind PgBouncer, too)
	@bin/test --exec python benchmarks/bench_secrets.py $(BENCH)

bench-restore: ## our restore beside pg_restore, and how long the application stands, about 15 minutes
	@bin/test --exec python benchmarks/bench_restore.py $(BENCH)

bench-politeness: ## the longest wait of a client while we vacuum and rebuild, and while vacuumdb and reindexdb do, about 15 minutes
	@bin/test --exec python benchmarks/bench_politeness.py $(BENCH)

docs: ## build the HTML documentation of modules and roles into .cache/docs
	@bin/test --exec python -m tools.docs

changelog: ## check the changelog fragments; make changelog RELEASE=x.y.z writes the release
	@bin/test --exec antsibull-changelog $(if $(RELEASE),release --version $(RELEASE),lint)

locks: ## make requirements/test.txt, core-*.txt and bench.txt anew from their .in files
	@python3 -m tools.locks
