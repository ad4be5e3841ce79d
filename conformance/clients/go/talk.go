package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.etcd.io/etcd/client/v3/concurrency"
)

// introduction is the first line of a talk: whose locks they will be.
type introduction struct {
	Lease string `json:"lease"`
}

// answer is what became of one line of stdin.
type answer struct {
	Told  string `json:"told"`
	Key   string `json:"key,omitempty"`
	Error string `json:"error,omitempty"`
}

// talk does what the lines of its stdin say, `lock NAME`, `unlock NAME` and
// `close`, all on one session, and answers each once it is done: a Lock that
// waits keeps no other line from being followed.
func talk(ctx context.Context, o options) (any, error) {
	c, err := newContender(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	t := talker{contender: c, mutexes: map[string]*concurrency.Mutex{}}
	t.answer(introduction{strconv.FormatInt(int64(c.session.Lease()), 16)})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		go t.follow(ctx, lines.Text())
	}
	return nil, lines.Err()
}

type talker struct {
	*contender
	mu      sync.Mutex
	mutexes map[string]*concurrency.Mutex
	out     sync.Mutex
}

func (t *talker) follow(ctx context.Context, line string) {
	key, err := t.do(ctx, line)
	t.answer(answer{line, key, text(err)})
}

func (t *talker) do(ctx context.Context, line string) (string, error) {
	verb, name, _ := strings.Cut(line, " ")
	m := t.of(name)
	switch verb {
	case "lock":
		err := m.Lock(ctx)
		return m.Key(), err
	case "unlock":
		return m.Key(), m.Unlock(ctx)
	case "close":
		return "", t.session.Close()
	}
	return "", fmt.Errorf("what is %q?", verb)
}

// of is the session's of that name: always the same one, which knows its key.
func (t *talker) of(name string) *concurrency.Mutex {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mutexes[name] == nil {
		t.mutexes[name] = concurrency.NewMutex(t.session, name)
	}
	return t.mutexes[name]
}

func (t *talker) answer(line any) {
	t.out.Lock()
	defer t.out.Unlock()
	say(line)
}
