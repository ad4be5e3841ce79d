// Command locker locks through Go's clientv3/concurrency the way applications
// do, and prints what it saw as one line of JSON. It judges nothing itself:
// conformance/tests/go_client.rs does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// commands maps each subcommand to the function that runs it. A function
// parses its own flags and returns what is to be printed.
var commands = map[string]func(ctx context.Context, args []string) (any, error){
	"counter":        counter,
	"trylock":        tryLock,
	"contend":        contend,
	"session-expiry": sessionExpiry,
	"lost-waiter":    lostWaiter,
	"election":       election,
	"stm":            stm,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: locker counter|trylock|contend|session-expiry|lost-waiter|election|stm [--endpoint URL] ...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "locker %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	report, err := commands[name](ctx, args)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
