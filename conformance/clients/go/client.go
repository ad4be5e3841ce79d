package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc"
)

// options are the flags that the scenarios share; each uses those it needs.
type options struct {
	endpoint string
	name     string
	counter  string
	clients  int
	turns    int
	ttl      int
	session  int
}

// parse reads flags, then the names of scenarios.
func parse(args []string) (options, []string, error) {
	o := options{session: sessionTTL}
	flags := flag.NewFlagSet("locker [flags] SCENARIO...", flag.ContinueOnError)
	flags.StringVar(&o.endpoint, "endpoint", "http://127.0.0.1:2379", "the server's client URL")
	flags.StringVar(&o.name, "name", "go", "what the names of locks begin with")
	flags.StringVar(&o.counter, "counter", "", "the key that is counted in (default NAME-counter.count)")
	flags.IntVar(&o.clients, "clients", 4, "how many clients, each with a connection and a session")
	flags.IntVar(&o.turns, "turns", 5, "how often each client takes the lock")
	flags.IntVar(&o.ttl, "ttl", 3, "TTL in seconds of the lease that expires")
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	if flags.NArg() == 0 {
		return o, nil, errors.New("which scenario? See --help")
	}
	for _, name := range flags.Args() {
		if scenarios[name] == nil {
			return o, nil, fmt.Errorf("unknown scenario %q", name)
		}
	}
	return o, flags.Args(), nil
}

// of names the lock of one scenario, and the counter unless it was given.
func (o options) of(scenario string) options {
	o.name += "-" + scenario
	if o.counter == "" {
		o.counter = o.name + ".count"
	}
	return o
}

// sessionTTL is that of sessions in seconds: long enough for whatever is kept alive.
const sessionTTL = 30

// contender is one client with a connection, a session and a mutex of its own.
type contender struct {
	name    string
	client  *clientv3.Client
	session *concurrency.Session
	mutex   *concurrency.Mutex
}

func newContender(ctx context.Context, o options, dial ...grpc.DialOption) (*contender, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{o.endpoint},
		DialTimeout: 10 * time.Second,
		Context:     ctx,
		DialOptions: dial,
	})
	if err != nil {
		return nil, err
	}
	c, err := newSession(client, o.name, o.session)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return c, nil
}

// newSession makes a contender with a session of its own on this connection.
func newSession(client *clientv3.Client, name string, ttl int) (*contender, error) {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(ttl))
	if err != nil {
		return nil, err
	}
	return &contender{name, client, session, concurrency.NewMutex(session, name)}, nil
}

// close ends the session, which revokes its lease, and the connection.
func (c *contender) close() error {
	return errors.Join(c.session.Close(), c.client.Close())
}

// newContenders makes n of them; all are closed by the returned function.
func newContenders(ctx context.Context, o options, n int) ([]*contender, func(), error) {
	var all []*contender
	closeAll := func() {
		for _, c := range all {
			_ = c.close()
		}
	}
	for range n {
		c, err := newContender(ctx, o)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		all = append(all, c)
	}
	return all, closeAll, nil
}

// keysUnder counts the lock's keys: its holder and its waiters.
func keysUnder(ctx context.Context, c *clientv3.Client, name string) (int64, error) {
	resp, err := c.Get(ctx, name+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return resp.Count, nil
}

// held returns the lease of a key, as the server has it.
func (c *contender) held(ctx context.Context) (lease string, err error) {
	resp, err := c.client.Get(ctx, c.mutex.Key())
	if err != nil {
		return "", err
	}
	if len(resp.Kvs) != 1 {
		return "", fmt.Errorf("%d keys named %s", len(resp.Kvs), c.mutex.Key())
	}
	return strconv.FormatInt(resp.Kvs[0].Lease, 16), nil
}

// awaitKeys returns once the lock has n keys.
func awaitKeys(ctx context.Context, c *clientv3.Client, name string, n int64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		count, err := keysUnder(ctx, c, name)
		if err != nil || count == n {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
