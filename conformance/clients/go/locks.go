package main

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sync/errgroup"
)

type tryLockReport struct {
	RefusedWhileHeld bool  `json:"refused_while_held"`
	KeysWhileHeld    int64 `json:"keys_while_held"`
	TakenAfterUnlock bool  `json:"taken_after_unlock"`
}

// tryLock tries a held lock, then a free one.
func tryLock(ctx context.Context, args []string) (any, error) {
	o, err := parse("trylock", args)
	if err != nil {
		return nil, err
	}
	all, closeAll, err := newContenders(ctx, o, 2)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	holder, other := all[0], all[1]

	if err := holder.mutex.TryLock(ctx); err != nil {
		return nil, err
	}
	var report tryLockReport
	report.RefusedWhileHeld = errors.Is(other.mutex.TryLock(ctx), concurrency.ErrLocked)
	if report.KeysWhileHeld, err = keysUnder(ctx, other.client, o.name); err != nil {
		return nil, err
	}
	if err := holder.mutex.Unlock(ctx); err != nil {
		return nil, err
	}
	report.TakenAfterUnlock = other.mutex.TryLock(ctx) == nil
	return report, nil
}

type contendReport struct {
	Order    []int `json:"order"`
	Overlaps int   `json:"overlaps"`
	KeysLeft int64 `json:"keys_left"`
}

// contend queues the clients one after another behind a holder, lets go, and
// reports in which order they got the lock and how often two held it at once.
func contend(ctx context.Context, args []string) (any, error) {
	o, err := parse("contend", args)
	if err != nil {
		return nil, err
	}
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
		group.Go(func() error { return w.holdOnce(gctx, i, &seen) })
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
	return contendReport{seen.order, seen.overlaps, left}, err
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

// grants records who held the lock, in order.
type grants struct {
	mu       sync.Mutex
	inside   int
	order    []int
	overlaps int
}

func (g *grants) enter(id int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.order = append(g.order, id)
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
