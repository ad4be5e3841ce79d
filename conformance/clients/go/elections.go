package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// electReport is what became of one election with two candidates.
type electReport struct {
	// Leaderless is the error of Leader before anybody leads.
	Leaderless string `json:"leaderless"`
	// Observed is every value that an observer was told, in order.
	Observed []string `json:"observed"`
	Leader   string   `json:"leader"`
	Waited   bool     `json:"waited"`
	// LateProclaim is the error of the first leader's Proclaim after it resigned.
	LateProclaim string `json:"late_proclaim"`
	KeysLeft     int64  `json:"keys_left"`
}

// elect has one candidate lead, proclaim and resign, and the next take over.
func elect(ctx context.Context, o options) (any, error) {
	all, closeAll, err := newContenders(ctx, o, 2)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	one := concurrency.NewElection(all[0].session, o.name)
	two := concurrency.NewElection(all[1].session, o.name)

	_, err = one.Leader(ctx)
	report := electReport{Leaderless: text(err)}
	if err := one.Campaign(ctx, "one"); err != nil {
		return nil, fmt.Errorf("the first campaign: %w", err)
	}
	observed := two.Observe(ctx)
	report.observe(observed)
	won := make(chan error, 1)
	go func() { won <- two.Campaign(ctx, "two") }()
	if err := awaitKeys(ctx, all[0].client, o.name, 2); err != nil {
		return nil, err
	}
	if err := report.lead(ctx, one, observed); err != nil {
		return nil, err
	}
	report.Waited = len(won) == 0
	if err := report.handOver(ctx, one, two, won, observed); err != nil {
		return nil, err
	}
	report.KeysLeft, err = keysUnder(ctx, all[0].client, o.name)
	return report, err
}

// lead gives the leader a new value.
func (r *electReport) lead(
	ctx context.Context, one *concurrency.Election, observed <-chan *clientv3.GetResponse,
) error {
	if err := one.Proclaim(ctx, "one again"); err != nil {
		return fmt.Errorf("proclaiming: %w", err)
	}
	r.observe(observed)
	leader, err := one.Leader(ctx)
	if err != nil {
		return fmt.Errorf("asking for the leader: %w", err)
	}
	r.Leader = string(leader.Kvs[0].Value)
	return nil
}

// handOver has the leader resign, the other candidate lead, and resign too.
func (r *electReport) handOver(
	ctx context.Context,
	one, two *concurrency.Election,
	won <-chan error,
	observed <-chan *clientv3.GetResponse,
) error {
	if err := one.Resign(ctx); err != nil {
		return fmt.Errorf("the first to resign: %w", err)
	}
	if err := <-won; err != nil {
		return fmt.Errorf("the second campaign: %w", err)
	}
	r.observe(observed)
	r.LateProclaim = text(one.Proclaim(ctx, "late"))
	if err := two.Resign(ctx); err != nil {
		return fmt.Errorf("the second to resign: %w", err)
	}
	return nil
}

func (r *electReport) observe(observed <-chan *clientv3.GetResponse) {
	r.Observed = append(r.Observed, next(observed))
}

func next(observed <-chan *clientv3.GetResponse) string {
	response, open := <-observed
	if !open || len(response.Kvs) == 0 {
		return ""
	}
	return string(response.Kvs[0].Value)
}
