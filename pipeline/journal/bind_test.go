package journal

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
)

func TestBind(t *testing.T) {
	open := func(dir string) *kv.Store {
		s, err := kv.Open(dir, kv.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	journals := make([]*Journal, 2)
	for i := range journals {
		j, err := Open(open("journal"), Default(), Deps{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.Close() })
		journals[i] = j
	}
	state := open("state")
	for range 2 {
		if err := journals[0].Bind(state); err != nil {
			t.Fatal(err)
		}
	}
	if err := journals[1].Bind(state); err == nil || !strings.Contains(err.Error(), "another journal") {
		t.Errorf("the state of another journal: %v", err)
	}
}
