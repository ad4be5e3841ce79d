package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type watchReport struct {
	// Events are those of one key from its first revision on.
	Events []string `json:"events"`
	// Prefix are those of two keys, with revisions counted from the first.
	Prefix []string `json:"prefix"`
	// Compacted is what a watch from a compacted revision ends with.
	Compacted string `json:"compacted"`
}

// watch sees one key's past and present, a prefix, and a past that is forgotten.
func watch(ctx context.Context, o options) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := newContender(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()

	var report watchReport
	first, err := c.client.Put(ctx, o.name, "1")
	if err != nil {
		return nil, err
	}
	since := first.Header.Revision
	if report.Events, err = oneKey(ctx, c.client, o.name, since); err != nil {
		return nil, err
	}
	if report.Prefix, err = twoKeys(ctx, c.client, o.name+"/"); err != nil {
		return nil, err
	}
	if _, err := c.client.Compact(ctx, since+1); err != nil {
		return nil, err
	}
	response := <-c.client.Watch(ctx, o.name, clientv3.WithRev(since))
	report.Compacted = text(response.Err())
	return report, nil
}

func oneKey(ctx context.Context, c *clientv3.Client, key string, since int64) ([]string, error) {
	events := c.Watch(ctx, key, clientv3.WithRev(since), clientv3.WithPrevKV())
	_, err := c.Put(ctx, key, "2")
	_, gone := c.Delete(ctx, key)
	if err := errors.Join(err, gone); err != nil {
		return nil, err
	}
	return collect(events, 3, func(e *clientv3.Event) string { return shown(e, "") })
}

// twoKeys are written in one transaction, and deleted in another.
func twoKeys(ctx context.Context, c *clientv3.Client, prefix string) ([]string, error) {
	events := c.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-events
	put, err := c.Txn(ctx).Then(
		clientv3.OpPut(prefix+"a", "x"), clientv3.OpPut(prefix+"b", "y")).Commit()
	if err != nil {
		return nil, err
	}
	if _, err := c.Delete(ctx, prefix, clientv3.WithPrefix()); err != nil {
		return nil, err
	}
	return collect(events, 4, func(e *clientv3.Event) string {
		return fmt.Sprintf("+%d %s", e.Kv.ModRevision-put.Header.Revision, shown(e, prefix))
	})
}

// collect returns the first n events as text.
func collect(
	events clientv3.WatchChan, n int, show func(*clientv3.Event) string,
) ([]string, error) {
	var seen []string
	for response := range events {
		for _, event := range response.Events {
			seen = append(seen, show(event))
		}
		if err := response.Err(); err != nil || len(seen) >= n {
			return seen, err
		}
	}
	return seen, errors.New("the watch has ended")
}

// shown is an event as a text; its key is only named below a prefix.
func shown(e *clientv3.Event, prefix string) string {
	words := []string{e.Type.String()}
	if prefix != "" {
		words = append(words, strings.TrimPrefix(string(e.Kv.Key), prefix))
	}
	if len(e.Kv.Value) > 0 {
		words = append(words, string(e.Kv.Value))
	}
	if e.PrevKv != nil {
		words = append(words, "after", string(e.PrevKv.Value))
	}
	return strings.Join(words, " ")
}
