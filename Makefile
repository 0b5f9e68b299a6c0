# `make help` lists the targets.
GO      ?= go
BIN     := bin/carom
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.buildVersion=$(VERSION)
FUZZTIME ?= 60s
KAFKA_ROUNDS ?= 5
PGO_TIME ?= 20s
EVENTS  ?= 50000000
LOOKUP_MILLIONS ?= 1,8
LOOKUPS ?= 50000
SIZES   ?= 0,1,5,10
MESSAGES ?= 0
MINUTES ?= 60
STAGES  ?= 60s
TOOLS   := $(CURDIR)/bin/tools

# The linters, built into bin/tools; each is a module of its own and stays out of go.mod.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
ERRORLINT   := github.com/polyfloyd/go-errorlint@v1.8.0
INEFFASSIGN := github.com/gordonklaus/ineffassign@v0.2.0

# The linters' settings: every check of staticcheck, the package comments included, but ST1003, which wants names that
# kafka-go's interfaces forbid.
STATICCHECK_CHECKS := all,-ST1003

.PHONY: help build pgo run demo test test-mta test-pages test-clickhouse race lint fuzz bench bench-report bench-peers bench-peers-install bench-kafka \
  bench-growth bench-start bench-stages bench-soak bench-self docs docs-check corpus clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/carom
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/carom

# Opens and clicks on the tracking edge alone, mails, registrations, and then a node with all roles: what a node's CPU goes
# to. Commit the profile if the build that has it is faster: 3 % of a request's CPU at least, measured in turns with the old.
pgo: build ## profile nodes under load into cmd/carom/default.pgo, by which Go then builds: some two minutes on a quiet machine
	@rm -rf bin/pgo && mkdir -p bin/pgo
	CAROM_TEST_PROFILES=$(CURDIR)/bin/pgo $(BIN) bench http --connections 256 --duration $(PGO_TIME)
	CAROM_TEST_PROFILES=$(CURDIR)/bin/pgo $(BIN) bench smtp --duration $(PGO_TIME)
	CAROM_TEST_PROFILES=$(CURDIR)/bin/pgo $(BIN) bench api --duration $(PGO_TIME)
	CAROM_TEST_PROFILES=$(CURDIR)/bin/pgo $(BIN) bench e2e day
	$(GO) tool pprof -proto $(BIN) bin/pgo/*.pprof >bin/pgo/all && mv bin/pgo/all cmd/carom/default.pgo

run: build ## start everything on loopback, with data under ./data
	$(BIN) serve --dev

demo: build ## play a day of a small platform and check every count
	$(BIN) demo

test: ## run all tests that need nothing but Go
	$(GO) test ./...

race: ## the same under the race detector, of whole processes those that do most at once; not those that try each place or order in turn
	$(GO) test -race -skip 'Crash|WriteErrors|Sweep|Anywhere|PagesAreBounded|ListsAreBounded|DoesNotDependOn|Shipped|Crowded|TestReplay|LeadingCause' $$($(GO) list ./... | grep -v /cmd/)
	$(GO) test -race -run 'Contract|Kill|Self|Rules' ./cmd/...

test-mta: ## mail from a real Postfix and a real Exim (installs Debian packages, needs root)
	edge/inbound/testdata/mta/run.sh

test-pages: ## the pages in a real Chromium (installs Debian's package if it is missing, needs root)
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }
	CAROM_TEST_CHROMIUM="$$(command -v chromium)" $(GO) test -count=1 -v -run 'InChromium$$' ./edge/track ./edge/api ./bench/result

test-mint: bin/venv/.stamp ## the published Python minter against the test vectors (needs python3)
	PATH="$(CURDIR)/bin/venv/bin:$$PATH" $(GO) test -count=1 -v -run Python ./edge/ref

bin/venv/.stamp:
	python3 -m venv bin/venv
	bin/venv/bin/pip install --quiet pynacl==1.6.2
	touch $@

kafka-up: ## start a Kafka node on 127.0.0.1:19092, fetched by Maven into .kafka/ (KAFKA_PORT=... for another port)
	@deploy/kafka/node.sh up

kafka-down: ## stop it; its data stays in .kafka/
	@deploy/kafka/node.sh down

test-kafka: ## run the tests that need a Kafka broker, which is started for them unless it runs (installs kcat, needs root)
	@command -v kcat >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends kcat; }
	deploy/kafka/node.sh with $(GO) test -count=1 -run '^TestBroker' ./pipeline/kafka/... ./pipeline/control ./cmd/carom/... ./deploy

test-clickhouse: bin/chdb/.stamp ## the ClickHouse example in an embedded ClickHouse (needs python3, fetches 1 GB)
	CAROM_TEST_CHDB="$(CURDIR)/bin/chdb/bin/python" $(GO) test -count=1 -v -run ClickHouse ./deploy

bin/chdb/.stamp:
	python3 -m venv bin/chdb
	bin/chdb/bin/pip install --quiet chdb==4.4.0
	touch $@

lint: tools ## run vet, staticcheck, errorlint, ineffassign and gofumpt
	$(GO) vet ./...
	$(TOOLS)/staticcheck -checks '$(STATICCHECK_CHECKS)' ./...
	$(TOOLS)/go-errorlint ./...
	$(TOOLS)/ineffassign ./...
	@out="$$($(TOOLS)/gofumpt -l .)"; if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi

.PHONY: tools
tools: $(TOOLS)/.stamp
$(TOOLS)/.stamp: Makefile
	mkdir -p $(TOOLS)
	for tool in $(STATICCHECK) $(GOFUMPT) $(ERRORLINT) $(INEFFASSIGN); do GOBIN=$(TOOLS) $(GO) install $$tool || exit 1; done
	touch $@

bench-kafka: ## throughput, CPU, allocations and sizes of the relay and of each stage, with a kfake in a process of its own
	@mkdir -p bin; echo "some minutes; what go test says goes to bin/bench-kafka.txt, for benchstat"
	@$(GO) test -timeout 40m -run '^$$' -bench '^Benchmark(Relay|Kafka.*)$$' -benchtime $(KAFKA_ROUNDS)x ./pipeline/kafka >bin/bench-kafka.txt \
	  && $(GO) test -run '^$$' -bench '^BenchmarkCompression$$' ./pipeline/kafka >>bin/bench-kafka.txt; status=$$?; \
	  awk '!/^Benchmark/ { if (!said[$$0]++) print; next } \
	    { print $$1 ": " $$2 " rounds"; for (i = 3; i < NF; i += 2) printf "  %14s %s\n", $$i, $$(i + 1) }' bin/bench-kafka.txt; exit $$status

bench-growth: build ## rates on a journal of EVENTS (50000000) beside an empty one, and how it is trimmed; then refine at LOOKUP_MILLIONS (1,8) of messages
	$(GO) run ./bench/growth edge -carom $(BIN) -events $(EVENTS) $(GROWTH)
	CAROM_LOOKUP_MILLIONS=$(LOOKUP_MILLIONS) $(GO) test -timeout 2h -run '^$$' -bench 'RefineLookup|RefineMillions' -benchtime $(LOOKUPS)x -cpu 1 ./pipeline/refine

bench-start: build ## seconds to be ready after kill -9 under load, by SIZES (0,1,5,10) of the journal in GB; MESSAGES=2000000 for all roles, with so many messages
	$(GO) run ./bench/growth start -carom $(BIN) -sizes $(SIZES) -rounds 3 -messages $(MESSAGES) $(GROWTH)

bench-stages: build ## what the CPU of a node with all roles goes to, at full rate for STAGES (60s); profile in bin/stages.pprof
	$(GO) run ./bench/growth stages -carom $(BIN) -seconds $(STAGES) -out bin/stages $(GROWTH)

bench-soak: build ## memory, disk and latency of all roles at half their rate for MINUTES (60), and that nothing was lost; plots in bin/soak.html
	$(GO) run ./bench/growth soak -carom $(BIN) -minutes $(MINUTES) $(GROWTH)

fuzz: ## run every fuzz test for FUZZTIME (60s; 1000x for as many inputs)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for name in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-self: build ## what a request and a mail cost the harness, beside wrk and Postfix's smtp-source, on servers that do nothing (needs root)
	CAROM=$(BIN) bench/wire/selfhttp.sh
	CAROM=$(BIN) bench/wire/selfsmtp.sh

docs: build ## write the generated reference pages anew
	$(BIN) config reference > deploy/CONFIG.md

docs-check: build ## fail if a generated reference page is out of date
	@$(BIN) config reference | diff -u deploy/CONFIG.md - || { echo "deploy/CONFIG.md is out of date: run 'make docs'"; exit 1; }

bench-report: ## mails per CPU second and allocations of a mail over CAROM_CORPUS, beside net/mail; throughput by size
	@CAROM_CORPUS=$${CAROM_CORPUS:-$(CURDIR)/../shared/corpus} $(GO) test -run '^$$' -bench 'Read(Corpus|Sizes|Reply)$$' -cpu 1 ./edge/report

bench-peers: build bench-peers-install ## Carom beside nginx, fasthttp, smtp-sink, Haraka and others, some 18 minutes (deploy/BENCH.md; ROUNDS= SECONDS= WARMUP= CONNECTIONS= SESSIONS= PEERS= LOAD= CALM=)
	@$(GO) build -o bin/bench-peers ./bench/peers
	@PATH="$$PATH:/usr/sbin:/sbin" bin/bench-peers $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(SECONDS),-seconds $(SECONDS)) $(if $(WARMUP),-warmup $(WARMUP)) \
	  $(if $(CONNECTIONS),-connections $(CONNECTIONS)) $(if $(SESSIONS),-sessions $(SESSIONS)) $(if $(PEERS),-peers $(PEERS)) $(if $(LOAD),-load $(LOAD)) $(if $(CALM),-calm $(CALM))

bench-peers-install: ## what bench-peers compares with, from Debian and npm (needs root; starts no service)
	@bench/peers/install.sh

corpus: ## agreement of carom report with the labelled mails of CAROM_CORPUS, by structure and decoder, and every disagreement
	@CAROM_CORPUS=$${CAROM_CORPUS:-$(CURDIR)/../shared/corpus} $(GO) test -count=1 -run 'TestCorpus$$' -v ./edge/report

clean: ## remove what was built (data stays)
	rm -rf bin
