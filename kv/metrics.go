package kv

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// stalls counts what Pebble's events tell.
type stalls struct {
	count       atomic.Int64
	nanos       atomic.Int64
	since       atomic.Int64 // UnixNano of the stall that lasts, 0 if none
	background  atomic.Int64
	corruptions atomic.Int64
}

func (s *Store) listener() *pebble.EventListener {
	log, c := s.opts.Logger, &s.stalls
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			c.background.Add(1)
			log.Error("background write failed, will be tried again", zap.Error(err))
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			c.corruptions.Add(1)
			log.Error("stored data is corrupt", zap.String("path", info.Path), zap.Error(info.Details))
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			log.Warn("disk is slow", zap.String("path", info.Path), zap.Duration("lasted", info.Duration))
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			c.count.Add(1)
			c.since.Store(time.Now().UnixNano())
			log.Warn("writes stall", zap.String("reason", info.Reason))
		},
		WriteStallEnd: func() {
			lasted := time.Now().UnixNano() - c.since.Swap(0)
			c.nanos.Add(lasted)
			log.Info("writes go on", zap.Duration("stalled", time.Duration(lasted)))
		},
	}
}

// metric is one figure of a store.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	value      func(s *Store, m *pebble.Metrics) float64
}

var metrics = []metric{
	{
		"carom_kv_disk_bytes", "Bytes that the store takes on disk.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.DiskSpaceUsage()) },
	},
	{
		"carom_kv_wal_bytes", "Bytes of live data in the write-ahead log.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.WAL.Size) },
	},
	{
		"carom_kv_wal_written_bytes_total", "Bytes written to the write-ahead log.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.WAL.BytesWritten) },
	},
	{
		"carom_kv_memtable_bytes", "Bytes in memtables.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.MemTable.Size) },
	},
	{
		"carom_kv_cache_bytes", "Bytes in the block cache.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.BlockCache.Size) },
	},
	{
		"carom_kv_cache_hits_total", "Blocks found in the cache.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.BlockCache.Hits) },
	},
	{
		"carom_kv_cache_misses_total", "Blocks read from disk.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.BlockCache.Misses) },
	},
	{
		"carom_kv_read_amplification", "Sorted runs that a read may look into.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.ReadAmp()) },
	},
	{
		"carom_kv_l0_tables", "Tables in level 0.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Levels[0].TablesCount) },
	},
	{
		"carom_kv_compaction_debt_bytes", "Bytes that wait for compaction, estimated.", prometheus.GaugeValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Compact.EstimatedDebt) },
	},
	{
		"carom_kv_compactions_total", "Compactions.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Compact.Count) },
	},
	{
		"carom_kv_flushes_total", "Memtables written out.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Flush.Count) },
	},
	{
		"carom_kv_flushed_bytes_total", "Bytes of tables written from memtables.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Levels[0].TableBytesFlushed) },
	},
	{
		"carom_kv_compacted_bytes_total", "Bytes of tables written by compactions.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Total().TableBytesCompacted) },
	},
	{
		"carom_kv_moved_bytes_total", "Bytes of tables that compactions moved down without writing them anew.", prometheus.CounterValue,
		func(_ *Store, m *pebble.Metrics) float64 { return float64(m.Total().TableBytesMoved) },
	},
	{
		"carom_kv_write_stalls_total", "Times that writes had to wait for flushes or compactions.", prometheus.CounterValue,
		func(s *Store, _ *pebble.Metrics) float64 { return float64(s.stalls.count.Load()) },
	},
	{
		"carom_kv_write_stall_seconds_total", "Seconds that writes waited in stalls.", prometheus.CounterValue,
		func(s *Store, _ *pebble.Metrics) float64 { return time.Duration(s.stalls.nanos.Load()).Seconds() },
	},
	{
		"carom_kv_background_errors_total", "Flushes and compactions that failed.", prometheus.CounterValue,
		func(s *Store, _ *pebble.Metrics) float64 { return float64(s.stalls.background.Load()) },
	},
	{
		"carom_kv_corruptions_total", "Reads that met corrupt data.", prometheus.CounterValue,
		func(s *Store, _ *pebble.Metrics) float64 { return float64(s.stalls.corruptions.Load()) },
	},
	{
		"carom_kv_failed", "1 if the store has failed and the process needs a restart.", prometheus.GaugeValue,
		func(s *Store, _ *pebble.Metrics) float64 {
			if s.Err() != nil {
				return 1
			}
			return 0
		},
	},
}

// collector reads the figures when they are asked for.
type collector struct {
	store *Store
	descs []*prometheus.Desc
}

// Collector returns the store's metrics, carom_kv_*, with the label store = Role. After Close it has none.
func (s *Store) Collector() prometheus.Collector {
	c := &collector{store: s, descs: make([]*prometheus.Desc, len(metrics))}
	labels := prometheus.Labels{"store": s.opts.Role}
	for i, m := range metrics {
		c.descs[i] = prometheus.NewDesc(m.name, m.help, nil, labels)
	}
	return c
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect tells of a failed store only that it has failed: its locks may be held for ever.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.store
	if s.Enter() != nil {
		return
	}
	defer s.Leave()
	failed := s.Err() != nil
	var pm *pebble.Metrics
	if !failed {
		pm = s.db.Metrics()
	}
	for i, m := range metrics {
		if !failed || m.name == "carom_kv_failed" {
			ch <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.value(s, pm))
		}
	}
}
