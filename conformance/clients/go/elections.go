package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// electionReport is what became of one election with two candidates.
type electionReport struct {
	// Observed is every value that an observer was told, in order.
	Observed []string `json:"observed"`
	// Overtaken is the error of the first leader's Proclaim after it resigned.
	Overtaken string `json:"overtaken"`
	// Left is the error of Leader when both have resigned.
	Left string `json:"left"`
}

// election has one candidate lead, proclaim and resign, and the next take over.
func election(ctx context.Context, args []string) (any, error) {
	o, err := parse("election", args)
	if err != nil {
		return nil, err
	}
	all, closeAll, err := newContenders(ctx, o, 2)
	if err != nil {
		return nil, err
	}
	defer closeAll()

	one := concurrency.NewElection(all[0].session, o.name)
	if err := one.Campaign(ctx, "one"); err != nil {
		return nil, fmt.Errorf("the first campaign: %w", err)
	}
	observed := one.Observe(ctx)
	report := electionReport{Observed: []string{next(observed)}}
	if err := one.Proclaim(ctx, "eins"); err != nil {
		return nil, fmt.Errorf("proclaiming: %w", err)
	}
	report.Observed = append(report.Observed, next(observed))
	return report.handOver(ctx, one, concurrency.NewElection(all[1].session, o.name), observed)
}

// handOver has the leader resign, the other candidate lead, and resign too.
func (r electionReport) handOver(
	ctx context.Context,
	one, two *concurrency.Election,
	observed <-chan *clientv3.GetResponse,
) (any, error) {
	won := make(chan error, 1)
	go func() { won <- two.Campaign(ctx, "two") }()
	if err := one.Resign(ctx); err != nil {
		return nil, fmt.Errorf("the first to resign: %w", err)
	}
	if err := <-won; err != nil {
		return nil, fmt.Errorf("the second campaign: %w", err)
	}
	r.Observed = append(r.Observed, next(observed))
	r.Overtaken = text(one.Proclaim(ctx, "again"))
	if err := two.Resign(ctx); err != nil {
		return nil, fmt.Errorf("the second to resign: %w", err)
	}
	_, err := one.Leader(ctx)
	r.Left = text(err)
	return r, nil
}

func next(observed <-chan *clientv3.GetResponse) string {
	response, open := <-observed
	if !open || len(response.Kvs) == 0 {
		return ""
	}
	return string(response.Kvs[0].Value)
}
