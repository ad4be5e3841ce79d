//! A small pure model of etcd.
