//go:build tools

// Package etcd pins the real etcd and etcdctl that latchd is judged by.
package etcd

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
