package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

type lockReport struct {
	Key       string `json:"key"`
	Lease     string `json:"lease"`
	WhileHeld string `json:"while_held"`
	Waited    bool   `json:"waited"`
	After     bool   `json:"after"`
	KeysLeft  int64  `json:"keys_left"`
}

// lock takes a lock by TryLock; another tries in vain, then waits for it.
func lock(ctx context.Context, o options) (any, error) {
	all, closeAll, err := newContenders(ctx, o, 2)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	holder, other := all[0], all[1]

	if err := holder.mutex.TryLock(ctx); err != nil {
		return nil, err
	}
	report := lockReport{Key: holder.mutex.Key()}
	if report.Lease, err = holder.held(ctx); err != nil {
		return nil, err
	}
	report.WhileHeld = text(other.mutex.TryLock(ctx))
	if err := awaitKeys(ctx, other.client, o.name, 1); err != nil {
		return nil, err
	}
	return report.handOver(ctx, holder, other)
}

// handOver has the other wait for the lock and get it.
func (r lockReport) handOver(ctx context.Context, holder, other *contender) (any, error) {
	name := holder.name
	waited := make(chan error, 1)
	go func() { waited <- other.mutex.Lock(ctx) }()
	if err := awaitKeys(ctx, holder.client, name, 2); err != nil {
		return nil, err
	}
	r.Waited = len(waited) == 0
	if err := holder.mutex.Unlock(ctx); err != nil {
		return nil, err
	}
	if err := <-waited; err != nil {
		return nil, err
	}
	r.After = true
	if err := other.mutex.Unlock(ctx); err != nil {
		return nil, err
	}
	var err error
	r.KeysLeft, err = keysUnder(ctx, holder.client, name)
	return r, err
}

type contendReport struct {
	// Order is that in which the clients first got the lock.
	Order    []int `json:"order"`
	Turns    int   `json:"turns"`
	Overlaps int   `json:"overlaps"`
	KeysLeft int64 `json:"keys_left"`
}

// contend queues the clients one after another behind a holder and lets go; each
// takes its turns. It reports how often two held the lock at once.
func contend(ctx context.Context, o options) (any, error) {
	all, closeAll, err := newContenders(ctx, o, o.clients+1)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	holder, waiters := all[0], all[1:]

	if err := holder.mutex.Lock(ctx); err != nil {
		return nil, err
	}
	var seen grants
	group, gctx := errgroup.WithContext(ctx)
	for i, w := range waiters {
		group.Go(func() error { return w.hold(gctx, i, o.turns, &seen) })
		if err := awaitKeys(ctx, holder.client, o.name, int64(i+2)); err != nil {
			return nil, err
		}
	}
	if err := holder.mutex.Unlock(ctx); err != nil {
		return nil, err
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	left, err := keysUnder(ctx, holder.client, o.name)
	return contendReport{seen.order, seen.turns, seen.overlaps, left}, err
}

func (c *contender) hold(ctx context.Context, id, turns int, seen *grants) error {
	for range turns {
		if err := c.holdOnce(ctx, id, seen); err != nil {
			return err
		}
	}
	return nil
}

func (c *contender) holdOnce(ctx context.Context, id int, seen *grants) error {
	if err := c.mutex.Lock(ctx); err != nil {
		return err
	}
	seen.enter(id)
	// A round trip inside the lock, so that a second holder would be met here.
	_, err := c.client.Get(ctx, "anything")
	seen.leave()
	return errors.Join(err, c.mutex.Unlock(ctx))
}

// grants records who held the lock, and in which order they first did.
type grants struct {
	mu       sync.Mutex
	inside   int
	order    []int
	turns    int
	overlaps int
}

func (g *grants) enter(id int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.order, id) {
		g.order = append(g.order, id)
	}
	g.turns++
	if g.inside > 0 {
		g.overlaps++
	}
	g.inside++
}

func (g *grants) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}
