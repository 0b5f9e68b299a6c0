package targets

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"carom/edge/ref"
)

func keyring(t *testing.T) *ref.Keyring {
	t.Helper()
	data, err := ref.NewKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := ref.ReadKeyring(file)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestMintedHitsAreNew(t *testing.T) {
	keys := keyring(t)
	m, err := NewMinted(keys, MintedOptions{Path: "/track", Clicks: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const connections, each = 4, 1000
	var mu sync.Mutex
	messages := make(map[string]bool)
	clicks := 0
	var asking sync.WaitGroup
	for range connections {
		hits := m.Hits()
		asking.Go(func() {
			var h Hit
			var o ref.Opened
			for range each {
				hits.Next(&h)
				rest, ok := bytes.CutPrefix(h.Path, []byte("/track/"))
				purpose := map[HitKind]ref.Purpose{Open: ref.OpenPixel, Click: ref.Click}[h.Kind]
				if !ok || len(rest) < 3 || rest[0] != byte(purpose) || rest[1] != '/' {
					t.Errorf("a %s asks for %s", h.Kind, h.Path)
					return
				}
				if err := keys.Open(purpose, rest[2:], &o); err != nil {
					t.Errorf("%s: %v", h.Path, err)
					return
				}
				mu.Lock()
				messages[strings.Clone(o.Ref.Message)] = true
				if h.Kind == Click {
					clicks++
					if o.Ref.URL != landing {
						t.Errorf("a click leads to %s", o.Ref.URL)
					}
				}
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	if len(messages) != connections*each {
		t.Errorf("%d hits are of %d messages", connections*each, len(messages))
	}
	// Five standard deviations.
	if want := connections * each / 4; math.Abs(float64(clicks-want)) > 5*math.Sqrt(0.75*float64(want)) {
		t.Errorf("%d clicks, want some %d", clicks, want)
	}
}

func TestRepeatsAreByTheSameClient(t *testing.T) {
	m, err := NewMinted(keyring(t), MintedOptions{Repeats: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	hits := m.Hits()
	var h Hit
	last, client, repeats := "", uint32(0), 0
	for range 1000 {
		hits.Next(&h)
		if string(h.Path) == last {
			repeats++
			if h.Client != client {
				t.Fatal("a repeat is by another client")
			}
		}
		last, client = string(h.Path), h.Client
	}
	if repeats < 400 || repeats > 600 {
		t.Errorf("%d of 1000 hits are repeats, want some 500", repeats)
	}
}

func TestMintedAfterClose(t *testing.T) {
	m, err := NewMinted(keyring(t), MintedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hits := m.Hits()
	var h Hit
	hits.Next(&h)
	m.Close()
	m.Close()
	for range batchHits * (batchesBefore + 10) { // more than there is
		hits.Next(&h)
	}
	if len(h.Path) == 0 {
		t.Error("nothing is asked for after Close")
	}
}

func TestMintedOptions(t *testing.T) {
	for _, o := range []MintedOptions{{Clicks: -0.1}, {Clicks: 1.1}, {Repeats: math.NaN()}, {Repeats: 2}} {
		if m, err := NewMinted(nil, o); err == nil {
			m.Close()
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestURLs(t *testing.T) {
	u, err := ReadURLs(strings.NewReader("# a comment\nhttp://127.0.0.1:8080/o/abc.gif\n\n http://127.0.0.1:8080/x/c/def?a=b \r\nhttp://127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	if u.Base() != "http://127.0.0.1:8080" || u.Len() != 3 {
		t.Errorf("%d URLs of %s", u.Len(), u.Base())
	}
	hits := []Hits{u.Hits(), u.Hits()}
	var h Hit
	for i, want := range []struct {
		path string
		kind HitKind
	}{{"/o/abc.gif", Open}, {"/x/c/def?a=b", Click}, {"/", Get}, {"/o/abc.gif", Open}} {
		hits[i%2].Next(&h)
		if string(h.Path) != want.path || h.Kind != want.kind {
			t.Errorf("%d: %s %s, want %v", i, h.Kind, h.Path, want)
		}
	}
	for _, list := range []string{"", "#\n", "x", "ftp://a/b", "http://a/\nhttp://b/", "http://a/\nhttps://a/", "http://user@a/", "http://a/" + strings.Repeat("x", maxURL)} {
		if _, err := ReadURLs(strings.NewReader(list)); err == nil {
			t.Errorf("%.50q is taken", list)
		}
	}
	if _, err := NewURLs("a b"); err == nil {
		t.Error("no URL is taken")
	}
}
