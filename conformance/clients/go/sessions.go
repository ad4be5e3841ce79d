package main

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type revokeReport struct {
	DoneSeconds float64 `json:"done_seconds"`
	WaiterError string  `json:"waiter_error"`
	KeysLeft    int64   `json:"keys_left"`
}

// revoke ends two leases under their sessions: the holder's, whose Done must
// close, and before it that of a waiter, whose Lock must fail once its turn comes.
func revoke(ctx context.Context, o options) (any, error) {
	o.session = 9 // The next keepalive tells the holder: after a third of it.
	all, closeAll, err := newContenders(ctx, o, 3)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	holder, waiter, admin := all[0], all[1], all[2].client

	if err := holder.mutex.Lock(ctx); err != nil {
		return nil, err
	}
	waited := make(chan error, 1)
	go func() { waited <- waiter.mutex.Lock(ctx) }()
	if err := awaitKeys(ctx, admin, o.name, 2); err != nil {
		return nil, err
	}
	if _, err := admin.Revoke(ctx, waiter.session.Lease()); err != nil {
		return nil, err
	}
	seconds, err := revokeUnder(ctx, admin, holder)
	if err != nil {
		return nil, err
	}
	report := revokeReport{DoneSeconds: seconds, WaiterError: text(<-waited)}
	report.KeysLeft, err = keysUnder(ctx, admin, o.name)
	return report, err
}

// revokeUnder returns how long after the revoke the session's Done closed.
func revokeUnder(ctx context.Context, admin *clientv3.Client, c *contender) (float64, error) {
	if _, err := admin.Revoke(ctx, c.session.Lease()); err != nil {
		return 0, err
	}
	start := time.Now()
	select {
	case <-c.session.Done():
		return time.Since(start).Seconds(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

type lostWaiterReport struct {
	Error        string `json:"error"`
	KeysLeft     int64  `json:"keys_left"`
	HolderIsLeft bool   `json:"holder_is_left"`
}

// lostWaiter gives up waiting for a held lock: only the holder's key may stay.
func lostWaiter(ctx context.Context, o options) (any, error) {
	holder, err := newContender(ctx, o)
	if err != nil {
		return nil, err
	}
	defer holder.close()
	queued := newWatching()
	waiter, err := newContender(ctx, o, queued.option())
	if err != nil {
		return nil, err
	}
	defer waiter.close()

	if err := holder.mutex.Lock(ctx); err != nil {
		return nil, err
	}
	report := lostWaiterReport{Error: text(waiter.giveUp(ctx, queued))}
	return report.look(ctx, holder, o.name)
}

// giveUp returns the error of a Lock that is cancelled once it is queued.
func (c *contender) giveUp(ctx context.Context, queued *watching) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	waited := make(chan error, 1)
	go func() { waited <- c.mutex.Lock(waiting) }()
	select {
	case <-queued.sent:
		cancel()
		return <-waited
	case err := <-waited:
		return err
	}
}

func (r lostWaiterReport) look(ctx context.Context, holder *contender, name string) (any, error) {
	left, err := keysUnder(ctx, holder.client, name)
	if err != nil {
		return nil, err
	}
	own, err := holder.client.Txn(ctx).If(holder.mutex.IsOwner()).Commit()
	if err != nil {
		return nil, errors.Join(errors.New("looking for the holder's key"), err)
	}
	r.KeysLeft, r.HolderIsLeft = left, own.Succeeded
	return r, nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
