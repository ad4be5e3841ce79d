package main

import (
	"context"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sync/errgroup"
)

// accounts is between how many accounts the money moves: few, so that
// transactions clash.
const accounts = 3

// stmReport is the sum of all accounts after many transfers among them.
type stmReport struct {
	Sum int `json:"sum"`
}

// stm moves one unit at a time between accounts, with nothing but clientv3's
// software transactional memory to keep the sum.
func stm(ctx context.Context, o options) (any, error) {
	all, closeAll, err := newContenders(ctx, o, o.clients)
	if err != nil {
		return nil, err
	}
	defer closeAll()

	for at := range accounts {
		if _, err := all[0].client.Put(ctx, account(o, at), "100"); err != nil {
			return nil, err
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	for n, c := range all {
		group.Go(func() error { return c.transfer(gctx, o, n) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	sum, err := sumOf(ctx, all[0].client, o)
	return stmReport{sum}, err
}

func account(o options, at int) string {
	return fmt.Sprintf("%s/account/%d", o.name, at%accounts)
}

func (c *contender) transfer(ctx context.Context, o options, from int) error {
	for turn := range o.turns {
		source, target := account(o, from+turn), account(o, from+turn+1)
		_, err := concurrency.NewSTM(c.client, func(s concurrency.STM) error {
			have, err := strconv.Atoi(s.Get(source))
			if err != nil {
				return err
			}
			other, err := strconv.Atoi(s.Get(target))
			if err != nil {
				return err
			}
			s.Put(source, strconv.Itoa(have-1))
			s.Put(target, strconv.Itoa(other+1))
			return nil
		}, concurrency.WithAbortContext(ctx))
		if err != nil {
			return err
		}
	}
	return nil
}

func sumOf(ctx context.Context, c *clientv3.Client, o options) (int, error) {
	sum := 0
	for at := range accounts {
		resp, err := c.Get(ctx, account(o, at))
		if err != nil {
			return 0, err
		}
		have, err := strconv.Atoi(string(resp.Kvs[0].Value))
		if err != nil {
			return 0, err
		}
		sum += have
	}
	return sum, nil
}
