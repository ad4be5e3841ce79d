// Command locker locks through Go's clientv3/concurrency the way applications
// do, and prints what it saw, one line of JSON for each scenario. It judges
// nothing itself: conformance/src/clients does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// scenarios maps each to the function that plays it and returns what it saw.
// The first six are those of ../README.md; the others are Go's own.
var scenarios = map[string]func(ctx context.Context, o options) (any, error){
	"lock":    lock,
	"contend": contend,
	"expire":  expire,
	"elect":   elect,
	"watch":   watch,
	"counter": counter,

	"revoke":      revoke,
	"lost-waiter": lostWaiter,
	"stm":         stm,
	"talk":        talk,
}

// outcome is one line of output.
type outcome struct {
	Scenario string `json:"scenario"`
	Saw      any    `json:"saw,omitempty"`
	Error    string `json:"error,omitempty"`
}

func main() {
	o, names, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "locker: %v\n", err)
		os.Exit(2)
	}
	if !playAll(o, names) {
		os.Exit(1)
	}
}

// playAll plays one scenario after the other, whatever becomes of each.
func playAll(o options, names []string) bool {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	succeeded := true
	for _, name := range names {
		saw, err := play(ctx, o.of(name), name)
		succeeded = succeeded && err == nil
		say(outcome{name, saw, text(err)})
	}
	return succeeded
}

func play(ctx context.Context, o options, name string) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return scenarios[name](ctx, o)
}

func say(line any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err) // Nobody reads: there is nothing left to do.
	}
}
