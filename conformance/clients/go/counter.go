package main

import (
	"context"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

type counterReport struct {
	Counter int     `json:"counter"`
	Seconds float64 `json:"seconds"`
}

// ready tells that all clients are connected, so that others may be waited for.
type ready struct {
	Ready string `json:"ready"`
}

// counter has every client increment one key by a Get and a Put, with nothing
// but the mutex between them: any two holders at once lose an increment.
func counter(ctx context.Context, o options) (any, error) {
	all, closeAll, err := newContenders(ctx, o, o.clients)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	say(ready{"counter"})

	start := time.Now()
	group, gctx := errgroup.WithContext(ctx)
	for _, c := range all {
		group.Go(func() error { return c.takeTurns(gctx, o) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	seconds := time.Since(start).Seconds()
	final, err := readCounter(ctx, all[0].client, o.counter)
	return counterReport{final, seconds}, err
}

func (c *contender) takeTurns(ctx context.Context, o options) error {
	for range o.turns {
		if err := c.mutex.Lock(ctx); err != nil {
			return err
		}
		if err := increment(ctx, c.client, o.counter); err != nil {
			return err
		}
		if err := c.mutex.Unlock(ctx); err != nil {
			return err
		}
	}
	return nil
}

func increment(ctx context.Context, c *clientv3.Client, key string) error {
	value, err := readCounter(ctx, c, key)
	if err != nil {
		return err
	}
	_, err = c.Put(ctx, key, strconv.Itoa(value+1))
	return err
}

func readCounter(ctx context.Context, c *clientv3.Client, key string) (int, error) {
	resp, err := c.Get(ctx, key)
	if err != nil || len(resp.Kvs) == 0 {
		return 0, err
	}
	return strconv.Atoi(string(resp.Kvs[0].Value))
}
