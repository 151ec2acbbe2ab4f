# Two commands matter: `make run` starts a working centre, `make test` proves it. Everything else is part of those.

GO     ?= go
DATA   ?= ./data
BIN    := bin/lianxin
STATIC := $(GO) tool -modfile=tools.mod staticcheck

.PHONY: run build test check tools unit race demo crash import-100k bench-texts prompts clean invariants bench-tickets bench-calls soak

## run: build and start a working centre on the embedded default; ARGS passes flags on (make run ARGS="--http :8080")
run: build
	$(BIN) serve --data $(DATA) $(ARGS)

build:
	$(GO) build -o $(BIN) ./cmd/lianxin

## test: install what the tests need, then everything; one room alone: go test ./ticket/...
test: tools check unit race demo

## check: format, vet, staticcheck, and the import rule of the house
check:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(STATIC) ./...
	$(GO) test ./internal/arch

# Most rooms wait for peers more than they compute: four at a time use the machine better than one per core.
unit:
	$(GO) test -p 4 -parallel 6 -timeout 20m ./...

# The rooms whose own goroutines meet most; go test -race ./... takes the rest, and some minutes. What does not allocate is
# judged by unit: under the race detector pools drop things at random.
race:
	$(GO) test -race -skip Allocate -timeout 10m ./schedule ./desk ./sip/media
	$(GO) test -race -run 'ByEitherSide|OneToTag|KeepTheirOrder|TheWayTheyCame|SippCalls|ReinviteMoves' -timeout 10m ./sip

## demo: one whole day on real sockets, in the terminal
demo: build
	$(BIN) demo

## crash: 5,000 texts and forty times kill -9, on both databases; some minutes, so not part of make test
crash:
	$(GO) test ./sms -run TestCrash -count=1 -timeout 30m -v -args -crash.texts 5000 -crash.kills 40

## invariants: random commands of concurrent writers over ten thousand tickets, on both databases; some twenty minutes
invariants:
	$(GO) test ./ticket -run TestInvariantsHoldUnderConcurrentWriters -count=1 -timeout 120m -v -args -invariants.tickets 10000

## bench-calls: what a call costs, with the exchange alone on one core; about five minutes on a machine that does nothing else
bench-calls:
	$(GO) build -o bin/bench ./sip/bench
	bin/bench $(ARGS)
	$(GO) test -run xxx -bench Match ./desk

## soak: mixed calls for an hour (SOAK=10m for less); fails when a call, leg, port, file, goroutine or memory is left behind
SOAK ?= 1h
soak:
	$(GO) build -o bin/bench ./sip/bench
	bin/bench soak -for $(SOAK)

## bench-tickets: what people wait for with a million tickets in the store, on both databases; some ten minutes
bench-tickets:
	$(GO) test ./ticket -run TestScale -count=1 -timeout 60m -v -args -scale.tickets 1000000 -scale.clocks 100000 -scale.events 100000
	$(GO) test ./ticket -run '^$$' -bench Life -benchtime 200x

## import-100k: a damaged file of 100,000 requests, on both databases; some minutes, so not part of make test
import-100k:
	$(GO) test ./ticket/channel -run TestALargeDamagedFile -count=1 -timeout 60m -v -args -import.lines 83000

## bench-texts: a million records end to end on both databases, and our sending beside Kannel's; some hours and a few GB
TEXTS ?= 1000000
bench-texts:
	nice -n 15 $(GO) test ./sms/kannel -run '^$$' -bench BesideKannel -benchtime 20000x -timeout 30m
	nice -n 15 $(GO) test ./survey -run '^$$' -bench Morning -benchtime 50000x -timeout 2h
	nice -n 15 $(GO) test ./survey -run '^$$' -bench Morning -benchtime $(TEXTS)x -timeout 12h

## tools: the Debian packages and npm tools that the tests talk to, installed when missing
tools:
	scripts/tools.sh

## prompts: speak the prompts whose text has changed (needs espeak-ng and sox)
prompts:
	scripts/prompts.sh

clean:
	rm -rf bin
