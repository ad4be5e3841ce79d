package main

import (
	"context"
	"errors"
	"flag"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc"
)

// options are the flags that the subcommands share; each uses those it needs.
type options struct {
	endpoint string
	name     string
	clients  int
	turns    int
	ttl      int
}

func parse(command string, args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.StringVar(&o.endpoint, "endpoint", "http://127.0.0.1:2379", "the server's client URL")
	flags.StringVar(&o.name, "name", "locker/"+command, "name of the lock")
	flags.IntVar(&o.clients, "clients", 10, "how many clients, each with a connection and a session")
	flags.IntVar(&o.turns, "turns", 10, "how often each client takes the lock")
	flags.IntVar(&o.ttl, "ttl", 30, "TTL of each session in seconds")
	err := flags.Parse(args)
	return o, err
}

// contender is one client with a connection, a session and a mutex of its own.
type contender struct {
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
	session, err := concurrency.NewSession(client, concurrency.WithTTL(o.ttl))
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &contender{client, session, concurrency.NewMutex(session, o.name)}, nil
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
