package kv

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The sizes of keyspaces add up to what was put into them, whatever lies between.
func TestKeyspaceSizes(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{MemTableBytes: minMemTableBytes})
	noise := rand.NewChaCha8([32]byte{1})
	fill := func(prefix []byte, kib int) {
		b := s.NewBatch()
		value := make([]byte, 1024)
		for i := range kib {
			_, _ = noise.Read(value)
			if err := b.Set(AppendUint32(bytes.Clone(prefix), uint32(i)), value, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	fill([]byte{0x30, 0, 0, 1}, 300)
	fill([]byte{0x30, 0, 7, 1}, 200)
	fill([]byte{0x30, 0, 0, 2}, 100)
	fill([]byte{0x30, 0xff, 0xff, 2}, 50)
	fill([]byte{0xff}, 150)
	if err := s.DB().Flush(); err != nil {
		t.Fatal(err)
	}
	keyspaces := []Keyspace{
		{Name: "ones", Prefix: []byte{0x30}, Partitioned: true, Table: 1},
		{Name: "twos", Prefix: []byte{0x30}, Partitioned: true, Table: 2},
		{Name: "none", Prefix: []byte{0x31}},
		{Name: "last", Prefix: []byte{0xff}},
	}
	sizes, err := s.Sizes(keyspaces)
	if err != nil {
		t.Fatal(err)
	}
	for i, kib := range []int64{500, 150, 0, 150} {
		// A block may belong to the neighbour: some 32 KiB at each end.
		if got := sizes[i].Bytes >> 10; got < kib*9/10 || got > kib*11/10+32 {
			t.Errorf("%s: %d KiB, want some %d", sizes[i].Name, got, kib)
		}
	}

	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.KeyspaceCollector(keyspaces), s.Collector())
	told := func() (names int) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "carom_kv_keyspace_bytes" {
				names = len(f.Metric)
			}
		}
		return names
	}
	if n := told(); n != len(keyspaces) {
		t.Errorf("%d keyspaces are told, want %d", n, len(keyspaces))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sizes(keyspaces); err == nil {
		t.Error("sizes of a closed store")
	}
}
