package main

import (
	"context"
	"errors"
	"time"
)

type expireReport struct {
	// TTL is the lease's in seconds, as it was granted.
	TTL int64 `json:"ttl"`
	// AfterMs is how long after the lease was asked for the waiter had the lock.
	AfterMs int64 `json:"after_ms"`
	// LateKeepalive is the error of a keepalive after that.
	LateKeepalive string `json:"late_keepalive"`
	// KeptAlive says that a session of the same TTL has held its lock meanwhile.
	KeptAlive bool  `json:"kept_alive"`
	KeysLeft  int64 `json:"keys_left"`
}

// expire has two holders whose leases are short. One goes silent, and a waiter
// gets its lock; the other is kept alive by its session.
func expire(ctx context.Context, o options) (any, error) {
	all, closeAll, err := newContenders(ctx, o, 1)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	waiter := all[0]
	kept, err := newSession(waiter.client, o.name+"-kept", o.ttl)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	silent, err := newSession(waiter.client, o.name, o.ttl)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(kept.mutex.Lock(ctx), silent.mutex.Lock(ctx)); err != nil {
		return nil, err
	}
	granted, err := waiter.client.TimeToLive(ctx, silent.session.Lease())
	if err != nil {
		return nil, err
	}
	silent.session.Orphan()
	if err := waiter.mutex.Lock(ctx); err != nil {
		return nil, err
	}
	report := expireReport{TTL: granted.GrantedTTL, AfterMs: time.Since(start).Milliseconds()}
	return report.look(ctx, silent, kept, waiter)
}

func (r expireReport) look(ctx context.Context, silent, kept, waiter *contender) (any, error) {
	_, err := waiter.client.KeepAliveOnce(ctx, silent.session.Lease())
	r.LateKeepalive = text(err)
	own, err := waiter.client.Txn(ctx).If(kept.mutex.IsOwner()).Commit()
	if err != nil {
		return nil, err
	}
	r.KeptAlive = own.Succeeded
	// Closing a session revokes its lease, and its lock goes with it.
	if err := errors.Join(waiter.mutex.Unlock(ctx), kept.session.Close()); err != nil {
		return nil, err
	}
	of, err := keysUnder(ctx, waiter.client, waiter.name)
	if err != nil {
		return nil, err
	}
	ofKept, err := keysUnder(ctx, waiter.client, kept.name)
	r.KeysLeft = of + ofKept
	return r, err
}
