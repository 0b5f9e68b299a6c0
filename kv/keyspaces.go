package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Keyspace is a set of keys whose size on disk is told. Which there are, the packages say whose keys they are.
type Keyspace struct {
	Name   string
	Prefix []byte
	// Partitioned: between Prefix and Table lies the number of a partition(2), and the keyspace is that of all partitions.
	Partitioned bool
	Table       byte
}

// Size is what a keyspace takes on disk.
type Size struct {
	Name  string
	Bytes int64
}

// Sizes estimates what keyspaces take on disk, from the tables that hold them: what is in memtables only is left out, and
// what was deleted counts until it is compacted away. It reads no data but the indexes of the tables at the ends of ranges.
func (s *Store) Sizes(keyspaces []Keyspace) ([]Size, error) {
	if err := s.Enter(); err != nil {
		return nil, err
	}
	defer s.Leave()
	if err := s.Err(); err != nil {
		return nil, err
	}
	sizes := make([]Size, len(keyspaces))
	for i, k := range keyspaces {
		bytes, err := s.size(k)
		if err != nil {
			return nil, fmt.Errorf("size of keyspace %s in the %s store: %w", k.Name, s.opts.Role, err)
		}
		sizes[i] = Size{k.Name, bytes}
	}
	return sizes, nil
}

func (s *Store) size(k Keyspace) (int64, error) {
	if !k.Partitioned {
		return s.rangeSize(k.Prefix, PrefixEnd(k.Prefix))
	}
	partitions, err := s.partitions(k.Prefix)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, p := range partitions {
		from := append(AppendUint16(bytes.Clone(k.Prefix), p), k.Table)
		n, err := s.rangeSize(from, PrefixEnd(from))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// RangeSize estimates what the keys from start up to, not including, end take on disk, as Sizes does.
func (s *Store) RangeSize(start, end []byte) (int64, error) {
	if err := s.Enter(); err != nil {
		return 0, err
	}
	defer s.Leave()
	if err := s.Err(); err != nil {
		return 0, err
	}
	return s.rangeSize(start, end)
}

func (s *Store) rangeSize(start, end []byte) (int64, error) {
	if end == nil {
		end = bytes.Repeat([]byte{0xff}, 32)
	}
	n, err := s.db.EstimateDiskUsage(start, end)
	return int64(min(n, math.MaxInt64)), err
}

// partitions lists the partitions of which there is any key, with one seek for each.
func (s *Store) partitions(prefix []byte) (list []uint16, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: PrefixEnd(prefix)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; {
		rest := it.Key()[len(prefix):]
		if len(rest) < 2 {
			ok = it.Next()
			continue
		}
		p := binary.BigEndian.Uint16(rest)
		list = append(list, p)
		ok = p < math.MaxUint16 && it.SeekGE(AppendUint16(bytes.Clone(prefix), p+1))
	}
	return list, errors.Join(it.Error(), it.Close())
}

// sizesEvery is how long the sizes that were told stand: who scrapes more often costs no more.
const sizesEvery = time.Minute

// KeyspaceCollector returns carom_kv_keyspace_bytes of the keyspaces, with the label store = Role. They are looked at
// when they are asked for, once a minute at most.
func (s *Store) KeyspaceCollector(keyspaces []Keyspace) prometheus.Collector {
	return &keyspaceCollector{
		store: s, keyspaces: keyspaces,
		desc: prometheus.NewDesc("carom_kv_keyspace_bytes", "Bytes that a keyspace takes on disk, estimated at most once a minute: without what is in memtables, with what was deleted and not yet compacted away.",
			[]string{"keyspace"}, prometheus.Labels{"store": s.opts.Role}),
	}
}

type keyspaceCollector struct {
	store     *Store
	keyspaces []Keyspace
	desc      *prometheus.Desc

	mu    sync.Mutex // guards what follows
	sizes []Size
	at    time.Time
}

func (c *keyspaceCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect tells nothing of a store that is closed or has failed.
func (c *keyspaceCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sizes == nil || time.Since(c.at) >= sizesEvery {
		sizes, err := c.store.Sizes(c.keyspaces)
		if err != nil {
			return
		}
		c.sizes, c.at = sizes, time.Now()
	}
	for _, size := range c.sizes {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(size.Bytes), size.Name)
	}
}
